"""The Sales table: create, read, list and change, each change bumping every shard so that all lanes notice at once."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from google.cloud.spanner_v1 import COMMIT_TIMESTAMP, KeyRange, KeySet
from google.cloud.spanner_v1.snapshot import Snapshot
from google.cloud.spanner_v1.transaction import Transaction

from app.domain.errors import SaleExists, SaleNotFound
from app.domain.sale import Policy, Sale, SaleState, spread
from app.domain.stock import Cause, ShardState
from app.storage.database import read_timestamp
from app.storage.draw import insert_draw
from app.storage.stock import read_shards, write_shards

_COLUMNS = (
    "SaleId",
    "Name",
    "State",
    "Policy",
    "UnitPriceMinor",
    "Currency",
    "Stock",
    "ShardCount",
    "LimitPerCustomer",
    "WaitlistLimit",
    "ExpectedCrowd",
    "OpensAt",
    "ClosesAt",
    "HoldSeconds",
    "CancelWindowSeconds",
)
"""In the order of Sale's fields."""


def _sale(row: list[Any]) -> Sale:
    sale_id, name, state, policy, *rest = row
    return Sale(sale_id, name, SaleState(state), Policy(policy), *rest)


def _values(sale: Sale) -> list[Any]:
    return [getattr(sale, field) for field in Sale.__dataclass_fields__]


def find_sale(reads: Any, sale_id: str) -> Sale | None:
    """The sale, or None; `reads` is a transaction or a snapshot. One read."""
    rows = list(reads.read("Sales", _COLUMNS, KeySet(keys=[[sale_id]])))
    return _sale(rows[0]) if rows else None


def sale_as_of(reads: Snapshot, sale_id: str) -> tuple[Sale | None, datetime]:
    """The sale, or None, and the snapshot's timestamp. Must be the first read of a snapshot."""
    result = reads.read("Sales", _COLUMNS, KeySet(keys=[[sale_id]]))
    rows = list(result)
    return (_sale(rows[0]) if rows else None), read_timestamp(result)


def sales_as_of(reads: Snapshot, after: str, page_size: int) -> tuple[list[Sale], datetime]:
    """A page as of `list_sales`, and the snapshot's timestamp. Must be the first read of a snapshot."""
    keys = KeySet(ranges=[KeyRange(start_open=[after], end_closed=[])])
    result = reads.read("Sales", _COLUMNS, keys, limit=page_size)
    return [_sale(row) for row in result], read_timestamp(result)


def list_sales(reads: Any, after: str, page_size: int) -> list[Sale]:
    """Up to `page_size` sales with ids after `after`, by id."""
    keys = KeySet(ranges=[KeyRange(start_open=[after], end_closed=[])])
    return [_sale(row) for row in reads.read("Sales", _COLUMNS, keys, limit=page_size)]


def create_sale(transaction: Transaction, sale: Sale, writer: str, seed: bytes | None = None) -> bool:
    """Insert a sale and spread its stock over its shards; False if the very same sale is there already.

    A lottery commits itself to `seed` in the same transaction.
    Raises SaleExists for another sale of the same id.
    """
    stored = find_sale(transaction, sale.sale_id)
    if stored is not None:
        if replace(stored, state=sale.state) == sale:
            return False
        raise SaleExists(sale_id=sale.sale_id)
    transaction.insert(
        "Sales", (*_COLUMNS, "CreatedAt", "UpdatedAt"), [[*_values(sale), COMMIT_TIMESTAMP, COMMIT_TIMESTAMP]]
    )
    shards = [ShardState(i, 1, units, units, 0) for i, units in enumerate(spread(sale.stock, sale.shard_count))]
    write_shards(transaction, sale.sale_id, shards, Cause.CREATED, writer, new=True)
    if seed is not None:
        insert_draw(transaction, sale.sale_id, seed)
    return True


def change_sale(
    transaction: Transaction, sale_id: str, change: Callable[[Sale, Sequence[ShardState]], Sale], writer: str
) -> Sale:
    """Apply `change` to the stored sale and its shards; returns the sale as it now is. A change of nothing writes nothing.

    Every shard gets a new version, so no lane can commit on the old terms after this commit. Stock changes only while nobody
    has ordered (for `change` to see to), and is spread anew. Raises SaleNotFound, and whatever `change` raises.
    """
    stored = find_sale(transaction, sale_id)
    if stored is None:
        raise SaleNotFound(sale_id=sale_id)
    shards = read_shards(transaction, sale_id)
    sale = change(stored, shards)
    if sale == stored:
        return stored
    transaction.update("Sales", (*_COLUMNS, "UpdatedAt"), [[*_values(sale), COMMIT_TIMESTAMP]])
    units = spread(sale.stock, sale.shard_count)
    bumped = [
        replace(s, version=s.version + 1)
        if sale.stock == stored.stock
        else ShardState(s.shard_id, s.version + 1, units[s.shard_id], units[s.shard_id], s.waiting)
        for s in shards
    ]
    write_shards(transaction, sale_id, bumped, Cause.SALE_CHANGED, writer)
    return sale
