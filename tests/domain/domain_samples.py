"""Sales, shards, requests and orders as the tests of the domain need them: plain values with unremarkable defaults."""

from datetime import UTC, datetime, timedelta
from typing import Any

from app.domain.ids import fingerprint, order_id
from app.domain.orders import Order, OrderRequest
from app.domain.sale import Policy, Sale, SaleState
from app.domain.states import Status
from app.domain.stock import ShardState

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
SALE_ID = "burger"


def a_sale(**terms: Any) -> Sale:
    """A free sale of 100 units from noon to one, with room for many units a customer and waiting orders."""
    defaults: dict[str, Any] = {
        "sale_id": SALE_ID,
        "name": "Burger",
        "state": SaleState.SCHEDULED,
        "policy": Policy.FCFS,
        "unit_price_minor": 0,
        "currency": "EUR",
        "stock": 100,
        "shard_count": 4,
        "limit_per_customer": 1_000,
        "waitlist_limit": 100,
        "expected_crowd": 1_000,
        "opens_at": NOON,
        "closes_at": NOON + timedelta(hours=1),
        "hold_seconds": 600,
        "cancel_window_seconds": 1_800,
    }
    return Sale(**{**defaults, **terms})


def a_shard(available: int, *, shard_id: int = 0, waiting: int = 0, sold: int = 0, version: int = 1) -> ShardState:
    """A shard with so many units on offer and so many sold."""
    return ShardState(shard_id, version, available + sold, available, waiting)


def a_request(customer_id: str, units: int = 1, key: str = "key", payment_method: str | None = None) -> OrderRequest:
    """A request as the service makes it: id and fingerprint follow from what is asked."""
    return OrderRequest(
        customer_id,
        order_id(SALE_ID, customer_id, key),
        units,
        fingerprint(units, payment_method),
        payment_method,
        received_at=NOON,
    )


def stored(request: OrderRequest, status: Status = Status.PLACED) -> Order:
    """The order that an earlier try of the request made."""
    return Order(
        request.customer_id,
        SALE_ID,
        request.order_id,
        status,
        request.units,
        0,
        "EUR",
        shard_id=0,
        seq=0,
        placed_at=NOON,
        fingerprint=request.fingerprint,
        due_at=None,
    )
