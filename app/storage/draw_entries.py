"""The entries that a draw is of: partitioned queries, whose rows come in no order and in any number."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from app.storage.audit import partitioned
from app.storage.database import FairdropDatabase, batch_snapshot

# Whoever was entered when the draw was sealed either still is, or was given a place.
_ENTRIES = """
    SELECT OrderId, Units, CustomerId, ShardId
    FROM Orders@{FORCE_INDEX=_BASE_TABLE}
    WHERE SaleId = @sale AND (Status = 'ENTERED' OR DrawPlace IS NOT NULL)"""

_DRAWN = """
    SELECT DrawPlace, OrderId, Units, DrawResult
    FROM Orders@{FORCE_INDEX=_BASE_TABLE} WHERE SaleId = @sale AND DrawPlace IS NOT NULL"""


def read_entries(database: FairdropDatabase, sale_id: str, as_of: datetime) -> Iterator[list[Any]]:
    """(order id, units, customer, shard) of every entry of a sealed lottery, in no order, as of a time after it was sealed."""
    with batch_snapshot(database, as_of) as reads:
        yield from partitioned(reads, _ENTRIES, sale_id)


def read_drawn(database: FairdropDatabase, sale_id: str, as_of: datetime) -> Iterator[list[Any]]:
    """(place, order id, units, result) of every entry of a drawn lottery, in no order, as of a time."""
    with batch_snapshot(database, as_of) as reads:
        yield from partitioned(reads, _DRAWN, sale_id)
