"""How orders move on, whose units come back, and who of the waitlist gets them: by example and by property."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest
from domain_samples import NOON, SALE_ID, a_request, a_sale, stored
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain import settlement
from app.domain.errors import CancelWindowClosed, OrderNotFound, TransitionRefused
from app.domain.orders import Order
from app.domain.promotion import Promotion, WaitingOrder
from app.domain.sale import Sale
from app.domain.settlement import (
    CAPTURE_OVERDUE,
    Applied,
    Moved,
    OrderKey,
    OrderRecord,
    Outcome,
    Refused,
    Settlement,
    Unchanged,
    apply,
    share_out,
)
from app.domain.states import HOLDING, LIVE, TRANSITIONS, Status, Trigger
from app.domain.stock import ShardState, StockBook

PRICED = a_sale(unit_price_minor=500)
WINDOW = timedelta(seconds=PRICED.cancel_window_seconds)
HOLD = timedelta(seconds=PRICED.hold_seconds)
CALLED_BY_STATUS = [Trigger.AUTHORIZE, Trigger.DECLINE, Trigger.CAPTURE, Trigger.CAPTURE_FAIL, Trigger.CANCEL]


def key_of(order: Order) -> OrderKey:
    return OrderKey(order.customer_id, order.sale_id, order.order_id)


def an_order(status: Status, customer_id: str = "ann", units: int = 1, **fields: object) -> Order:
    return replace(stored(a_request(customer_id, units), status), **fields)  # type: ignore[arg-type]


def applied_to(order: Order, *triggers: Trigger | None, now: datetime = NOON) -> Applied:
    key = key_of(order)
    batch = [Settlement(key, trigger, "test") for trigger in triggers]
    return apply(PRICED, {key: OrderRecord(order, "tok")}, batch, now)


def outcome_of(order: Order, trigger: Trigger | None, now: datetime = NOON) -> Outcome:
    (outcome,) = applied_to(order, trigger, now=now).outcomes
    return outcome


@pytest.mark.parametrize("trigger", CALLED_BY_STATUS)
@pytest.mark.parametrize("status", Status)
def test_an_order_moves_as_the_table_says_and_else_stays_as_it_is(status: Status, trigger: Trigger) -> None:
    order = an_order(status, due_at=NOON + HOLD if status in (Status.PENDING, Status.AUTHORIZED) else None)
    applied = applied_to(order, trigger)
    (outcome,) = applied.outcomes
    expected = TRANSITIONS.get((status, trigger))
    if expected is not None:
        assert isinstance(outcome, Moved)
        (step,) = applied.steps
        assert (outcome.order.status, step.event) == (expected.status, expected.event)
        assert outcome.order.event_seq == order.event_seq + 1
    elif (status, trigger) == (Status.CANCELLED, Trigger.CANCEL):
        assert outcome == Unchanged(order)
    else:
        assert isinstance(outcome, Refused)
        assert isinstance(outcome.error, TransitionRefused)
        assert applied.steps == []


def test_an_authorization_opens_the_cancel_window_from_that_moment_on() -> None:
    outcome = outcome_of(an_order(Status.PENDING, due_at=NOON + HOLD), Trigger.AUTHORIZE)
    assert isinstance(outcome, Moved)
    assert (outcome.order.due_at, outcome.order.cancellable_until) == (NOON + WINDOW, NOON + WINDOW)


def test_an_authorized_order_may_be_cancelled_until_the_window_closes_and_no_longer() -> None:
    order = an_order(Status.AUTHORIZED, due_at=NOON + WINDOW)
    just_in_time = NOON + WINDOW - timedelta(microseconds=1)
    assert isinstance(outcome_of(order, Trigger.CANCEL, just_in_time), Moved)
    outcome = outcome_of(order, Trigger.CANCEL, NOON + WINDOW)
    assert isinstance(outcome, Refused)
    assert isinstance(outcome.error, CancelWindowClosed)
    assert outcome.error.closed_at == NOON + WINDOW


def test_a_confirmed_order_is_not_cancelled_though_its_next_deadline_is_far() -> None:
    order = an_order(Status.AUTHORIZED, due_at=NOON + CAPTURE_OVERDUE, confirmed_at=NOON)
    outcome = outcome_of(order, Trigger.CANCEL, NOON + timedelta(seconds=1))
    assert isinstance(outcome, Refused)
    assert isinstance(outcome.error, CancelWindowClosed)
    assert outcome.error.closed_at == NOON
    assert not order.is_cancellable


@pytest.mark.parametrize("status", [Status.PENDING, Status.WAITLISTED])
def test_before_the_authorization_a_cancel_never_comes_too_late(status: Status) -> None:
    order = an_order(status, due_at=NOON - HOLD if status is Status.PENDING else None)
    assert isinstance(outcome_of(order, Trigger.CANCEL), Moved)


@pytest.mark.parametrize("status", Status)
def test_a_deadline_that_has_not_passed_moves_nothing_and_a_passed_one_what_is_due(status: Status) -> None:
    order = an_order(status, due_at=NOON if status in settlement.DEADLINES else None)
    assert outcome_of(order, None, NOON - timedelta(microseconds=1)) == Unchanged(order)
    outcome = outcome_of(order, None, NOON)
    due = {Status.PENDING: Status.EXPIRED, Status.AUTHORIZED: Status.AUTHORIZED}
    if status not in due:
        assert outcome == Unchanged(order)
        return
    assert isinstance(outcome, Moved)
    assert outcome.order.status is due[status]


def test_a_confirmation_is_dated_once_and_asked_for_again_only_when_the_capture_is_overdue() -> None:
    order = an_order(Status.AUTHORIZED, due_at=NOON)
    first = applied_to(order, None, None)
    assert [type(outcome) for outcome in first.outcomes] == [Moved, Unchanged]
    confirmed = first.outcomes[1].order  # type: ignore[union-attr]
    assert (confirmed.confirmed_at, confirmed.due_at) == (NOON, NOON + CAPTURE_OVERDUE)
    again = applied_to(confirmed, None, now=NOON + CAPTURE_OVERDUE)
    assert [step.event for step in again.steps] == ["order.confirmed"]
    assert again.steps[0].after.order.confirmed_at == NOON
    assert again.steps[0].after.order.due_at == NOON + 2 * CAPTURE_OVERDUE


def test_a_hold_that_expires_as_its_authorization_arrives_is_kept_or_answered_with_a_release() -> None:
    order = an_order(Status.PENDING, due_at=NOON)
    kept, late = applied_to(order, Trigger.AUTHORIZE, None), applied_to(order, None, Trigger.AUTHORIZE)
    assert [step.event for step in kept.steps] == ["order.authorized"]
    assert kept.freed == Counter()
    assert [step.event for step in late.steps] == ["order.released", "order.released"]
    assert late.freed == Counter({0: 1})
    assert late.steps[-1].after.order.status is Status.EXPIRED
    assert [step.after.order.event_seq for step in late.steps] == [2, 3]


def test_an_order_that_is_not_there_is_refused_and_holds_up_nobody() -> None:
    order = an_order(Status.PENDING)
    batch = [
        Settlement(OrderKey("bob", SALE_ID, "none"), Trigger.CANCEL, "customer"),
        Settlement(key_of(order), Trigger.CANCEL, "customer"),
    ]
    applied = apply(PRICED, {key_of(order): OrderRecord(order, None)}, batch, NOON)
    missing, cancelled = applied.outcomes
    assert isinstance(missing, Refused)
    assert isinstance(missing.error, OrderNotFound)
    assert isinstance(cancelled, Moved)


def test_a_step_ends_with_the_order_that_frees_enough() -> None:
    orders = [an_order(Status.PENDING, f"customer-{i}", units=200) for i in range(5)]
    records = {key_of(order): OrderRecord(order, "tok") for order in orders}
    applied = apply(PRICED, records, [Settlement(key, Trigger.EXPIRE, "test") for key in records], NOON)
    assert applied.freed.total() == 600
    assert len(applied.outcomes) == 3


@dataclass
class Stand:
    """A sale's orders and shards as values, settled as the transaction does it."""

    sale: Sale
    orders: dict[OrderKey, OrderRecord]
    shards: dict[int, ShardState]
    events: list[tuple[OrderKey, str]] = field(default_factory=list)

    def waiting(self) -> list[WaitingOrder]:
        line = [
            WaitingOrder(o.customer_id, o.order_id, o.units, o.shard_id, o.placed_at, o.seq)
            for o in (record.order for record in self.orders.values())
            if o.status is Status.WAITLISTED
        ]
        return sorted(line, key=lambda order: order.position)

    def settle(self, batch: Sequence[Settlement], now: datetime) -> list[Promotion]:
        rest = list(batch)
        promotions = []
        while rest:
            applied = apply(self.sale, self.orders, rest, now)
            assert applied.outcomes
            rest = rest[len(applied.outcomes) :]
            line = self.waiting()
            # As in the transaction: all the shards only when somebody waits for what comes free.
            everyone = bool(applied.freed and line)
            read = self.shards.values() if everyone else [self.shards[i] for i in applied.shard_ids]
            book = StockBook(read)
            promotion = share_out(self.sale, book, applied, line if everyone else [])
            for step in applied.steps:
                self.orders[key_of(step.after.order)] = step.after
                self.events.append((key_of(step.after.order), step.event))
            for order in promotion.orders:
                key = OrderKey(order.customer_id, self.sale.sale_id, order.order_id)
                promoted = replace(self.orders[key].order, status=promotion.status, due_at=now + HOLD)
                self.orders[key] = replace(self.orders[key], order=promoted)
            self.shards.update({shard.shard_id: shard for shard in book.changes()})
            promotions.append(promotion)
            self.check()
        return promotions

    def check(self) -> None:
        """Invariants 1 and 2."""
        orders = [record.order for record in self.orders.values()]
        for shard in self.shards.values():
            own = [order for order in orders if order.shard_id == shard.shard_id]
            assert 0 <= shard.available <= shard.allocated
            assert shard.allocated - shard.available == sum(o.units for o in own if o.status in HOLDING)
            assert shard.waiting == sum(o.status is Status.WAITLISTED for o in own)
        assert sum(shard.allocated for shard in self.shards.values()) == self.sale.stock
        available = sum(shard.available for shard in self.shards.values())
        assert all(order.units > available for order in self.waiting())


