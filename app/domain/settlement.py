"""The decision over a batch of triggers: how orders move on, whose units come back, and who of the waitlist gets them. Pure.

It has two steps, since the second needs rows that only the first tells: `apply` moves the orders by the table of states, and
`share_out` gives the freed units to the waitlist in the same transaction, so that none is ever on offer to a newcomer while
somebody waits whom it fits.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from app.domain.errors import CancelWindowClosed, FairdropError, OrderNotFound, WithdrawalClosed
from app.domain.orders import Order
from app.domain.promotion import Behind, Promotion, WaitingOrder, promote
from app.domain.sale import MAX_LIMIT_PER_CUSTOMER, Phase, Sale
from app.domain.states import DEADLINES, Status, StockEffect, Trigger, transition
from app.domain.stock import StockBook

CAPTURE_OVERDUE = timedelta(minutes=15)
"""How long a capture may take before it is asked for again."""

FREED_UNITS_PER_STEP = 500
"""A step takes no further order once so many units are free: each may promote an order, at some 31 mutations."""

PROMOTIONS_PER_STEP = FREED_UNITS_PER_STEP + MAX_LIMIT_PER_CUSTOMER
"""Always enough for what one step frees. Whoever waits is larger than all that was on offer before, so no more orders can
be promoted than units were freed; and the last order that a step takes may free as many units as an order can have."""


@dataclass(frozen=True, slots=True)
class OrderKey:
    """The full key of an order."""

    customer_id: str
    sale_id: str
    order_id: str


@dataclass(frozen=True, slots=True)
class Settlement:
    """One thing to settle: which order, by what trigger, who says so and why.

    Without a trigger: by whatever is due to the order when its deadline has passed. `traceparent` names the span that settles it,
    if any.
    """

    order: OrderKey
    trigger: Trigger | None
    actor: str
    reason: str | None = None
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class OrderRecord:
    """An order as stored, with what only its events tell. `traceparent` names the span that took it, if that was traced."""

    order: Order
    payment_method: str | None
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One transition of one order, as its event tells it; `traceparent` is of what settled it, else of what took the order."""

    after: OrderRecord
    trigger: Trigger
    stock: StockEffect
    event: str
    actor: str
    reason: str | None
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Moved:
    """The order went on, to what it now is."""

    order: Order


@dataclass(frozen=True, slots=True)
class Unchanged:
    """There was nothing to do: it was done before, or is not due yet."""

    order: Order


@dataclass(frozen=True, slots=True)
class Refused:
    """The order does not take the trigger, and is as it was."""

    error: FairdropError


Outcome = Moved | Unchanged | Refused


@dataclass(slots=True)
class Applied:
    """What became of the first part of a batch: an outcome each, the steps in order, and what they do to the shards.

    `freed` are units, by the shard they go back to; `left` the orders that leave the waitlist, by their shard.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    freed: Counter[int] = field(default_factory=Counter)
    left: Counter[int] = field(default_factory=Counter)
    gone: set[str] = field(default_factory=set)

    @property
    def shard_ids(self) -> list[int]:
        """The shards that change whoever is promoted."""
        return sorted(self.freed.keys() | self.left.keys())


def apply(sale: Sale, stored: Mapping[OrderKey, OrderRecord], batch: Sequence[Settlement], now: datetime) -> Applied:
    """Move the orders of one sale, in the batch's order, at database time `now`.

    Stops early once FREED_UNITS_PER_STEP units are free: what has no outcome is for the next transaction. Triggers of one order
    build on each other. A refused or repeated trigger leaves no trace.
    """
    records = dict(stored)
    applied = Applied()
    for wish in batch:
        if applied.freed.total() >= FREED_UNITS_PER_STEP:
            break
        record = records.get(wish.order)
        if record is None:
            applied.outcomes.append(Refused(OrderNotFound(order_id=wish.order.order_id)))
            continue
        try:
            step = _step(sale, record, wish, now)
        except FairdropError as error:
            applied.outcomes.append(Refused(error))
            continue
        if step is None:
            applied.outcomes.append(Unchanged(record.order))
            continue
        records[wish.order] = step.after
        _note(applied, record.order, step)
        applied.outcomes.append(Moved(step.after.order))
    return applied


def _step(sale: Sale, record: OrderRecord, wish: Settlement, now: datetime) -> Step | None:
    """The order's transition; None when there is nothing to do.

    Raises TransitionRefused, CancelWindowClosed or WithdrawalClosed.
    """
    order = record.order
    trigger = wish.trigger
    if trigger is None:
        trigger = DEADLINES.get(order.status)
        if trigger is None or order.due_at is None or now < order.due_at:
            return None
    if trigger is Trigger.CANCEL:
        if order.status is Status.CANCELLED:
            return None
        if order.status is Status.ENTERED and sale.phase(now) is Phase.CLOSED:
            raise WithdrawalClosed(closed_at=min(sale.closes_at, now))
        _check_cancel_window(order, now)
    outcome = transition(order.status, trigger)
    after = replace(
        order,
        status=outcome.status,
        due_at=due_at(sale, outcome.status, trigger, now),
        event_seq=order.event_seq + 1,
        confirmed_at=now if trigger is Trigger.CONFIRM and order.confirmed_at is None else order.confirmed_at,
    )
    traceparent = wish.traceparent or record.traceparent
    done = replace(record, order=after)
    return Step(done, trigger, outcome.stock, outcome.event, wish.actor, wish.reason, traceparent)


def _check_cancel_window(order: Order, now: datetime) -> None:
    if order.status is not Status.AUTHORIZED:
        return
    if order.confirmed_at is not None:
        raise CancelWindowClosed(closed_at=order.confirmed_at)
    if order.due_at is not None and now >= order.due_at:
        raise CancelWindowClosed(closed_at=order.due_at)


def due_at(sale: Sale, status: Status, trigger: Trigger, now: datetime) -> datetime | None:
    """When an order that a trigger has brought to this status is due again, from a database time; None: never.

    A hold waits for its authorization; an authorization for the end of the cancel window, and after that for its capture.
    """
    if status is Status.PENDING:
        return now + timedelta(seconds=sale.hold_seconds)
    if status is Status.AUTHORIZED:
        return now + (CAPTURE_OVERDUE if trigger is Trigger.CONFIRM else timedelta(seconds=sale.cancel_window_seconds))
    return None


def _note(applied: Applied, before: Order, step: Step) -> None:
    applied.steps.append(step)
    if step.stock is StockEffect.RELEASE:
        applied.freed[before.shard_id] += before.units
    if before.status is Status.WAITLISTED:
        applied.left[before.shard_id] += 1
        applied.gone.add(before.order_id)


def share_out(
    sale: Sale, book: StockBook, applied: Applied, waiting: Iterable[WaitingOrder], behind: Behind | None = None
) -> Promotion:
    """Write what the steps do to the shards into the book, and give the freed units to the waitlist.

    `waiting` is the waitlist as stored, in queue order and over all shards; then the book must have all shards. `behind` may
    find smaller orders of it (`promote`). Units that fit nobody stay on offer in the shard that they came from.
    """
    for shard_id, units in applied.freed.items():
        book.release(shard_id, units)
    for shard_id, orders in applied.left.items():
        book.wait(shard_id, -orders)

    def still(line: Iterable[WaitingOrder]) -> Iterable[WaitingOrder]:
        return (order for order in line if order.order_id not in applied.gone)

    smaller = (lambda order, units: still(behind(order, units))) if behind else None
    promotion, _ = promote(sale, book, still(waiting), new_units=0, at_most=PROMOTIONS_PER_STEP, behind=smaller)
    return promotion
