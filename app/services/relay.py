"""The relay: reads the outbox by cursor, publishes, and moves the cursor only after the broker has it. At least once, in order."""

import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import orjson
from google.cloud.spanner_v1.transaction import Transaction
from opentelemetry.trace import SpanKind

from app.domain.ids import OUTBOX_SHARD_COUNT
from app.domain.timestamps import rfc3339
from app.messaging.event_spans import event_spans
from app.messaging.events import Event
from app.services.leases import LeaseKeeper
from app.storage.clock import DatabaseClock
from app.storage.database import Conflict, FairdropDatabase, snapshot, transact
from app.storage.leases import holds
from app.storage.outbox import Cursor, OutboxRow, advance_cursors, read_cursors, read_outbox, rows_between
from app.tracing.spans import NO_TRACES, Attributes, Traces

PAGE_ROWS = 1_000
"""Rows read, published and ticked off at once: one call of the broker's."""

LAGS_KEPT = 10_000
SLOTS = tuple(str(shard) for shard in range(OUTBOX_SHARD_COUNT))


class EventSink(Protocol):
    """Where events go."""

    def publish(self, events: Sequence[Event]) -> None:
        """Returns when all of them are safe. Raises BrokerUnavailable."""


@dataclass(frozen=True, slots=True)
class RelayStats:
    """What a relay has done. Lags in seconds from commit to the broker's acknowledgement, of the last LAGS_KEPT rows."""

    published: int
    lag_p50: float | None
    lag_p99: float | None


class Relay:
    """One process's relay of one database's outbox. Not thread-safe: one loop owns it."""

    def __init__(
        self,
        database: FairdropDatabase,
        clock: DatabaseClock,
        leases: LeaseKeeper,
        sink: EventSink,
        event_id: Callable[[OutboxRow], str],
        duplicate_share: float = 0.0,
        traces: Traces = NO_TRACES,
    ) -> None:
        """No call is made yet. `duplicate_share` of the events are published twice, to try the consumers with."""
        self._database = database
        self._clock = clock
        self._leases = leases
        self._sink = sink
        self._event_id = event_id
        self._duplicate_share = duplicate_share
        self._traces = traces
        self._cursors: dict[int, Cursor] = {}
        self._next_shard = 0
        self._lags: deque[float] = deque(maxlen=LAGS_KEPT)
        self._published = 0

    @property
    def stats(self) -> RelayStats:
        """Figures so far."""
        lags = sorted(self._lags)
        if not lags:
            return RelayStats(self._published, None, None)
        return RelayStats(self._published, lags[len(lags) // 2], lags[min(len(lags) - 1, len(lags) * 99 // 100)])

    def step(self) -> int:
        """Publish a page of the shards that are ours; the number of rows. Raises StorageUnavailable or BrokerUnavailable."""
        if not self._clock.is_set:
            self._clock.observe(_database_time(self._database))
        mine = sorted(int(slot) for slot in self._leases.keep())
        self._learn_cursors(mine)
        if not mine:
            return 0
        rows = self._read_page(mine)
        if rows:
            self._publish(rows)
        return len(rows)

    def _read_page(self, mine: Sequence[int]) -> list[OutboxRow]:
        """Begins behind the shard that filled the page before: however busy a shard is, the others come between its pages."""
        rows: list[OutboxRow] = []
        turns = ([s for s in mine if s >= self._next_shard], [s for s in mine if s < self._next_shard])
        for shards in turns:
            if shards and len(rows) < PAGE_ROWS:
                with snapshot(self._database) as reads:
                    found, read_at = read_outbox(reads, (self._cursors[s] for s in shards), PAGE_ROWS - len(rows))
                self._clock.observe(read_at)
                rows += found
        self._next_shard = rows[-1].shard + 1 if len(rows) == PAGE_ROWS else 0
        return rows

    def _learn_cursors(self, mine: Sequence[int]) -> None:
        for shard in set(self._cursors) - set(mine):
            del self._cursors[shard]
        unknown = [shard for shard in mine if shard not in self._cursors]
        if unknown:
            with snapshot(self._database) as reads:
                self._cursors.update(read_cursors(reads, unknown))

    def _publish(self, rows: Sequence[OutboxRow]) -> None:
        events = [as_event(row, self._event_id(row)) for row in rows]
        again = [event for event in events if random.random() < self._duplicate_share]  # noqa: S311  # no secret
        with event_spans(self._traces, "publish", SpanKind.PRODUCER, events, _details) as (continued, _):
            self._sink.publish([*continued, *again])
        self._published += len(rows)
        now = self._clock.estimate
        self._lags.extend((now - row.created_at).total_seconds() for row in rows)
        by_shard: dict[int, list[OutboxRow]] = {}
        for row in rows:
            by_shard.setdefault(row.shard, []).append(row)
        advanced = {shard: self._cursors[shard].after(some[-1], len(some)) for shard, some in by_shard.items()}
        try:
            moved, committed = transact(
                self._database,
                "advance-cursors",
                self._advance,
                {shard: self._cursors[shard] for shard in advanced},
                advanced,
            )
        except Conflict:
            self._cursors.clear()
            return
        self._clock.observe(committed)
        self._cursors.update({shard: cursor for shard, cursor in advanced.items() if shard not in moved})
        if moved:
            for shard in moved:
                del self._cursors[shard]
            self._leases.lost()

    def _advance(
        self, transaction: Transaction, known: Mapping[int, Cursor], advanced: Mapping[int, Cursor]
    ) -> frozenset[int]:
        """Only for shards that are still leased to us: one that slept through its lease must not tick off for another."""
        slots = [str(shard) for shard in advanced]
        ours = holds(transaction, self._leases.group, slots, self._leases.holder)
        kept = {shard: cursor for shard, cursor in advanced.items() if str(shard) in ours}
        moved = advance_cursors(transaction, known, kept) if kept else frozenset()
        return moved | (frozenset(advanced) - frozenset(kept))


def _database_time(database: FairdropDatabase) -> datetime:
    with snapshot(database) as reads:
        _, now = read_outbox(reads, [Cursor(0, None, None, None, 0)], 1)
    return now


def _details(event: Event) -> Attributes:
    return {"messaging.operation.type": "send", "fairdrop.committed_at": rfc3339(event.time)}


def as_event(row: OutboxRow, event_id: str) -> Event:
    """The event of a row."""
    return Event(row.event_type, row.order_id, event_id, row.created_at, orjson.loads(row.payload), row.traceparent)


def order_event_id(row: OutboxRow) -> str:
    """The id of an order's event: the same at every publication."""
    return f"{row.order_id}:{row.event_seq}"


def payment_event_id(row: OutboxRow) -> str:
    """The id of a payment's event; payments count theirs apart."""
    return f"{row.order_id}:p{row.event_seq}"


def replay(
    database: FairdropDatabase,
    sink: EventSink,
    event_id: Callable[[OutboxRow], str],
    since: datetime,
    shards: Sequence[int],
    say: Callable[[int], None],
) -> int:
    """Publish again what was committed since a time and before this call, cursors left where they are; the number of rows.

    Consumers are idempotent, so a replay harms nobody. Raises StorageUnavailable or BrokerUnavailable.
    """
    count = 0
    until = _database_time(database)
    if since > until:
        return 0
    for shard in shards:
        after: OutboxRow | None = None
        while True:
            with snapshot(database) as reads:
                rows = rows_between(reads, shard, since, until, after, PAGE_ROWS)
            if not rows:
                break
            sink.publish([as_event(row, event_id(row)) for row in rows])
            after = rows[-1]
            count += len(rows)
            say(count)
    return count
