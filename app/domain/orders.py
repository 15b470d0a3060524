"""An order as stored, and a request for one as it came in."""

from dataclasses import dataclass
from datetime import datetime

from app.domain.states import FINAL, Status

MAX_CUSTOMER_ID_LENGTH = 128
MAX_IDEMPOTENCY_KEY_LENGTH = 255
MAX_PAYMENT_METHOD_LENGTH = 256
MAX_EVENT_SEQ = 2**31 - 1
"""An order has some ten events in its life; the bound is for numbers that clients send."""


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """What a customer asks for. `received_at` is the server's clock and only reported on; arrival order decides.

    `traceparent` names the span that the order's events continue; None when it is not traced.
    """

    customer_id: str
    order_id: str
    units: int
    fingerprint: str
    payment_method: str | None
    received_at: datetime
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """One row of Orders. (placed_at, shard_id, seq) is the queue position; `placed_at` is the commit timestamp.

    `event_seq` grows by one with every change. `draw_place` is the place that a lottery's draw gave, 1 the first.
    """

    customer_id: str
    sale_id: str
    order_id: str
    status: Status
    units: int
    unit_price_minor: int
    currency: str
    shard_id: int
    seq: int
    placed_at: datetime
    fingerprint: str
    due_at: datetime | None
    confirmed_at: datetime | None = None
    event_seq: int = 1
    draw_place: int | None = None

    @property
    def is_final(self) -> bool:
        """Whether the status will never change again."""
        return self.status in FINAL

    @property
    def is_claimable(self) -> bool:
        """Whether a claim code may be redeemed for it: a giveaway's order, and placed."""
        return self.status is Status.PLACED and self.unit_price_minor == 0

    @property
    def is_cancellable(self) -> bool:
        """Whether the order's state takes a cancel; an entry only until the sale closes, and once the payment
        is authorized only up to `cancellable_until`.
        """
        if self.status is Status.AUTHORIZED:
            return self.confirmed_at is None
        return self.status in (Status.ENTERED, Status.PENDING, Status.WAITLISTED)

    @property
    def cancellable_until(self) -> datetime | None:
        """When the cancel window closes, by the database's clock; None while none is open."""
        return self.due_at if self.status is Status.AUTHORIZED and self.confirmed_at is None else None
