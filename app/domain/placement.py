"""The decision over a batch of requests: who gets units, who waits, who is refused. Pure; the transaction around it is thin.

Requests are taken in arrival order. Nobody is waitlisted or refused while any shard has stock for them (invariant 3), so a
decision that lacks stock in its own shard asks for all the shards before it says no.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.domain.errors import (
    AlreadyEntered,
    FairdropError,
    IdempotencyKeyReused,
    LimitExceeded,
    PaymentMethodRequired,
    SoldOut,
)
from app.domain.orders import Order, OrderRequest
from app.domain.sale import Sale
from app.domain.states import LIVE, NEW, Status, Trigger, transition
from app.domain.stock import Cause, ShardState, StockBook


@dataclass(frozen=True, slots=True)
class NewOrder:
    """A request that is recorded: with units (PENDING, PLACED), waiting, or entered in a lottery.

    `seq` is its place in the transaction.
    """

    request: OrderRequest
    trigger: Trigger
    status: Status
    event: str
    seq: int


@dataclass(frozen=True, slots=True)
class Replayed:
    """The request met its own order of an earlier try."""

    order: Order


@dataclass(frozen=True, slots=True)
class Refused:
    """The request was refused and leaves no trace."""

    error: FairdropError


Outcome = NewOrder | Replayed | Refused


@dataclass(frozen=True, slots=True)
class Decision:
    """One outcome a request, in the batch's order; the orders to insert, by `seq`; the shards as they must be written.

    Two tries of one request in one batch share one NewOrder.
    """

    outcomes: list[Outcome]
    new_orders: list[NewOrder]
    shards: list[ShardState]
    cause: Cause


class OtherShardsNeeded:
    """The own shard is short: decide again with every shard of the sale."""


class _Lane:
    """The running state of one decision."""

    def __init__(self, sale: Sale, home: int, book: StockBook, existing: Mapping[str, Sequence[Order]]) -> None:
        self.sale = sale
        self.home = home
        self.book = book
        self.existing = existing
        self.taken: dict[str, NewOrder] = {}
        self.units_of: dict[str, int] = {}
        self.entered: dict[str, str] = {}
        self.sees_all = False

    def live_units(self, customer_id: str) -> int:
        stored = sum(o.units for o in self.existing.get(customer_id, ()) if o.status in LIVE)
        return stored + self.units_of.get(customer_id, 0)

    def earlier(self, request: OrderRequest) -> Outcome | None:
        """The order that an earlier try of this request made, in the database or in this batch."""
        for order in self.existing.get(request.customer_id, ()):
            if order.order_id == request.order_id:
                if order.fingerprint != request.fingerprint:
                    return Refused(IdempotencyKeyReused(order_id=order.order_id))
                return Replayed(order)
        twin = self.taken.get(request.order_id)
        if twin is not None and twin.request.fingerprint != request.fingerprint:
            return Refused(IdempotencyKeyReused(order_id=request.order_id))
        return twin

    def terms_broken(self, request: OrderRequest) -> FairdropError | None:
        live = self.live_units(request.customer_id)
        if live + request.units > self.sale.limit_per_customer:
            return LimitExceeded(limit=self.sale.limit_per_customer, live_units=live, units=request.units)
        if request.payment_method is None and not self.sale.is_free:
            return PaymentMethodRequired(sale_id=self.sale.sale_id)
        return None

    def entry_of(self, customer_id: str) -> str | None:
        """The id of the customer's live entry: more than one would be more chances than others have."""
        stored = (o.order_id for o in self.existing.get(customer_id, ()) if o.status in LIVE)
        return self.entered.get(customer_id) or next(stored, None)

    def enter(self, request: OrderRequest) -> Outcome:
        """Take an entry to the draw. It holds nothing; its shard's new version makes it fail should the sale have changed."""
        entered = self.entry_of(request.customer_id)
        if entered is not None:
            return Refused(AlreadyEntered(order_id=entered))
        error = self.terms_broken(request)
        if error is not None:
            return Refused(error)
        self.book.touch(self.home)
        self.entered[request.customer_id] = request.order_id
        return self.record(request, Trigger.ENTER)

    def record(self, request: OrderRequest, trigger: Trigger) -> NewOrder:
        outcome = transition(NEW, trigger)
        new = NewOrder(request, trigger, outcome.status, outcome.event, seq=len(self.taken))
        self.taken[request.order_id] = new
        self.units_of[request.customer_id] = self.units_of.get(request.customer_id, 0) + request.units
        return new

    def place(self, request: OrderRequest) -> Outcome | OtherShardsNeeded:
        if self.sale.is_lottery:
            return self.enter(request)
        error = self.terms_broken(request)
        if error is not None:
            return Refused(error)
        if self.book.available(self.home) >= request.units or (
            self.sees_all and self.book.gather(self.home, request.units)
        ):
            self.book.hold(self.home, request.units)
            return self.record(request, Trigger.CLAIM if self.sale.is_free else Trigger.RESERVE)
        if not self.sees_all:
            return OtherShardsNeeded()
        if self.book.total_waiting < self.sale.waitlist_limit:
            self.book.wait(self.home, 1)
            return self.record(request, Trigger.WAITLIST)
        return Refused(SoldOut(as_of=None, age_ms=0.0))


def decide(
    sale: Sale,
    home: ShardState,
    others: Sequence[ShardState] | None,
    existing: Mapping[str, Sequence[Order]],
    batch: Sequence[OrderRequest],
    refusal: FairdropError | None = None,
) -> Decision | OtherShardsNeeded:
    """Decide a batch, in its order.

    `others` are the sale's other shards, or None when they were not read; then the answer may be OtherShardsNeeded.
    `existing` holds, for each customer of the batch, their orders of this sale. `refusal` refuses all but earlier tries.
    """
    lane = _Lane(sale, home.shard_id, StockBook([home, *(others or ())]), existing)
    lane.sees_all = others is not None
    outcomes: list[Outcome] = []
    for request in batch:
        outcome = lane.earlier(request)
        if outcome is None:
            placed = Refused(refusal) if refusal is not None else lane.place(request)
            if isinstance(placed, OtherShardsNeeded):
                return placed
            outcome = placed
        outcomes.append(outcome)
    shards = lane.book.changes()
    return Decision(outcomes, list(lane.taken.values()), shards, Cause.MOVED if len(shards) > 1 else Cause.PLACED)
