"""The sweep over sendings and answers, held against the comparison of every pair."""

from hypothesis import given
from hypothesis import strategies as st

from app.domain.audit.answers import Answered, Sending, out_of_line

_REQUEST = st.tuples(st.integers(0, 20), st.integers(0, 10), st.integers(0, 5), st.integers(0, 2), st.booleans())
"""Sent at, time taken, position, answered or not."""


@given(st.lists(_REQUEST, max_size=25))
def test_the_sweep_names_just_the_orders_that_stand_before_one_answered_before_they_were_sent(
    requests: list[tuple[int, int, int, int, bool]],
) -> None:
    sendings = [Sending(sent, (placed, 0, seq), "c", str(i)) for i, (sent, _, placed, seq, _) in enumerate(requests)]
    answers = [
        Answered(sent + took, (placed, 0, seq), str(i))
        for i, (sent, took, placed, seq, answered) in enumerate(requests)
        if answered
    ]
    wrong = {
        f"order {later.order_id} of customer c"
        for later in sendings
        for earlier in answers
        if earlier.answered_ns < later.sent_ns and earlier.position > later.position
    }
    found = out_of_line(sorted(sendings), sorted(answers))
    assert {violation.row for violation in found} == wrong
