"""An order as stored, and a request for one as it came in."""

from dataclasses import dataclass
from datetime import datetime

from app.domain.states import Status

MAX_CUSTOMER_ID_LENGTH = 128
MAX_IDEMPOTENCY_KEY_LENGTH = 255
MAX_PAYMENT_METHOD_LENGTH = 256


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """What a customer asks for. `received_at` is the server's clock and only reported on; arrival order decides."""

    customer_id: str
    order_id: str
    units: int
    fingerprint: str
    payment_method: str | None
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Order:
    """One row of Orders. (placed_at, shard_id, seq) is the queue position; `placed_at` is the commit timestamp."""

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
