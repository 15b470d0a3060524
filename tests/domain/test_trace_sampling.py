"""Which requests are traced: what a caller says, a share by the trace's id, and never more than so many a second."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.trace_context import Sampling, TraceContext, is_in_share, parse_cloud_trace, parse_traceparent

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACED, PASSED_ON = TraceContext(TRACE, SPAN, True), TraceContext(TRACE, SPAN, False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"00-{TRACE}-{SPAN}-01", TRACED),
        (f"00-{TRACE}-{SPAN}-00", PASSED_ON),
        (f"00-{TRACE}-{SPAN}-03", TRACED),
        (f"cc-{TRACE}-{SPAN}-01-what-comes-later", TRACED),
        (f"00-{TRACE}-{SPAN}-01-what-comes-later", None),
        (f"00-{TRACE}-{SPAN}-01-", None),
        (f"ff-{TRACE}-{SPAN}-01", None),
        (f"00-{TRACE.upper()}-{SPAN}-01", None),
        (f"00-{'0' * 32}-{SPAN}-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE}-{SPAN}", None),
        (f" 00-{TRACE}-{SPAN}-01", None),
        ("", None),
    ],
)
def test_a_traceparent_is_read_as_w3c_has_it(text: str, expected: TraceContext | None) -> None:
    assert parse_traceparent(text) == expected


def test_google_s_older_header_says_the_same_with_a_decimal_span() -> None:
    assert parse_cloud_trace(f"{TRACE}/{int(SPAN, 16)};o=1") == TRACED
    assert parse_cloud_trace(f"{TRACE}/{int(SPAN, 16)}") == PASSED_ON
    assert parse_cloud_trace(f"{TRACE}/0;o=1") is None


@given(st.text(max_size=80))
def test_no_text_is_too_odd_to_be_looked_at(text: str) -> None:
    for context in (parse_traceparent(text), parse_cloud_trace(text)):
        assert context is None or int(context.trace_id, 16) > 0 < int(context.span_id, 16)


def test_a_caller_who_traces_is_followed_and_one_who_does_not_is_left_to_the_share() -> None:
    nothing = Sampling(0.0, per_second=10)
    assert nothing.wants(TRACED, random.random, 1.0)
    assert not nothing.wants(PASSED_ON, random.random, 1.0)
    assert not nothing.wants(None, lambda: 0.0, 1.0)
    everything = Sampling(1.0, per_second=10)
    assert everything.wants(PASSED_ON, random.random, 1.0)
    assert everything.wants(None, lambda: 0.999, 1.0)


def test_without_a_trace_chance_decides() -> None:
    rule = Sampling(0.25, per_second=10)
    assert rule.wants(None, lambda: 0.2499, 1.0)
    assert not rule.wants(None, lambda: 0.25, 1.0)


def test_a_crowd_that_asks_to_be_traced_gets_no_more_than_the_bound_in_any_second() -> None:
    rule = Sampling(0.01, per_second=50)
    for second in (7.0, 8.0, 9.5):
        assert sum(rule.wants(TRACED, random.random, second) for _ in range(5_000)) == 50


def test_a_bound_of_zero_traces_nobody() -> None:
    assert not Sampling(1.0, per_second=0).wants(TRACED, random.random, 1.0)


@given(st.integers(0, 2**128 - 1), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_has_all_of_a_smaller_one_s(number: int, one: float, other: float) -> None:
    trace_id = f"{number:032x}"
    smaller, larger = sorted((one, other))
    assert is_in_share(trace_id, larger) or not is_in_share(trace_id, smaller)
    assert is_in_share(trace_id, 1.0)
    assert not is_in_share(trace_id, 0.0)


def test_a_share_by_id_is_about_that_share() -> None:
    ids = random.Random(7)
    chosen = sum(is_in_share(f"{ids.getrandbits(128):032x}", 0.1) for _ in range(20_000))
    assert 1_800 < chosen < 2_200
