"""Reading a customer's own orders."""

from app.domain.errors import OrderNotFound
from app.domain.orders import Order
from app.storage.database import FairdropDatabase, snapshot
from app.storage.orders import find_order, list_orders


def own_order(database: FairdropDatabase, customer_id: str, sale_id: str, order_id: str) -> Order:
    """The customer's order as it now stands. Raises OrderNotFound, also for somebody else's; one strong read."""
    with snapshot(database) as reads:
        order = find_order(reads, customer_id, sale_id, order_id)
    if order is None:
        raise OrderNotFound(order_id=order_id)
    return order


def own_orders(
    database: FairdropDatabase, customer_id: str, sale_id: str | None, after: tuple[str, str] | None, page_size: int
) -> tuple[list[Order], tuple[str, str] | None]:
    """A page of the customer's orders by sale and order id, and where the next page begins (None: there is none)."""
    with snapshot(database) as reads:
        orders = list_orders(reads, customer_id, sale_id, after, page_size + 1)
    page = orders[:page_size]
    more = len(orders) > page_size
    return page, ((page[-1].sale_id, page[-1].order_id) if more else None)
