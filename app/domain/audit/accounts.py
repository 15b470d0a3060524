"""The money of an order, as an audit lays it side by side: the order, its payment, and the gateway's authorizations.

The payment service's states are its own affair; what of them matters to an audit is their `Standing`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple

from app.domain.audit.findings import order_name
from app.domain.audit.rows import StoredOrder
from app.domain.states import Status

GRACE = timedelta(minutes=15)
"""How long something may be under way before the audit calls it forgotten: longer than the payment service's own sweep takes."""


class Standing(StrEnum):
    """What a payment's state says of the money."""

    ASKED = "an authorization is asked for"
    HELD = "the amount is set aside"
    MOVING = "a capture, a void or a refund is under way"
    TAKEN = "the amount is captured"
    LOOSE = "a capture failed, and the amount may still be set aside"
    REFUSED = "nothing was ever set aside"
    RETURNED = "all is given back"
    STUCK = "the gateway refuses to give it back"


GONE = frozenset({Standing.REFUSED, Standing.RETURNED})
"""Nothing of the customer's money is held, and never will be again."""


class StoredPayment(NamedTuple):
    """A row of Payments. Times in microseconds."""

    order_id: str
    sale_id: str
    customer_id: str
    amount_minor: int
    currency: str
    wanted: str
    state: str
    reference: str | None
    event_seq: int
    open_since: int | None
    created_at: int


class BookEntry(NamedTuple):
    """An authorization in the gateway's book."""

    authorization_id: str
    order_id: str
    state: str
    amount_minor: int
    currency: str
    captured_minor: int
    refunded_minor: int

    @property
    def kept_minor(self) -> int:
        """What was captured and not given back."""
        return self.captured_minor - self.refunded_minor

    @property
    def is_open(self) -> bool:
        """Whether the amount is set aside, and neither taken nor let go."""
        return self.state == "authorized"


class Account(NamedTuple):
    """All that is known of one order's money.

    `changed_at` is when the order last changed; `sale_of_payment` the sale of a payment made since the payments were read.
    """

    order_id: str
    order: StoredOrder | None
    changed_at: int | None
    payment: StoredPayment | None
    entries: list[BookEntry]
    sale_of_payment: str | None = None

    @property
    def name(self) -> str:
        """How a violation names it."""
        if self.order is not None:
            return order_name(self.order.customer_id, self.order_id)
        return f"payment of order {self.order_id}" if self.payment is not None else f"order {self.order_id}"

    @property
    def due_minor(self) -> int:
        """What the whole order costs."""
        return self.order.units * self.order.unit_price_minor if self.order is not None else 0

    @property
    def is_placed(self) -> bool:
        """Whether the order is to be paid, and to stay so."""
        return self.order is not None and self.order.status == Status.PLACED


@dataclass(frozen=True, slots=True)
class Patience:
    """What may still be under way. Times and spans in microseconds; the orders were read at `orders_at`, the payments at
    `payments_at`, which is not earlier. When all is said to be settled, nothing may.
    """

    orders_at: int
    payments_at: int
    grace: int
    is_settled: bool

    def allows(self, since: int) -> bool:
        """Whether what began then may not have come to its end yet."""
        return not self.is_settled and not self.is_forgotten(since)

    def is_forgotten(self, since: int) -> bool:
        """Whether what began then, or was due then, should have ended whatever was under way."""
        return self.payments_at - since > self.grace

    def is_new(self, made_at: int) -> bool:
        """Whether it was made after the orders were read, so that they need not show it."""
        return made_at > self.orders_at and not self.is_settled


def money(amount_minor: int, currency: str) -> str:
    """An amount as a violation tells it, in minor units."""
    return f"{amount_minor:,} minor units of {currency}"


Standings = Mapping[str, Standing]
"""By the text of a payment's state."""
