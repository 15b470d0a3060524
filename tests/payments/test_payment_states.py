"""The states of a payment: the complete matrix of states and cues, written out by hand beside the table."""

import pytest

from app.payments.states import (
    FOR_A_PERSON,
    IN_PROGRESS,
    NEW,
    TRANSITIONS,
    Cue,
    State,
    Transition,
    Verdict,
    Wanted,
    further,
)

# One row a state, one column a cue. A dot: changes nothing.
MATRIX = """
               AUTHORIZE   CAPTURE     VOID      approved    declined
new            AUTHORIZING AUTHORIZING VOIDED    .           .
AUTHORIZING    .           .           .         AUTHORIZED  DECLINED
AUTHORIZED     .           CAPTURING   VOIDING   .           .
DECLINED       .           .           .         .           .
CAPTURING      .           .           .         CAPTURED    CAPTURE_FAILED
CAPTURED       .           .           REFUNDING .           .
CAPTURE_FAILED .           .           VOIDING   .           .
VOIDING        .           .           .         VOIDED      VOID_FAILED
VOIDED         .           .           .         .           .
VOID_FAILED    .           .           .         .           .
REFUNDING      .           .           .         REFUNDED    REFUND_FAILED
REFUNDED       .           .           .         .           .
REFUND_FAILED  .           .           .         .           .
"""
HEAD, *ROWS = MATRIX.strip().splitlines()
EXPECTED = {
    (state, cue): outcome
    for state, *outcomes in (row.split() for row in ROWS)
    for cue, outcome in zip(HEAD.split(), outcomes, strict=True)
}
CUES: list[Cue] = [*Wanted, *Verdict]
STATES: list[State | None] = [NEW, *State]


def test_the_matrix_has_every_state_and_every_cue() -> None:
    names = [state.value if state else "new" for state in STATES]
    assert sorted(EXPECTED) == sorted((name, cue.value) for name in names for cue in CUES)


@pytest.mark.parametrize("cue", CUES)
@pytest.mark.parametrize("state", STATES)
def test_each_state_takes_each_cue_or_not_as_the_matrix_says(state: State | None, cue: Cue) -> None:
    expected = EXPECTED[state.value if state else "new", cue.value]
    outcome = TRANSITIONS.get((state, cue))
    assert (outcome.state.value if outcome else ".") == expected


def test_an_answer_is_awaited_exactly_where_an_operation_is_in_progress() -> None:
    assert {state for state, cue in TRANSITIONS if isinstance(cue, Verdict)} == set(IN_PROGRESS)
    for state in IN_PROGRESS:
        assert {cue for before, cue in TRANSITIONS if before is state} == set(Verdict)


def test_what_is_wanted_moves_a_payment_one_step_until_the_gateway_is_asked_or_all_is_done() -> None:
    for (_, cue), outcome in TRANSITIONS.items():
        if isinstance(cue, Wanted):
            assert (outcome.state, cue) not in TRANSITIONS


def test_each_rest_that_the_order_service_waits_for_is_told_it_and_nothing_else_is() -> None:
    told = {
        State.AUTHORIZED: "payment.authorized",
        State.DECLINED: "payment.declined",
        State.CAPTURED: "payment.captured",
        State.CAPTURE_FAILED: "payment.capture_failed",
        State.VOIDED: "payment.voided",
        State.REFUNDED: "payment.voided",
    }
    assert set(State) - set(told) == set(IN_PROGRESS) | FOR_A_PERSON
    for outcome in TRANSITIONS.values():
        assert outcome == Transition(outcome.state, told.get(outcome.state))


def test_no_way_through_the_table_asks_for_the_same_operation_twice() -> None:
    def walk(state: State | None, asked: list[State]) -> None:
        assert len(asked) == len(set(asked))
        for (before, _), outcome in TRANSITIONS.items():
            if before is state:
                walk(outcome.state, [*asked, outcome.state] if outcome.state in IN_PROGRESS else asked)

    walk(NEW, [])


@pytest.mark.parametrize("one", Wanted)
@pytest.mark.parametrize("other", Wanted)
def test_of_two_wishes_the_further_one_stands_whichever_came_first(one: Wanted, other: Wanted) -> None:
    order = [Wanted.AUTHORIZE, Wanted.CAPTURE, Wanted.VOID]
    assert further(one, other) is further(other, one) is order[max(order.index(one), order.index(other))]