@st.composite
def stands(draw: st.DrawFn) -> Stand:
    """A sale with orders of every state on a few shards, and as much on offer as fits nobody who waits."""
    shard_count = draw(st.integers(1, 4))
    statuses = st.sampled_from([*Status, Status.WAITLISTED, Status.WAITLISTED, Status.PENDING, Status.AUTHORIZED])
    kinds = draw(st.lists(st.tuples(statuses, st.integers(1, 4), st.integers(0, shard_count - 1)), max_size=14))
    orders: dict[OrderKey, OrderRecord] = {}
    for number, (status, units, shard_id) in enumerate(kinds):
        order = an_order(
            status,
            f"customer-{number}",
            units,
            shard_id=shard_id,
            placed_at=NOON - timedelta(seconds=100 - number),
            due_at=draw(st.sampled_from([NOON, NOON + HOLD])) if status in settlement.DEADLINES else None,
            confirmed_at=draw(st.sampled_from([None, NOON])) if status is Status.AUTHORIZED else None,
        )
        orders[key_of(order)] = OrderRecord(order, "tok")
    stored_orders = [record.order for record in orders.values()]
    smallest = min((order.units for order in stored_orders if order.status is Status.WAITLISTED), default=6)
    left = draw(st.integers(0, smallest - 1))
    shards = {}
    for shard_id in range(shard_count):
        own = [order for order in stored_orders if order.shard_id == shard_id]
        held = sum(order.units for order in own if order.status in HOLDING)
        on_offer = left if shard_id == shard_count - 1 else 0
        waiting = sum(order.status is Status.WAITLISTED for order in own)
        shards[shard_id] = ShardState(shard_id, 1, held + on_offer, on_offer, waiting)
    sale = replace(PRICED, stock=sum(shard.allocated for shard in shards.values()), shard_count=shard_count)
    return Stand(sale, orders, shards)


