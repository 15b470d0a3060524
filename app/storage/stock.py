"""StockShards and StockLedger: reading shards, and the one way to write them."""

from collections.abc import Iterable
from typing import Any

from google.cloud.spanner_v1 import KeyRange, KeySet
from google.cloud.spanner_v1.transaction import Transaction

from app.domain.stock import Cause, ShardState
from app.storage.rows import COMMIT_TIMESTAMP, insert, number, text, update

_STATE = ("SaleId", "ShardId", "Version", "Allocated", "Available", "Waiting")
_LEDGER = (*_STATE, "Cause", "WrittenBy", "CommittedAt")


def read_shards(reads: Any, sale_id: str) -> list[ShardState]:
    """All shards of a sale, by id; `reads` is a transaction (then they are locked) or a snapshot. One read."""
    keys = KeySet(ranges=[KeyRange(start_closed=[sale_id], end_closed=[sale_id])])
    return [ShardState(*row) for row in reads.read("StockShards", _STATE[1:], keys)]


def read_some_shards(reads: Any, sale_id: str, shard_ids: Iterable[int]) -> list[ShardState]:
    """Those of these shards that there are. One read."""
    keys = KeySet(keys=[[sale_id, shard_id] for shard_id in shard_ids])
    return [ShardState(*row) for row in reads.read("StockShards", _STATE[1:], keys)]


def read_shard(reads: Any, sale_id: str, shard_id: int) -> ShardState | None:
    """One shard, or None."""
    rows = list(reads.read("StockShards", _STATE[1:], KeySet(keys=[[sale_id, shard_id]])))
    return ShardState(*rows[0]) if rows else None


def write_shards(
    transaction: Transaction,
    sale_id: str,
    shards: Iterable[ShardState],
    cause: Cause,
    writer: str,
    *,
    new: bool = False,
) -> None:
    """Write shards as they now are, each with the ledger row of its version.

    The ledger's insert is the guard: the commit fails with Conflict if anybody else has written that version.
    """
    sale = text(sale_id)
    rows = [
        (sale, number(s.shard_id), number(s.version), number(s.allocated), number(s.available), number(s.waiting))
        for s in shards
    ]
    if not rows:
        return
    (insert if new else update)(transaction, "StockShards", _STATE, rows)
    tail = (text(cause.value), text(writer), COMMIT_TIMESTAMP)
    insert(transaction, "StockLedger", _LEDGER, [(*row, *tail) for row in rows])
