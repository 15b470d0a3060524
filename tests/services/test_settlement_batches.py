"""Settling against a real database: every transition, what is refused, who gets what comes free, and what is done twice."""

from collections.abc import Callable

import pytest
from counter_samples import Once, Wire
from google.api_core import exceptions as google_errors
from settlement_samples import PATHS, Stage, key_of

from app.domain.errors import FairdropError, OrderNotFound, StorageUnavailable, TransitionRefused
from app.domain.settlement import Moved, OrderKey, Refused, Settlement, Unchanged
from app.domain.states import TRANSITIONS, Status, Trigger
from app.services import settlement as settlement_service
from app.services.settlement import Unsettled
from app.settings import Settings
from app.storage import settlement as settlement_storage
from app.storage.database import FairdropDatabase, Rejected

SETTLING = [
    Trigger.AUTHORIZE,
    Trigger.DECLINE,
    Trigger.EXPIRE,
    Trigger.CONFIRM,
    Trigger.CAPTURE,
    Trigger.CAPTURE_FAIL,
    Trigger.CANCEL,
    Trigger.LAPSE,
]


@pytest.mark.parametrize("status", Status)
def test_each_status_takes_each_trigger_or_refuses_it_and_writes_exactly_what_it_takes(
    settings: Settings, database: FairdropDatabase, status: Status
) -> None:
    waits = status in (Status.WAITLISTED, Status.LAPSED)
    policy = "lottery" if status is Status.ENTERED else "fcfs"
    stage = Stage(database, settings, stock=1 if waits else len(SETTLING), policy=policy)
    if waits:
        stage.order("holder")
    for trigger in SETTLING:
        stage.order(trigger.value)
        outcomes = stage.settle([trigger.value], *PATHS[status])
        assert all(isinstance(outcome, Moved) for outcome in outcomes)
    assert {stage.statuses()[trigger.value] for trigger in SETTLING} == {status}
    before = {trigger: stage.events(trigger.value) for trigger in SETTLING}
    outcomes = stage.settle_batch([Settlement(stage.keys[t.value], t, "test", "because") for t in SETTLING])
    statuses = stage.statuses()
    for trigger, outcome in zip(SETTLING, outcomes, strict=True):
        expected = TRANSITIONS.get((status, trigger))
        new_events = stage.events(trigger.value)[len(before[trigger]) :]
        if expected is not None:
            assert isinstance(outcome, Moved)
            assert (statuses[trigger.value], new_events) == (expected.status, [expected.event])
            assert stage.stored(trigger.value) == outcome.order
        else:
            assert isinstance(outcome, Refused | Unchanged)
            assert (statuses[trigger.value], new_events) == (status, [])
    stage.assert_clean()


def test_a_refused_trigger_says_why_and_an_unknown_order_and_sale_are_not_found(
    settings: Settings, database: FairdropDatabase
) -> None:
    stage = Stage(database, settings)
    ann = stage.order("ann")
    outcomes = stage.settle_batch(
        [
            Settlement(OrderKey("ann", stage.sale.sale_id, "no-such-order"), Trigger.CANCEL, "test"),
            Settlement(OrderKey("ann", "no-such-sale", ann.order_id), Trigger.CANCEL, "test"),
            Settlement(ann, Trigger.CAPTURE, "test"),
        ]
    )
    errors: list[FairdropError] = [outcome.error for outcome in outcomes if isinstance(outcome, Refused)]
    assert [type(error) for error in errors] == [OrderNotFound, OrderNotFound, TransitionRefused]


def test_freed_units_go_to_the_head_of_the_waitlist_in_the_commit_that_frees_them(
    settings: Settings, database: FairdropDatabase
) -> None:
    stage = Stage(database, settings, stock=4, shard_count=4)
    for number in range(4):
        stage.order(f"holder-{number}")
    for number in range(6):
        stage.order(f"waiting-{number}")
    stage.settle(["holder-3", "holder-0"], Trigger.DECLINE)
    statuses = stage.statuses()
    assert [statuses[f"waiting-{number}"] for number in range(6)] == [Status.PENDING] * 2 + [Status.WAITLISTED] * 4
    promoted = stage.stored("waiting-0")
    assert promoted.due_at is not None
    assert (promoted.due_at - stage.clock.estimate).total_seconds() <= stage.sale.hold_seconds
    stage.assert_clean()


