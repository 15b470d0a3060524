"""The outbox as a log: appended to, and read after a cursor; and the cursors. The same tables in both databases."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from google.cloud.spanner_v1 import COMMIT_TIMESTAMP, KeyRange, KeySet
from google.cloud.spanner_v1.snapshot import Snapshot
from google.cloud.spanner_v1.transaction import Transaction

from app.storage.database import read_timestamp
from app.storage.rows import Value, insert, text

OUTBOX = ("OutboxShard", "CreatedAt", "OrderId", "EventSeq", "EventType", "Payload")
_ROW = (*OUTBOX, "Traceparent")
_CURSOR = ("OutboxShard", "CreatedAt", "OrderId", "EventSeq", "Published")


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One event as its transaction wrote it. `payload` is JSON text; `traceparent` names the span that it continues, if any."""

    shard: int
    created_at: datetime
    order_id: str
    event_seq: int
    event_type: str
    payload: str
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last row of a shard that was published; before the first, `created_at` is None. `published` counts rows."""

    shard: int
    created_at: datetime | None
    order_id: str | None
    event_seq: int | None
    published: int

    def after(self, row: OutboxRow, rows: int) -> "Cursor":
        """The cursor once this row, and `rows` of them, were published."""
        return Cursor(self.shard, row.created_at, row.order_id, row.event_seq, self.published + rows)


def append_outbox(transaction: Transaction, rows: Iterable[tuple[Sequence[Value], str | None]]) -> None:
    """Buffer rows of OUTBOX, each with the traceparent that its event continues. What is not traced is spared the column."""
    plain: list[Sequence[Value]] = []
    traced: list[Sequence[Value]] = []
    for row, traceparent in rows:
        if traceparent is None:
            plain.append(row)
        else:
            traced.append((*row, text(traceparent)))
    if plain:
        insert(transaction, "Outbox", OUTBOX, plain)
    if traced:
        insert(transaction, "Outbox", _ROW, traced)


def read_cursors(reads: Any, shards: Iterable[int]) -> dict[int, Cursor]:
    """The cursor of each shard, at the beginning where none is stored. One read."""
    wanted = list(shards)
    return _cursors(wanted, reads.read("OutboxCursors", _CURSOR, _keys(wanted)))


def cursors_as_of(reads: Snapshot, shards: Iterable[int]) -> tuple[dict[int, Cursor], datetime]:
    """As `read_cursors`, and the snapshot's timestamp. Must be the first read of a snapshot."""
    wanted = list(shards)
    result = reads.read("OutboxCursors", _CURSOR, _keys(wanted))
    return _cursors(wanted, result), read_timestamp(result)


def _keys(shards: Iterable[int]) -> KeySet:
    return KeySet(keys=[[shard] for shard in shards])


def _cursors(wanted: Iterable[int], rows: Iterable[list[Any]]) -> dict[int, Cursor]:
    stored = {row[0]: Cursor(*row) for row in rows}
    return {shard: stored.get(shard, Cursor(shard, None, None, None, 0)) for shard in wanted}


def read_outbox(reads: Snapshot, cursors: Iterable[Cursor], at_most: int) -> tuple[list[OutboxRow], datetime]:
    """Up to `at_most` rows after the cursors, shard by shard in commit order, and the read's timestamp.

    One strong read of a snapshot, and its first: a row that is committed later has a later timestamp than every row it
    returns, so a cursor set to the last of them skips nothing.
    """
    ranges = [range_after(cursor) for cursor in cursors]
    result = reads.read("Outbox", _ROW, KeySet(ranges=ranges), limit=at_most)
    rows = [OutboxRow(*row) for row in result]
    return rows, read_timestamp(result)


def range_after(cursor: Cursor) -> KeyRange:
    """The rows of a shard that are not published yet."""
    return KeyRange(end_closed=[cursor.shard], **_start(cursor))


def _start(cursor: Cursor) -> dict[str, list[Any]]:
    if cursor.created_at is None:
        return {"start_closed": [cursor.shard]}
    return {"start_open": [cursor.shard, cursor.created_at, cursor.order_id, cursor.event_seq]}


def rows_between(
    reads: Snapshot, shard: int, since: datetime, until: datetime, after: OutboxRow | None, at_most: int
) -> list[OutboxRow]:
    """Up to `at_most` rows of a shard from one commit timestamp to another, both included; with `after`, those after a row."""
    start = (
        {"start_closed": [shard, since]}
        if after is None
        else _start(Cursor(shard, None, None, None, 0).after(after, 0))
    )
    keys = KeySet(ranges=[KeyRange(end_closed=[shard, until], **start)])
    return [OutboxRow(*row) for row in reads.read("Outbox", _ROW, keys, limit=at_most)]


def advance_cursors(
    transaction: Transaction, known: Mapping[int, Cursor], advanced: Mapping[int, Cursor]
) -> frozenset[int]:
    """Move cursors on, each only if it is still where it was known to be; returns the shards of those that were not.

    In a read-write transaction, rerunnable.
    """
    stored = read_cursors(transaction, advanced)
    moved = frozenset(shard for shard in advanced if stored[shard] != known[shard])
    rows = [
        [c.shard, c.created_at, c.order_id, c.event_seq, c.published, COMMIT_TIMESTAMP]
        for shard, c in advanced.items()
        if shard not in moved
    ]
    transaction.insert_or_update("OutboxCursors", (*_CURSOR, "UpdatedAt"), rows)
    return moved
