"""Invariant 2 once all is over: every order has ended, and every unit that somebody could have had is sold."""

from collections.abc import Iterable, Iterator

from app.domain.audit.findings import Violation, order_name
from app.domain.audit.rows import StoredOrder
from app.domain.states import Status


def not_ended(orders: Iterable[StoredOrder], *, is_over: bool) -> Iterator[Violation]:
    """Orders that still wait for something: for their payment, or in the waitlist or for the draw of a sale that is over."""
    for order in orders:
        name = order_name(order.customer_id, order.order_id)
        if order.status in (Status.PENDING, Status.AUTHORIZED):
            yield Violation(name, f"is still {order.status}")
        elif order.status in (Status.WAITLISTED, Status.ENTERED) and is_over:
            yield Violation(name, f"is still {order.status}, and the sale is over")


def lapsed_beside_stock(available: int, lapsed: Iterable[StoredOrder]) -> Iterator[Violation]:
    """Orders whose waiting was ended though a unit that could have served them is left: nothing adds any once a sale is over."""
    for order in lapsed:
        if order.units <= available:
            yield Violation(
                order_name(order.customer_id, order.order_id),
                f"waited for {order.units} units until it lapsed, and {available} were never sold",
            )
