"""Cancels: what the customer is told, and that a crowd of them shares its transactions."""

import time
from collections.abc import Callable

import pytest
from counter_samples import PATIENCE_SECONDS, Once, Wire, open_counter
from google.api_core import exceptions as google_errors
from settlement_samples import Stage

from app.domain.errors import (
    CancelWindowClosed,
    OrderNotFound,
    Overloaded,
    SoldOut,
    StorageUnavailable,
    TransitionRefused,
)
from app.domain.states import Status, Trigger
from app.services.cancelling import Cancelling
from app.settings import Settings
from app.storage.database import FairdropDatabase


def a_queue(stage: Stage, **changes: object) -> Cancelling:
    patient = stage.settings.model_copy(update={"request_deadline_seconds": PATIENCE_SECONDS, **changes})
    return Cancelling(stage.database, stage.clock, patient, "canceller:1")


@pytest.fixture
def stage(settings: Settings, database: FairdropDatabase) -> Stage:
    return Stage(database, settings)


def cancel(stage: Stage, cancelling: Cancelling, customer: str) -> Status:
    key = stage.keys[customer]
    return cancelling.cancel(key.customer_id, key.sale_id, key.order_id).status


def test_a_cancelled_order_stays_cancelled_however_often_it_is_cancelled(stage: Stage) -> None:
    stage.order("ann")
    cancelling = a_queue(stage)
    assert [cancel(stage, cancelling, "ann") for _ in range(3)] == [Status.CANCELLED] * 3
    assert stage.events("ann") == ["order.reserved", "order.released"]
    stage.assert_clean()


def test_an_authorized_order_is_cancelled_in_its_window_and_refused_after_it(stage: Stage) -> None:
    stage.order("ann")
    stage.order("bob")
    stage.settle(["ann", "bob"], Trigger.AUTHORIZE)
    cancelling = a_queue(stage)
    assert cancel(stage, cancelling, "ann") is Status.CANCELLED
    stage.clock.forward_seconds = float(stage.sale.cancel_window_seconds)
    with pytest.raises(CancelWindowClosed) as refused:
        cancel(stage, cancelling, "bob")
    assert refused.value.closed_at == stage.stored("bob").cancellable_until
    assert stage.stored("bob").status is Status.AUTHORIZED


def test_after_the_confirmation_no_cancel_is_taken_even_by_a_clock_that_is_behind(stage: Stage) -> None:
    stage.order("ann")
    stage.settle(["ann"], Trigger.AUTHORIZE, Trigger.CONFIRM)
    with pytest.raises(CancelWindowClosed):
        cancel(stage, a_queue(stage), "ann")
    stage.settle(["ann"], Trigger.CAPTURE)
    with pytest.raises(TransitionRefused):
        cancel(stage, a_queue(stage), "ann")
    assert stage.statuses() == {"ann": "PLACED"}


def test_somebody_elses_order_is_not_found_and_not_cancelled(stage: Stage) -> None:
    key = stage.order("ann")
    with pytest.raises(OrderNotFound):
        a_queue(stage).cancel("bob", key.sale_id, key.order_id)
    assert stage.statuses() == {"ann": "PENDING"}


def test_a_thousand_cancels_at_once_share_a_few_commits(
    settings: Settings, database: FairdropDatabase, wire: Wire
) -> None:
    stage = Stage(database, settings, stock=2_000, shard_count=8, limit_per_customer=2)
    keys = stage.order_many([f"customer-{number}" for number in range(1_000)])
    cancelling = a_queue(stage, lane_capacity=len(keys))
    wire.calls.clear()
    deadline = time.monotonic() + PATIENCE_SECONDS
    tickets = [cancelling.submit(key, deadline) for key in keys]
    assert {ticket.wait().status for ticket in tickets} == {Status.CANCELLED}
    # A first one, alone or with a few; then batches of up to 500.
    assert wire.calls["commit"] <= 4
    assert stage.books().available == 2_000
    stage.assert_clean()


def test_a_full_queue_refuses_at_once(stage: Stage, wire: Wire) -> None:
    key = stage.order("ann")
    with pytest.raises(Overloaded):
        a_queue(stage, lane_capacity=0).submit(key, time.monotonic() + 1)


def fails(error: Exception) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


def test_a_cancel_whose_answer_is_lost_is_found_done(stage: Stage, wire: Wire) -> None:
    stage.order("ann")
    wire.after["commit"] = Once(fails(google_errors.Unknown("who knows")))
    assert cancel(stage, a_queue(stage), "ann") is Status.CANCELLED
    assert stage.events("ann") == ["order.reserved", "order.released"]


def test_a_database_that_does_not_answer_and_a_fault_of_ours_are_told_and_the_queue_lives_on(
    stage: Stage, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.order("ann")
    cancelling = a_queue(stage)
    wire.before["commit"] = fails(google_errors.ServiceUnavailable("down"))
    with pytest.raises(StorageUnavailable):
        cancel(stage, cancelling, "ann")
    wire.before.clear()
    with monkeypatch.context() as patch:
        patch.setattr("app.services.cancelling.settle", lambda *_: fails(RuntimeError("a fault"))())
        with pytest.raises(StorageUnavailable):
            cancel(stage, cancelling, "ann")
    assert cancel(stage, cancelling, "ann") is Status.CANCELLED


def test_a_sold_out_sale_takes_orders_again_once_a_unit_is_free_that_nobody_waits_for(
    settings: Settings, database: FairdropDatabase
) -> None:
    stage = Stage(database, settings, stock=1, shard_count=1, waitlist_limit=0)
    stage.order("ann")
    elsewhere = open_counter(settings, "process:2")
    with pytest.raises(SoldOut):
        stage.order("bob", counter=elsewhere)
    cancel(stage, a_queue(stage), "ann")
    time.sleep(settings.sold_out_memory_ms / 1_000)
    stage.order("bob", counter=elsewhere)
    assert stage.statuses() == {"ann": "CANCELLED", "bob": "PENDING"}
    stage.assert_clean()
