"""The states of an order: the complete matrix of states and triggers, written out by hand beside the table."""

import pytest

from app.domain.errors import TransitionRefused
from app.domain.states import (
    DEADLINES,
    HOLDING,
    LIVE,
    NEW,
    TRANSITIONS,
    Status,
    StockEffect,
    Transition,
    Trigger,
    transition,
)

# One row a trigger, one column a state, as docs/design.md draws it. A dot: refused.
MATRIX = """
             new        ENTERED    PENDING        AUTHORIZED     PLACED WAITLISTED PAYMENT_FAILED EXPIRED CANCELLED LAPSED
enter        ENTERED    .          .              .              .      .          .              .       .         .
draw         .          PENDING    .              .              .      .          .              .       .         .
draw_free    .          PLACED     .              .              .      .          .              .       .         .
reserve      PENDING    .          .              .              .      .          .              .       .         .
claim        PLACED     .          .              .              .      .          .              .       .         .
waitlist     WAITLISTED WAITLISTED .              .              .      .          .              .       .         .
promote      .          .          .              .              .      PENDING    .              .       .         .
promote_free .          .          .              .              .      PLACED     .              .       .         .
authorize    .          .          AUTHORIZED     .              .      .          PAYMENT_FAILED EXPIRED CANCELLED .
decline      .          .          PAYMENT_FAILED .              .      .          .              .       .         .
expire       .          .          EXPIRED        .              .      .          .              .       .         .
confirm      .          .          .              AUTHORIZED     .      .          .              .       .         .
capture      .          .          .              PLACED         .      .          PAYMENT_FAILED EXPIRED CANCELLED .
capture_fail .          .          .              PAYMENT_FAILED .      .          .              .       .         .
cancel       .          CANCELLED  CANCELLED      CANCELLED      .      CANCELLED  .              .       .         .
lapse        .          LAPSED     .              .              .      LAPSED     .              .       .         .
"""
HEAD, *ROWS = MATRIX.strip().splitlines()
EXPECTED = {
    (state, trigger): outcome
    for trigger, *outcomes in (row.split() for row in ROWS)
    for state, outcome in zip(HEAD.split(), outcomes, strict=True)
}


def test_the_matrix_has_every_state_and_every_trigger() -> None:
    states = ["new", *(status.value for status in Status)]
    assert sorted(EXPECTED) == sorted((state, trigger.value) for state in states for trigger in Trigger)


@pytest.mark.parametrize("trigger", Trigger)
@pytest.mark.parametrize("status", [NEW, *Status])
def test_each_state_takes_each_trigger_or_refuses_it_as_the_matrix_says(
    status: Status | None, trigger: Trigger
) -> None:
    name = status.value if status else "new"
    expected = EXPECTED[name, trigger.value]
    if expected != ".":
        assert transition(status, trigger).status.value == expected
        return
    with pytest.raises(TransitionRefused) as refused:
        transition(status, trigger)
    assert (refused.value.status, refused.value.trigger) == (name, trigger.value)


def effect_of(before: Status | None, after: Status) -> StockEffect:
    """What must happen to the stock, from whether the order holds units before and after."""
    held, holds = before in HOLDING, after in HOLDING
    if held:
        return StockEffect.KEEP if holds else StockEffect.RELEASE
    return StockEffect.TAKE if holds else StockEffect.NONE


def test_the_stock_effect_of_each_transition_follows_from_who_holds_units() -> None:
    for (before, _), outcome in TRANSITIONS.items():
        assert outcome.stock is effect_of(before, outcome.status)


ENDED = {Status.PAYMENT_FAILED, Status.EXPIRED, Status.CANCELLED, Status.LAPSED, Status.PLACED}


def test_the_event_tells_consumers_what_became_of_the_order_and_of_its_hold() -> None:
    def event_of(before: Status | None, trigger: Trigger, outcome: Transition) -> str:
        if before in ENDED or (before in HOLDING and outcome.status not in HOLDING):
            return "order.released"
        if trigger is Trigger.CONFIRM:
            return "order.confirmed"
        return "order.reserved" if outcome.status is Status.PENDING else f"order.{outcome.status.value.lower()}"

    for (before, trigger), outcome in TRANSITIONS.items():
        assert outcome.event == event_of(before, trigger, outcome)


def test_an_order_that_has_ended_never_changes_and_only_answers_money_that_comes_too_late() -> None:
    late = {(before, trigger): outcome for (before, trigger), outcome in TRANSITIONS.items() if before in ENDED}
    assert {trigger for _, trigger in late} == {Trigger.AUTHORIZE, Trigger.CAPTURE}
    assert all(outcome.status is before and outcome.stock is StockEffect.NONE for (before, _), outcome in late.items())


def test_an_order_that_holds_units_which_are_not_paid_for_has_a_deadline_and_no_other_has() -> None:
    assert set(DEADLINES) == HOLDING - ENDED
    assert all((status, trigger) in TRANSITIONS for status, trigger in DEADLINES.items())


def test_live_orders_are_those_that_hold_units_or_may_yet_be_given_some() -> None:
    assert {Status.PENDING, Status.AUTHORIZED, Status.PLACED} == HOLDING
    assert HOLDING | {Status.WAITLISTED, Status.ENTERED} == LIVE


def test_every_status_is_reached_from_a_new_order() -> None:
    reached: set[Status | None] = {NEW}
    for _ in Status:
        reached |= {outcome.status for (before, _), outcome in TRANSITIONS.items() if before in reached}
    assert reached == {NEW, *Status}
