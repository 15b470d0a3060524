"""What each step of an order's life writes and says: rows by the schema in spanner_schema/, index entries counted as rows.

`fairdrop scenario burgers` measures the rows of a placed free order; the other steps are counted from the schema.
"""

from dataclasses import dataclass

from app.domain.planning.shape import SaleShape
from app.domain.sale import Policy


@dataclass(frozen=True, slots=True)
class Step:
    """Rows written, rows or ranges read, and bytes of values that stay, an order; events published."""

    rows_written: float
    rows_read: float
    stored_bytes: float
    events: float


PLACE_FREE = Step(rows_written=4, rows_read=2, stored_bytes=900, events=1)
"""Orders, OrdersByPlacedAt, OrderEvents, Outbox. Read: the customer's orders of the sale; the outbox row, when relayed."""

PLACE = Step(rows_written=5, rows_read=2, stored_bytes=950, events=1)
"""And an entry of OrdersByDueAt: a hold."""

WAIT = Step(rows_written=6, rows_read=2, stored_bytes=1_000, events=1)
"""As PLACE_FREE, and an entry of OrdersByWaitlistedAt and of OrdersByWaitingUnits."""

PROMOTE = Step(rows_written=6, rows_read=3, stored_bytes=550, events=1)
"""Orders; out of two indexes and into another; OrderEvents, Outbox."""

AUTHORIZE = Step(rows_written=10, rows_read=5, stored_bytes=1_900, events=2)
"""Payments (asked, answered), PaymentsByOpenSince (in, out), its Outbox; then Orders, DueAt (out, in), OrderEvents, Outbox."""

DECLINE = Step(rows_written=9, rows_read=5, stored_bytes=1_900, events=2)
"""As AUTHORIZE, without a new time at which the order is due."""

CAPTURE = Step(rows_written=14, rows_read=7, stored_bytes=2_450, events=3)
"""The order confirmed (Orders, DueAt, OrderEvents, Outbox: 5), the payment captured (5), the order PLACED (4)."""


@dataclass(frozen=True, slots=True)
class Work:
    """Rows, bytes and events of a whole phase of a sale."""

    rows_written: float
    rows_read: float
    stored_bytes: float
    events: float


def _sum(*parts: tuple[float, Step]) -> Work:
    return Work(
        sum(number * step.rows_written for number, step in parts),
        sum(number * step.rows_read for number, step in parts),
        sum(number * step.stored_bytes for number, step in parts),
        sum(number * step.events for number, step in parts),
    )


def placing(shape: SaleShape, commits: float) -> Work:
    """Recording the orders; each commit writes the shard and its ledger row besides (2 rows, 150 bytes that stay)."""
    counter = Step(rows_written=2, rows_read=0, stored_bytes=150, events=0)
    waiting = 0 if shape.policy is Policy.LOTTERY else max(0, shape.orders - shape.stock)
    taken = shape.orders - waiting
    return _sum((taken, PLACE_FREE if shape.is_free else PLACE), (waiting, WAIT), (commits, counter))


def settling(shape: SaleShape) -> Work:
    """Authorizing, declining and promoting, until the stock is filled."""
    declined = shape.authorizations - shape.sold if not shape.is_free else 0
    authorized = shape.sold if not shape.is_free else 0
    return _sum((authorized, AUTHORIZE), (declined, DECLINE), (declined, PROMOTE))


def capturing(shape: SaleShape) -> Work:
    """When the cancel windows close."""
    return _sum((0 if shape.is_free else shape.sold, CAPTURE))
