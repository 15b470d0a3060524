"""What the payment service's events do to orders, and what the consumer is told of each."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from counter_samples import Once, Wire
from google.api_core import exceptions as google_errors
from settlement_samples import Stage

from app.domain.states import Status, Trigger
from app.messaging.consumer import Done, Poison, Retry, Verdict
from app.messaging.events import Event
from app.services.payment_events import PaymentEvents
from app.settings import Settings
from app.storage.database import FairdropDatabase


@pytest.fixture
def stage(settings: Settings, database: FairdropDatabase) -> Stage:
    return Stage(database, settings, stock=2, shard_count=1)


def event(stage: Stage, customer: str, kind: str, **changes: Any) -> Event:
    """An event as the payment service sends it."""
    key = stage.keys[customer]
    data = {
        "order_id": key.order_id,
        "sale_id": key.sale_id,
        "customer_id": key.customer_id,
        "amount_minor": 500,
        "currency": "EUR",
        "reason": None,
        **changes,
    }
    return Event(f"payment.{kind}", key.order_id, f"{key.order_id}:p1", datetime.now(UTC), data)


def handle(stage: Stage, *events: Event) -> list[Verdict]:
    return PaymentEvents(stage.database, stage.clock, "settlement:1").handle(events)


def test_payments_move_their_orders_in_the_order_in_which_they_come(stage: Stage) -> None:
    for customer in ("ann", "bob", "cat"):
        stage.order(customer)
    verdicts = handle(
        stage,
        event(stage, "ann", "authorized"),
        event(stage, "bob", "declined", reason="insufficient_funds"),
        event(stage, "ann", "captured"),
        event(stage, "cat", "authorized"),
    )
    assert verdicts == [Done()] * 4
    assert stage.statuses() == {"ann": Status.PLACED, "bob": Status.PAYMENT_FAILED, "cat": Status.PENDING}
    stage.assert_clean()


def test_the_reason_of_a_decline_is_kept_with_the_order_cut_to_its_column(stage: Stage) -> None:
    stage.order("ann")
    handle(stage, event(stage, "ann", "declined", reason="no " * 200))
    with stage.database.snapshot() as reads:
        listing = "SELECT Actor, Reason FROM OrderEvents WHERE OrderId = @order ORDER BY EventSeq DESC LIMIT 1"
        ((actor, reason),) = reads.execute_sql(listing, params={"order": stage.keys["ann"].order_id})
    assert (actor, reason) == ("payments", ("no " * 200)[:200])


def test_a_capture_that_fails_gives_the_units_to_the_next(stage: Stage) -> None:
    for customer in ("ann", "bob", "cat"):
        stage.order(customer)
    stage.settle(["ann"], Trigger.AUTHORIZE, Trigger.CONFIRM)
    assert handle(stage, event(stage, "ann", "capture_failed")) == [Done()]
    assert stage.statuses() == {"ann": Status.PAYMENT_FAILED, "bob": Status.PENDING, "cat": Status.PENDING}
    stage.assert_clean()


def test_a_redelivered_event_changes_nothing_and_writes_nothing(stage: Stage) -> None:
    stage.order("ann")
    events = [event(stage, "ann", "authorized"), event(stage, "ann", "captured")]
    handle(stage, *events)
    before = stage.count_events()
    assert handle(stage, *events, *reversed(events), event(stage, "ann", "declined")) == [Done()] * 5
    assert stage.count_events() == before
    assert stage.statuses() == {"ann": Status.PLACED}


@pytest.mark.parametrize("kind", ["authorized", "captured"])
@pytest.mark.parametrize("end", [Trigger.EXPIRE, Trigger.CANCEL, Trigger.DECLINE])
def test_money_for_an_order_that_has_ended_is_sent_back(stage: Stage, end: Trigger, kind: str) -> None:
    stage.order("ann")
    stage.settle(["ann"], end)
    ended = stage.statuses()
    assert handle(stage, event(stage, "ann", kind)) == [Done()]
    assert stage.statuses() == ended
    assert stage.events("ann") == ["order.reserved", "order.released", "order.released"]
    stage.assert_clean()


@pytest.mark.parametrize("kind", ["voided", "declined", "capture_failed"])
def test_an_answer_to_a_release_is_heard_and_nothing_more(stage: Stage, kind: str) -> None:
    stage.order("ann")
    stage.settle(["ann"], Trigger.CANCEL)
    assert handle(stage, event(stage, "ann", kind)) == [Done()]
    assert stage.events("ann") == ["order.reserved", "order.released"]


POISON: dict[str, Callable[[Stage], Event]] = {
    "another type": lambda stage: event(stage, "ann", "disputed"),
    "another order's data": lambda stage: event(stage, "ann", "authorized", order_id="another"),
    "an order that is not there": lambda stage: event(stage, "ann", "authorized", customer_id="nobody"),
    "a sale that is not there": lambda stage: event(stage, "ann", "authorized", sale_id="no-sale"),
    "a number for a name": lambda stage: event(stage, "ann", "authorized", customer_id=7),
    "a name too long": lambda stage: event(stage, "ann", "authorized", sale_id="x" * 65),
}


@pytest.mark.parametrize("poison", POISON)
def test_what_can_never_be_settled_is_poison_and_holds_up_nobody(stage: Stage, poison: str) -> None:
    stage.order("ann")
    stage.order("bob")
    verdicts = handle(stage, POISON[poison](stage), event(stage, "bob", "authorized"))
    assert isinstance(verdicts[0], Poison)
    assert verdicts[0].reason
    assert verdicts[1] == Done()
    assert stage.statuses() == {"ann": "PENDING", "bob": "AUTHORIZED"}


def test_what_the_database_does_not_do_comes_again(stage: Stage, wire: Wire) -> None:
    stage.order("ann")

    def down() -> None:
        raise google_errors.ServiceUnavailable("down")

    wire.before["commit"] = down
    events = [event(stage, "ann", "authorized"), event(stage, "ann", "voided")]
    assert handle(stage, *events) == [Retry(), Done()]
    wire.before.clear()
    wire.after["commit"] = Once(down)
    assert handle(stage, *events) == [Done()] * 2
    assert stage.events("ann") == ["order.reserved", "order.authorized"]