TRIGGERS = st.sampled_from([*CALLED_BY_STATUS, Trigger.LAPSE, None])


@st.composite
def batches(draw: st.DrawFn) -> tuple[Stand, list[Settlement]]:
    stand = draw(stands())
    keys = list(stand.orders) or [OrderKey("nobody", SALE_ID, "none")]
    wishes = draw(st.lists(st.tuples(st.sampled_from(keys), TRIGGERS), max_size=25))
    return stand, [Settlement(key, trigger, "test") for key, trigger in wishes]


@settings(max_examples=300)
@given(batches(), st.integers(1, 8))
def test_whatever_is_settled_units_are_conserved_and_none_is_kept_from_those_who_wait(
    case: tuple[Stand, list[Settlement]], freed_per_step: int
) -> None:
    stand, batch = case
    stand.check()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settlement, "FREED_UNITS_PER_STEP", freed_per_step)
        stand.settle(batch, NOON)


@settings(max_examples=200)
@given(batches())
def test_promotion_follows_the_queue_over_all_shards(case: tuple[Stand, list[Settlement]]) -> None:
    stand, batch = case
    for promotion in stand.settle(batch, NOON):
        positions = [order.position for order in promotion.orders]
        assert positions == sorted(positions)
        # Whoever was passed over is larger than what is on offer to him now, and than anybody behind him was given.
        for waiting in stand.waiting():
            behind = [order.units for order in promotion.orders if order.position > waiting.position]
            assert all(units < waiting.units for units in behind)


