"""A sale: its terms, what they may be, and the phase it is in at a moment of the database's clock."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from app.domain.currency import CURRENCIES
from app.domain.errors import FairdropError, InvalidValue, SaleClosed, SaleNotOpen, SalePaused

MAX_STOCK_UNITS = 10**9
MAX_LIMIT_PER_CUSTOMER = 1_000
MAX_WAITLIST_ORDERS = 1_000_000
"""The waitlist is a promise to look at each order in it whenever a unit is freed, so it has a bound."""
MAX_UNIT_PRICE_MINOR = 10**12
MAX_EXPECTED_CROWD = 10**9
MAX_SHARD_COUNT = 512
"""A transaction that takes stock over reads every shard; 512 rows are one read of a few milliseconds."""
MAX_SALE_DURATION = timedelta(days=90)
"""The stock ledger keeps 90 days, and lets no lane's memory grow older than a sale."""

CUSTOMERS_PER_SHARD = 20_000
"""About ten seconds of what one process takes (`scripts/bench`): a crowd that comes within them keeps one shard a process."""
MIN_UNITS_PER_SHARD = 10
"""With fewer units a shard runs dry at once, and the stock is taken over more often than it is sold."""


class SaleState(StrEnum):
    """What the seller has decided. Whether a scheduled sale is open follows from the database's clock."""

    SCHEDULED = "SCHEDULED"
    PAUSED = "PAUSED"
    CLOSED = "CLOSED"


class Policy(StrEnum):
    """Who gets the stock: `fcfs`, strictly first come, first served; `lottery`, a draw among all who entered."""

    FCFS = "fcfs"
    LOTTERY = "lottery"


class Phase(StrEnum):
    """What a customer sees of the state and the clock together."""

    SCHEDULED = "scheduled"
    OPEN = "open"
    PAUSED = "paused"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Sale:
    """The terms of one sale. Money in minor units of `currency` (ISO 4217); times in UTC."""

    sale_id: str
    name: str
    state: SaleState
    policy: Policy
    unit_price_minor: int
    currency: str
    stock: int
    shard_count: int
    limit_per_customer: int
    waitlist_limit: int
    expected_crowd: int
    opens_at: datetime
    closes_at: datetime
    hold_seconds: int
    cancel_window_seconds: int

    @property
    def is_lottery(self) -> bool:
        """Whether orders are entries to a draw."""
        return self.policy is Policy.LOTTERY

    @property
    def is_free(self) -> bool:
        """Whether an order is placed at once, with nothing to pay."""
        return self.unit_price_minor == 0

    def phase(self, database_time: datetime) -> Phase:
        """The phase at a time of the database's clock."""
        if self.state is SaleState.CLOSED or database_time >= self.closes_at:
            return Phase.CLOSED
        if self.state is SaleState.PAUSED:
            return Phase.PAUSED
        return Phase.OPEN if database_time >= self.opens_at else Phase.SCHEDULED

    def refusal(self, proven_time: datetime, estimated_time: datetime) -> FairdropError | None:
        """Why a new order may not be taken, or None.

        The opening is judged by `proven_time`, a timestamp the database has given out: a later commit has a later one. The
        closing is judged by `estimated_time`, for an order a moment too late harms nobody.
        """
        if self.state is SaleState.CLOSED or estimated_time >= self.closes_at:
            return SaleClosed(closes_at=self.closes_at)
        if self.state is SaleState.PAUSED:
            return SalePaused(sale_id=self.sale_id)
        if proven_time < self.opens_at:
            left = max(0.0, (self.opens_at - estimated_time).total_seconds())
            return SaleNotOpen(opens_at=self.opens_at, seconds_left=left)
        return None


def default_shard_count(stock: int, expected_crowd: int) -> int:
    """The power of two that gives each process of the expected crowd a shard of its own, and no shard a handful of units."""
    wanted = max(4, -(-expected_crowd // CUSTOMERS_PER_SHARD))
    bearable = max(1, stock // MIN_UNITS_PER_SHARD)
    count = 1
    while count < wanted and count * 2 <= min(bearable, MAX_SHARD_COUNT):
        count *= 2
    return count


def default_waitlist_limit(stock: int) -> int:
    """As many waiting orders as there are units: enough to refill every unit once."""
    return min(stock, MAX_WAITLIST_ORDERS)


def default_expected_crowd(stock: int) -> int:
    """A hundred customers a unit, when the seller does not say."""
    return min(max(stock * 100, 1_000), MAX_EXPECTED_CROWD)


def spread(stock: int, shard_count: int) -> list[int]:
    """The stock over the shards as evenly as whole units go; the sum is the stock."""
    share, rest = divmod(stock, shard_count)
    return [share + (1 if shard < rest else 0) for shard in range(shard_count)]


_RANGES: tuple[tuple[str, int, int], ...] = (
    ("stock", 0, MAX_STOCK_UNITS),
    ("unit_price_minor", 0, MAX_UNIT_PRICE_MINOR),
    ("limit_per_customer", 1, MAX_LIMIT_PER_CUSTOMER),
    ("waitlist_limit", 0, MAX_WAITLIST_ORDERS),
    ("expected_crowd", 1, MAX_EXPECTED_CROWD),
    ("shard_count", 1, MAX_SHARD_COUNT),
    ("hold_seconds", 10, 7 * 24 * 3600),
    ("cancel_window_seconds", 0, 30 * 24 * 3600),
)


def check_terms(sale: Sale) -> None:
    """Raise InvalidValue for the first term outside its range; the field is named as the API names it."""
    if not sale.name.strip():
        raise InvalidValue(field="name", rule="must not be blank")
    for field, low, high in _RANGES:
        if not low <= getattr(sale, field) <= high:
            raise InvalidValue(field=field, rule=f"must be from {low} to {high}")
    if sale.currency not in CURRENCIES:
        raise InvalidValue(field="currency", rule="must be an ISO 4217 code, such as EUR")
    if sale.opens_at >= sale.closes_at:
        raise InvalidValue(field="closes_at", rule="must be after opens_at")
    if sale.closes_at - sale.opens_at > MAX_SALE_DURATION:
        raise InvalidValue(field="closes_at", rule=f"must be at most {MAX_SALE_DURATION.days} days after opens_at")


CHANGEABLE_WHILE_PAUSED = frozenset({"name", "limit_per_customer", "waitlist_limit", "closes_at"})
"""What may change once customers have ordered: never the price, the opening, or the shards that the stock lies on."""


def changed(sale: Sale, changes: dict[str, object], phase: Phase) -> Sale:
    """The sale with the changes applied; raises InvalidValue for one that this phase does not allow or that breaks a rule."""
    if phase is Phase.PAUSED:
        for field in changes:
            if field not in CHANGEABLE_WHILE_PAUSED:
                raise InvalidValue(field=field, rule="cannot change once the sale has opened; only " + _listed())
    result = replace(sale, **changes)  # type: ignore[arg-type]  # the caller's model has the fields and types of Sale
    check_terms(result)
    return result


def _listed() -> str:
    return ", ".join(sorted(CHANGEABLE_WHILE_PAUSED)) + " can"
