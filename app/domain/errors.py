"""What can go wrong: one exception per thing, carrying the facts as fields. `app/http/problems.py` maps each to a problem type."""

from dataclasses import dataclass
from datetime import datetime


class FairdropError(Exception):
    """Any operating error that Fairdrop answers for."""


@dataclass(eq=False)
class InvalidValue(FairdropError):
    """A value breaks a rule. `field` names it as the API does; `rule` says what would be right."""

    field: str
    rule: str

    def __str__(self) -> str:
        return f"{self.field}: {self.rule}"


@dataclass(eq=False)
class SaleNotFound(FairdropError):
    """No sale has this id."""

    sale_id: str


@dataclass(eq=False)
class SaleExists(FairdropError):
    """A sale of this id exists already, with other terms."""

    sale_id: str


@dataclass(eq=False)
class SaleNotOpen(FairdropError):
    """The database's clock has not reached the opening."""

    opens_at: datetime
    seconds_left: float


@dataclass(eq=False)
class SalePaused(FairdropError):
    """The seller has paused the sale."""

    sale_id: str


@dataclass(eq=False)
class SaleClosed(FairdropError):
    """The sale is over, by its closing time or by the seller."""

    closes_at: datetime


@dataclass(eq=False)
class SaleStateRefused(FairdropError):
    """The sale's state does not take this action of the seller's."""

    action: str
    phase: str


@dataclass(eq=False)
class SoldOut(FairdropError):
    """No shard had the units and the waitlist was full, at database time `as_of`, `age_ms` before the answer."""

    as_of: datetime | None
    age_ms: float


@dataclass(eq=False)
class RateLimited(FairdropError):
    """Too many requests of one customer, or from one address (`limited_by`): more than `burst` at once and `per_second` after."""

    limited_by: str
    wait_seconds: float
    burst: int
    per_second: float


@dataclass(eq=False)
class LimitExceeded(FairdropError):
    """The customer's live orders and this one would pass the limit per customer."""

    limit: int
    live_units: int
    units: int


@dataclass(eq=False)
class AlreadyEntered(FairdropError):
    """The customer has a live entry, `order_id`, in the lottery."""

    order_id: str


@dataclass(eq=False)
class PaymentMethodRequired(FairdropError):
    """A priced sale needs the gateway's token of a payment method."""

    sale_id: str


@dataclass(eq=False)
class IdempotencyKeyReused(FairdropError):
    """The key belongs to an order with another body."""

    order_id: str


@dataclass(eq=False)
class OrderNotFound(FairdropError):
    """The customer has no such order."""

    order_id: str


@dataclass(eq=False)
class TransitionRefused(FairdropError):
    """The order's state does not take this trigger."""

    status: str
    trigger: str


@dataclass(eq=False)
class CancelWindowClosed(FairdropError):
    """The payment is being captured, or is about to be: since `closed_at` the order is not the customer's to cancel."""

    closed_at: datetime


@dataclass(eq=False)
class WithdrawalClosed(FairdropError):
    """The lottery's entries are closed, and the draw has not come to this one yet: since `closed_at` it is not to withdraw."""

    closed_at: datetime


@dataclass(eq=False)
class NotALottery(FairdropError):
    """The sale has no draw."""

    sale_id: str


@dataclass(eq=False)
class ReportNotMade(FairdropError):
    """Nobody has made a fairness report of the sale yet, or the last one is too old to be kept."""

    sale_id: str


@dataclass(eq=False)
class ReportTooLarge(FairdropError):
    """The sale has more orders than a process that serves buyers may make a fairness report of."""

    sale_id: str
    orders_at_most: int


@dataclass(eq=False)
class Overloaded(FairdropError):
    """The lane is full, or the request's deadline passed before its batch was done: come again, with the same key."""

    retry_after_seconds: int


@dataclass(eq=False)
class StorageUnavailable(FairdropError):
    """The database does not answer, or lacks the schema: come again, with the same key."""

    detail: str
    retry_after_seconds: int


@dataclass(eq=False)
class TooManyWaiting(FairdropError):
    """So many requests wait for a change in this process that another gets no place: come again."""

    retry_after_seconds: int


@dataclass(eq=False)
class WaitSuperseded(FairdropError):
    """More than `limit` requests of this customer wait for a change, and newer ones have taken this one's place."""

    limit: int
    retry_after_seconds: int


@dataclass(eq=False)
class RestockReused(FairdropError):
    """The restock's key belongs to a restock of another size."""

    restock_id: str


@dataclass(eq=False)
class ClaimCodeInvalid(FairdropError):
    """What was scanned or typed is no claim code of ours."""

    reason: str


@dataclass(eq=False)
class ClaimNotRedeemable(FairdropError):
    """The code's order is not PLACED: it has another status, or (None) is not there as the code says."""

    status: str | None


@dataclass(eq=False)
class AlreadyRedeemed(FairdropError):
    """The code was redeemed before, at database time `redeemed_at`, at a till."""

    redeemed_at: datetime
    till_id: str