def test_a_promoted_order_goes_all_the_way_to_its_capture(settings: Settings, database: FairdropDatabase) -> None:
    stage = Stage(database, settings, stock=1, shard_count=1)
    stage.order("ann")
    stage.order("bob")
    stage.settle(["ann"], Trigger.EXPIRE)
    stage.settle(["bob"], Trigger.AUTHORIZE, Trigger.CONFIRM, Trigger.CAPTURE)
    assert stage.statuses() == {"ann": Status.EXPIRED, "bob": Status.PLACED}
    assert stage.events("bob") == [
        "order.waitlisted",
        "order.reserved",
        "order.authorized",
        "order.confirmed",
        "order.placed",
    ]
    stage.assert_clean()


def test_freed_units_serve_a_large_order_together_and_let_small_ones_pass_until_then(
    settings: Settings, database: FairdropDatabase
) -> None:
    stage = Stage(database, settings, stock=4, shard_count=2)
    for number in range(4):
        stage.order(f"holder-{number}")
    stage.order("large", units=3)
    stage.order("small")
    stage.settle(["holder-0"], Trigger.DECLINE)
    assert stage.statuses()["large"] == Status.WAITLISTED
    assert stage.statuses()["small"] == Status.PENDING
    stage.settle(["holder-1", "holder-2"], Trigger.DECLINE)
    assert stage.books().available == 2
    stage.settle(["holder-3"], Trigger.CANCEL)
    assert stage.statuses()["large"] == Status.PENDING
    stage.assert_clean()


def test_units_nobody_waits_for_are_on_offer_again_in_their_own_shard_and_no_other_shard_is_touched(
    settings: Settings, database: FairdropDatabase, wire: Wire
) -> None:
    stage = Stage(database, settings, stock=4, shard_count=2)
    for number in range(4):
        stage.order(f"holder-{number}")
    before = {shard.shard_id: shard for shard in stage.books().shards}
    released = stage.stored("holder-2")
    stage.settle(["holder-2"], Trigger.CANCEL)
    after = {shard.shard_id: shard for shard in stage.books().shards}
    changed = [shard_id for shard_id, shard in after.items() if shard != before[shard_id]]
    assert changed == [released.shard_id]
    assert after[released.shard_id].available == 1
    stage.assert_clean()


def test_a_waiting_order_that_leaves_in_the_batch_that_frees_units_is_not_promoted_by_it(
    settings: Settings, database: FairdropDatabase
) -> None:
    stage = Stage(database, settings, stock=1, shard_count=1)
    for customer in ("holder", "first", "second"):
        stage.order(customer)
    stage.settle(["first", "holder"], Trigger.CANCEL)
    assert stage.statuses() == {"holder": "CANCELLED", "first": "CANCELLED", "second": "PENDING"}
    stage.assert_clean()


def test_a_place_on_the_waitlist_that_comes_free_is_taken_by_the_next_who_asks(
    settings: Settings, database: FairdropDatabase
) -> None:
    stage = Stage(database, settings, stock=1, shard_count=1, waitlist_limit=1)
    stage.order("holder")
    stage.order("waiting")
    stage.settle(["waiting"], Trigger.CANCEL)
    stage.order("next")
    assert stage.statuses() == {"holder": "PENDING", "waiting": "CANCELLED", "next": "WAITLISTED"}
    stage.assert_clean()


@pytest.mark.parametrize("arrives_first", [True, False])
def test_a_hold_that_expires_as_its_authorization_arrives_is_kept_or_its_money_is_sent_back(
    settings: Settings, database: FairdropDatabase, arrives_first: bool
) -> None:
    stage = Stage(database, settings)
    stage.order("ann")
    stage.settle(["ann"], None)  # not due yet
    stage.clock.forward_seconds = stage.sale.hold_seconds + 1.0
    triggers = [Trigger.AUTHORIZE, None] if arrives_first else [None, Trigger.AUTHORIZE]
    for trigger in triggers:
        stage.settle(["ann"], trigger)
    if arrives_first:
        assert stage.statuses() == {"ann": Status.AUTHORIZED}
        assert stage.events("ann") == ["order.reserved", "order.authorized"]
    else:
        assert stage.statuses() == {"ann": Status.EXPIRED}
        assert stage.events("ann") == ["order.reserved", "order.released", "order.released"]
    stage.assert_clean()


