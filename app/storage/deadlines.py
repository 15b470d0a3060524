"""Which orders' deadlines have passed, by the index of deadlines; and the end of a waitlist that nothing can serve any more."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from google.cloud.spanner_v1 import KeyRange, KeySet
from google.cloud.spanner_v1.transaction import Transaction

from app.domain.sale import Phase
from app.domain.settlement import OrderKey, Settlement
from app.domain.states import Trigger
from app.storage.draw import is_drawn
from app.storage.sales import find_sale
from app.storage.settlement import settle_batch, waiting_keys

_KEY = ("CustomerId", "SaleId", "OrderId")


@dataclass(frozen=True, slots=True, order=True)
class SaleShard:
    """One stock shard of one sale: its orders' deadlines lie together."""

    sale_id: str
    shard_id: int


def due_orders(reads: Any, shards: Sequence[SaleShard], until: datetime, at_most: int) -> list[OrderKey]:
    """Up to `at_most` orders of these shards whose deadline is not after `until`, by sale, shard and deadline. One read."""
    ranges = [
        KeyRange(start_closed=[shard.sale_id, shard.shard_id], end_closed=[shard.sale_id, shard.shard_id, until])
        for shard in shards
    ]
    rows = reads.read("Orders", _KEY, KeySet(ranges=ranges), index="OrdersByDueAt", limit=at_most)
    return [OrderKey(*row) for row in rows]


def has_deadlines(reads: Any, sale_id: str) -> bool:
    """Whether any order of the sale has units that are not paid for yet. One read."""
    keys = KeySet(ranges=[KeyRange(start_closed=[sale_id], end_closed=[sale_id])])
    return bool(list(reads.read("Orders", _KEY, keys, index="OrdersByDueAt", limit=1)))


def lapse_page(transaction: Transaction, sale_id: str, at_most: int, database_time: datetime, writer: str) -> int:
    """End the waiting of up to `at_most` orders of a sale that is over and in which no hold is left; how many it was.

    None while a hold is left: its failure would free units for them; nor before a lottery is drawn to the end.
    All of it is judged in the read-write transaction.
    """
    sale = find_sale(transaction, sale_id)
    if sale is None or sale.phase(database_time) is not Phase.CLOSED or has_deadlines(transaction, sale_id):
        return 0
    if sale.is_lottery and not is_drawn(transaction, sale_id):
        return 0
    lapses = [
        Settlement(key, Trigger.LAPSE, "deadlines", "the sale is over")
        for key in waiting_keys(transaction, sale_id, at_most)
    ]
    return len(settle_batch(transaction, sale_id, lapses, database_time, writer)) if lapses else 0
