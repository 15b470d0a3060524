"""What the seller's console reads: small bounded reads of keys and indexes, at a moment a second ago, which takes no locks."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from google.cloud.spanner_v1 import KeyRange, KeySet
from google.cloud.spanner_v1.snapshot import Snapshot

from app.domain.orders import Order
from app.storage.database import FairdropDatabase, snapshot
from app.storage.orders import EVENTS, ORDER_COLUMNS, order_of_row

STALENESS = timedelta(seconds=1)
"""A replica that is near may answer, and need not ask the leader how far it has come."""

COUNTED_AT_MOST = 1_000
"""What is late is counted so far and no further: how much more it is changes nothing for who must look into it."""


@dataclass(frozen=True, slots=True)
class OrderEvent:
    """One step of an order's history."""

    event_seq: int
    status: str
    trigger: str
    actor: str
    reason: str | None
    committed_at: datetime


@contextmanager
def a_second_ago(database: FairdropDatabase) -> Iterator[Snapshot]:
    """A snapshot for the console."""
    with snapshot(database, exact_staleness=STALENESS) as reads:
        yield reads


def overdue(reads: Any, sale_id: str, shard_ids: Iterable[int], before: datetime) -> int:
    """Orders of a sale whose deadline has passed and was not dealt with, counted up to COUNTED_AT_MOST. One read of an index."""
    ranges = [KeyRange(start_closed=[sale_id, shard], end_open=[sale_id, shard, before]) for shard in shard_ids]
    return len(
        list(reads.read("Orders", ("DueAt",), KeySet(ranges=ranges), index="OrdersByDueAt", limit=COUNTED_AT_MOST))
    )


def count_orders(reads: Any, sale_id: str, at_most: int) -> int:
    """A sale's orders, counted up to `at_most`. One read of an index."""
    keys = KeySet(ranges=[KeyRange(start_closed=[sale_id], end_closed=[sale_id])])
    return len(list(reads.read("Orders", ("Seq",), keys, index="OrdersByPlacedAt", limit=at_most)))


def customer_of_order(reads: Any, sale_id: str, order_id: str) -> str | None:
    """Whose order it is, or None. No index leads with the order's id: this walks through the sale's, and is for people only."""
    query = (
        "SELECT CustomerId FROM Orders@{FORCE_INDEX=OrdersByPlacedAt} WHERE SaleId = @sale AND OrderId = @order LIMIT 1"
    )
    texts = _text_types("sale", "order")
    rows = list(reads.execute_sql(query, params={"sale": sale_id, "order": order_id}, param_types=texts))
    return rows[0][0] if rows else None


def _text_types(*names: str) -> dict[str, Any]:
    from google.cloud.spanner_v1 import param_types  # noqa: PLC0415  # untyped, and needed here alone

    return dict.fromkeys(names, param_types.STRING)


def history_of(reads: Any, customer_id: str, sale_id: str) -> dict[str, list[OrderEvent]]:
    """Every event of a customer's orders of one sale, by order, in their order. One read."""
    prefix = [customer_id, sale_id]
    keys = KeySet(ranges=[KeyRange(start_closed=prefix, end_closed=prefix)])
    found: dict[str, list[OrderEvent]] = {}
    for order_id, *event in reads.read("OrderEvents", EVENTS[2:], keys):
        found.setdefault(order_id, []).append(OrderEvent(*event))
    return found


def page_of_line(
    reads: Any, sale_id: str, shard_id: int, after: tuple[datetime, int] | None, at_most: int
) -> Sequence[tuple[Order, datetime]]:
    """Up to `at_most` orders of one shard in queue order, each with when the server received it, after (placed_at, seq).

    Two reads.
    """
    prefix = [sale_id, shard_id]
    start = {"start_closed": prefix} if after is None else {"start_open": [*prefix, *after]}
    line = KeySet(ranges=[KeyRange(**start, end_closed=prefix)])
    columns = ("CustomerId", "SaleId", "OrderId")
    names = list(reads.read("Orders", columns, line, index="OrdersByPlacedAt", limit=at_most))
    if not names:
        return []
    rows = reads.read("Orders", (*ORDER_COLUMNS, "ReceivedAt"), KeySet(keys=names))
    found = [(order_of_row(row[:-1]), row[-1]) for row in rows]
    return sorted(found, key=lambda each: (each[0].placed_at, each[0].seq))
