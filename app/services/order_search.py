"""Finding orders for a person: by customer or by id, with their history; and all of a sale's, page by page, for an export."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from app.domain.errors import SaleNotFound
from app.domain.ids import is_order_id
from app.domain.orders import Order
from app.storage.console import OrderEvent, customer_of_order, history_of, page_of_line
from app.storage.database import FairdropDatabase, snapshot
from app.storage.orders import list_orders
from app.storage.sales import sale_as_of
from app.storage.stock import read_shards

FOUND_AT_MOST = 100
"""Of one customer; the limit per customer allows few more, cancelled ones aside."""

ORDERS_PER_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class FoundOrder:
    """An order and its history."""

    order: Order
    events: Sequence[OrderEvent]


@dataclass(frozen=True, slots=True)
class Export:
    """Where an export reads: every page at one database timestamp, so that it is the sale as it was then."""

    sale_id: str
    as_of: datetime
    shard_ids: tuple[int, ...]


def orders_of_customer(database: FairdropDatabase, sale_id: str, customer_id: str) -> list[FoundOrder]:
    """A customer's orders of a sale, the latest place first."""
    with snapshot(database) as reads:
        orders = list_orders(reads, customer_id, sale_id, None, FOUND_AT_MOST)
        events = history_of(reads, customer_id, sale_id) if orders else {}
    found = [FoundOrder(order, events.get(order.order_id, ())) for order in orders]
    return sorted(found, key=lambda each: each.order.placed_at, reverse=True)


def order_by_id(database: FairdropDatabase, sale_id: str, order_id: str) -> list[FoundOrder]:
    """The order of this id, or nothing. Walks through the sale's orders: seconds for a million."""
    if not is_order_id(order_id):
        return []
    with snapshot(database) as reads:
        customer_id = customer_of_order(reads, sale_id, order_id)
    if customer_id is None:
        return []
    return [each for each in orders_of_customer(database, sale_id, customer_id) if each.order.order_id == order_id]


def begin_export(database: FairdropDatabase, sale_id: str) -> Export:
    """An export as of now. Raises SaleNotFound."""
    with snapshot(database) as reads:
        sale, as_of = sale_as_of(reads, sale_id)
        if sale is None:
            raise SaleNotFound(sale_id=sale_id)
        return Export(sale_id, as_of, tuple(shard.shard_id for shard in read_shards(reads, sale_id)))


def export_pages(database: FairdropDatabase, export: Export) -> Iterator[Sequence[tuple[Order, datetime]]]:
    """Every order with when it was received, shard by shard in queue order, in pages. Raises StorageUnavailable."""
    for shard_id in export.shard_ids:
        after: tuple[datetime, int] | None = None
        while True:
            with snapshot(database, read_timestamp=export.as_of) as reads:
                page = page_of_line(reads, export.sale_id, shard_id, after, ORDERS_PER_PAGE)
            if page:
                last = page[-1][0]
                after = (last.placed_at, last.seq)
                yield page
            if len(page) < ORDERS_PER_PAGE:
                break