@settings(max_examples=200)
@given(batches())
def test_settling_the_same_again_moves_no_order_that_it_moved_and_frees_nothing_twice(
    case: tuple[Stand, list[Settlement]],
) -> None:
    stand, batch = case
    stand.settle(batch, NOON)
    once = {key: record.order.status for key, record in stand.orders.items()}
    shards = dict(stand.shards)
    ended = {key for key, status in once.items() if status not in LIVE}
    stand.settle([wish for wish in batch if wish.order in ended], NOON)
    assert {key: record.order.status for key, record in stand.orders.items()} == once
    assert stand.shards == shards


@settings(max_examples=200)
@given(stands(), st.data())
def test_in_whatever_order_payments_and_deadlines_arrive_money_that_finds_no_order_is_sent_back(
    stand: Stand, data: st.DataObject
) -> None:
    """An order that has ended after its money came has said so after the money came."""
    for key in list(stand.orders):
        triggers = data.draw(st.permutations([Trigger.AUTHORIZE, Trigger.AUTHORIZE, Trigger.CAPTURE, None, None]))
        before = stand.orders[key].order
        stand.events.clear()
        for trigger in triggers[: data.draw(st.integers(0, 5))]:
            stand.settle([Settlement(key, trigger, "test")], NOON)
            if trigger in (Trigger.AUTHORIZE, Trigger.CAPTURE):
                status = stand.orders[key].order.status
                if status in (Status.EXPIRED, Status.CANCELLED, Status.PAYMENT_FAILED):
                    assert stand.events[-1] == (key, "order.released")
        if before.status in (Status.PLACED, Status.WAITLISTED, Status.LAPSED):
            assert stand.events == []


@pytest.mark.parametrize("order_units", [1, 7, 1_000])
def test_the_bound_on_promotions_suffices_for_all_that_one_step_can_free(order_units: int) -> None:
    """Units on offer that fit nobody do not help: every waiting order is larger than they are together."""
    freed = settlement.FREED_UNITS_PER_STEP - 1 + order_units
    for on_offer in range(0, 1_000, 37):
        most = (on_offer + freed) // (on_offer + 1)
        assert most <= settlement.PROMOTIONS_PER_STEP