def test_a_batch_of_many_units_is_taken_in_steps_that_each_stay_small(
    settings: Settings, database: FairdropDatabase, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.domain.settlement.FREED_UNITS_PER_STEP", 4)
    stage = Stage(database, settings, stock=12)
    for number in range(6):
        stage.order(f"holder-{number}", units=2)
    for number in range(12):
        stage.order(f"waiting-{number}")
    wire.calls.clear()
    outcomes = stage.settle([f"holder-{number}" for number in range(6)], Trigger.DECLINE)
    assert [type(outcome) for outcome in outcomes] == [Moved] * 6
    assert wire.calls["commit"] == 3
    assert stage.books().units(Status.PENDING) == 12
    stage.assert_clean()


def fails(error: Exception) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


LOST = [google_errors.DeadlineExceeded("no answer"), google_errors.ServiceUnavailable("connection lost")]


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("error", LOST, ids=lambda error: type(error).__name__)
def test_a_commit_whose_outcome_is_unknown_is_repeated_and_settles_everything_once(
    settings: Settings, database: FairdropDatabase, wire: Wire, error: Exception, moment: str
) -> None:
    stage = Stage(database, settings, stock=2)
    for customer in ("ann", "bob", "cat", "dan"):
        stage.order(customer)
    getattr(wire, moment)["commit"] = Once(fails(error))
    outcomes = stage.settle_batch(
        [
            Settlement(stage.keys["ann"], Trigger.CANCEL, "customer"),
            Settlement(stage.keys["bob"], Trigger.AUTHORIZE, "payments"),
        ]
    )
    assert not any(isinstance(outcome, Unsettled) for outcome in outcomes)
    assert stage.statuses() == {"ann": "CANCELLED", "bob": "AUTHORIZED", "cat": "PENDING", "dan": "WAITLISTED"}
    assert stage.events("ann") == ["order.reserved", "order.released"]
    assert stage.events("bob") == ["order.reserved", "order.authorized"]
    stage.assert_clean()


def test_a_stock_that_changed_under_the_batch_is_read_again(
    settings: Settings, database: FairdropDatabase, wire: Wire
) -> None:
    stage = Stage(database, settings)
    stage.order("ann")
    wire.before["commit"] = Once(fails(google_errors.AlreadyExists("row exists")))
    (outcome,) = stage.settle(["ann"], Trigger.CANCEL)
    assert isinstance(outcome, Moved)
    stage.assert_clean()


def test_when_the_database_does_not_answer_nothing_is_claimed_and_the_same_again_settles_it(
    settings: Settings, database: FairdropDatabase, wire: Wire
) -> None:
    stage = Stage(database, settings)
    stage.order("ann")
    wire.before["commit"] = fails(google_errors.ServiceUnavailable("down"))
    (outcome,) = stage.settle(["ann"], Trigger.CANCEL)
    assert isinstance(outcome, Unsettled)
    assert isinstance(outcome.error, StorageUnavailable)
    wire.before.clear()
    (outcome,) = stage.settle(["ann"], Trigger.CANCEL)
    assert isinstance(outcome, Moved)
    stage.assert_clean()


def test_one_order_that_the_database_will_not_have_fails_alone(
    settings: Settings, database: FairdropDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(database, settings, stock=5)
    for number in range(5):
        stage.order(f"customer-{number}")
    bad = stage.keys["customer-3"]
    real = settlement_storage.settle_batch

    def refusing(transaction: object, sale_id: str, batch: list[Settlement], *rest: object) -> object:
        if any(wish.order == bad for wish in batch):
            raise Rejected("a value that no column takes")
        return real(transaction, sale_id, batch, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(settlement_service, "settle_batch", refusing)
    outcomes = stage.settle([f"customer-{number}" for number in range(5)], Trigger.CANCEL)
    assert [type(outcome) for outcome in outcomes] == [Moved, Moved, Moved, Unsettled, Moved]
    assert stage.statuses()["customer-3"] == Status.PENDING


def test_a_batch_of_several_sales_is_settled_sale_by_sale_and_answered_in_its_own_order(
    settings: Settings, database: FairdropDatabase
) -> None:
    stages = [Stage(database, settings) for _ in range(3)]
    keys = [stage.order(f"customer-{number}") for number in range(3) for stage in stages]
    outcomes = stages[0].settle_batch([Settlement(key, Trigger.CANCEL, "test") for key in keys])
    moved = [outcome.order for outcome in outcomes if isinstance(outcome, Moved)]
    assert [key_of(order) for order in moved] == keys
    for stage in stages:
        stage.assert_clean()
