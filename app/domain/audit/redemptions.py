"""Invariant 9: what was handed over was a giveaway's order that is PLACED, whole, and once."""

from collections.abc import Iterable, Iterator

from app.domain.audit.findings import Violation
from app.domain.audit.rows import Redeemed
from app.domain.states import Status


def redemption_breaks(redemptions: Iterable[Redeemed]) -> Iterator[Violation]:
    """Redemptions, by order id, that are of no order, of one not PLACED or with a price, of other units, too early, or a second."""
    before: Redeemed | None = None
    for row in redemptions:
        name = f"redemption of order {row.order_id} at till {row.till_id}"
        if before is not None and before.order_id == row.order_id:
            yield Violation(name, "the order was redeemed before")
        before = row
        if row.order_status is None or row.placed_at is None:
            yield Violation(name, "there is no such order in this sale")
            continue
        if row.order_status != Status.PLACED:
            yield Violation(name, f"the order is {row.order_status}")
        if row.unit_price_minor:
            yield Violation(name, "the order has a price, and no claim code")
        if row.units != row.order_units:
            yield Violation(name, f"{row.units} units were handed over, and the order has {row.order_units}")
        if row.redeemed_at <= row.placed_at:
            yield Violation(name, "it was redeemed before it was placed")
