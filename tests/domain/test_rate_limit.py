"""Rate limits: never more than the burst and the rate, a place for whoever was refused, and bounded memory."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain import rate_limit
from app.domain.rate_limit import KEYS_WITH_TICKETS, TICKET_SECONDS, TICKETS_PER_KEY, RateLimiter

RATES = st.floats(0.5, 500)
BURSTS = st.integers(1, 20)
GAPS = st.lists(st.floats(0, 1), min_size=1, max_size=120)
TICKETS = st.lists(st.sampled_from([None, *range(30)]), min_size=120, max_size=120)


@given(RATES, BURSTS, GAPS, TICKETS)
def test_in_no_span_of_time_more_come_in_than_the_burst_and_the_rate_allow(
    rate: float, burst: int, gaps: list[float], tickets: list[int | None]
) -> None:
    limiter, now, admitted = RateLimiter(rate, burst), 1_000.0, []
    for gap, ticket in zip(gaps, tickets, strict=False):
        now += gap
        if limiter.admit("key", now, ticket) == 0:
            admitted.append(now)
    # A place that somebody was given may be claimed late: at most so many of them at once, on top of the burst.
    for first, start in enumerate(admitted):
        for count, end in enumerate(admitted[first:], 1):
            assert count <= burst + TICKETS_PER_KEY + math.ceil((end - start) * rate) + 1


@given(RATES, BURSTS, GAPS)
def test_without_tickets_the_bound_is_exact(rate: float, burst: int, gaps: list[float]) -> None:
    limiter, now, admitted = RateLimiter(rate, burst), 1_000.0, []
    for gap in gaps:
        now += gap
        if limiter.admit("key", now) == 0:
            admitted.append(now)
    for first, start in enumerate(admitted):
        for count, end in enumerate(admitted[first:], 1):
            assert count <= burst + math.floor((end - start) * rate + 1e-6)


@given(RATES, BURSTS, st.integers(1, 60), st.integers(0, 200))
def test_who_waits_as_long_as_was_said_is_let_in_whatever_else_comes_of_the_key(
    rate: float, burst: int, before: int, meanwhile: int
) -> None:
    limiter = RateLimiter(rate, burst)
    for number in range(burst):
        assert limiter.admit("key", 0.0, ("flood", number)) == 0
    wait = limiter.admit("key", 0.0, "mine")
    assert wait > 0
    for number in range(meanwhile):
        limiter.admit("key", wait * number / 200, ("flood", "again", number))
    early = limiter.admit("key", wait / 2, "mine")
    assert early == pytest.approx(wait / 2)
    assert limiter.admit("key", wait, "mine") == 0


def test_a_place_is_good_for_one_request() -> None:
    limiter = RateLimiter(1.0, 1)
    assert limiter.admit("key", 0.0, "first") == 0
    assert limiter.admit("key", 0.0, "second") == 1.0
    assert limiter.admit("key", 1.0, "second") == 0
    assert limiter.admit("key", 1.0, "second") > 0


def test_without_a_ticket_the_wait_is_until_the_next_free_moment() -> None:
    limiter = RateLimiter(10.0, 2)
    assert [limiter.admit("key", 0.0) for _ in range(2)] == [0, 0]
    assert limiter.admit("key", 0.0) == pytest.approx(0.1)
    assert limiter.admit("key", 0.0) == pytest.approx(0.1)
    assert limiter.admit("key", 0.1) == 0


def test_keys_do_not_touch_each_other() -> None:
    limiter = RateLimiter(1.0, 1)
    assert [limiter.admit(f"key-{number}", 0.0) for number in range(100)] == [0.0] * 100


def test_so_many_have_places_and_no_more_and_those_nobody_comes_back_for_are_given_up() -> None:
    limiter = RateLimiter(100.0, 1)
    waits = [limiter.admit("key", 0.0, number) for number in range(TICKETS_PER_KEY + 4)]
    assert waits[0] == 0
    assert len({round(wait, 6) for wait in waits[1 : TICKETS_PER_KEY + 1]}) == TICKETS_PER_KEY
    # Whoever comes now has no place, and is told the first moment that is nobody's.
    assert len({round(wait, 6) for wait in waits[TICKETS_PER_KEY + 1 :]}) == 1
    later = TICKET_SECONDS + 1.0
    assert limiter.admit("key", later, "other") == 0
    assert limiter.admit("key", later, "waits") > 0
    assert limiter.admit("key", later + 1.0, "waits") == 0


def test_memory_is_bounded_however_many_keys_come() -> None:
    limiter = RateLimiter(1.0, 1, generation=100)
    for number in range(10_000):
        limiter.admit(f"key-{number}", 0.0)
    assert len(limiter._young) + len(limiter._old) < 200
    assert limiter.admit("key-9999", 0.0) > 0


def test_a_busy_key_is_not_forgotten_in_a_crowd_of_others() -> None:
    limiter = RateLimiter(0.001, 1, generation=100)
    limiter.admit("busy", 0.0)
    for number in range(5_000):
        limiter.admit(f"key-{number}", 1.0)
        if number % 50 == 0:
            assert limiter.admit("busy", 1.0) > 0


def test_places_are_bounded_over_all_keys_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert KEYS_WITH_TICKETS > 1_000
    monkeypatch.setattr(rate_limit, "KEYS_WITH_TICKETS", 50)
    limiter = RateLimiter(0.1, 1)
    for number in range(200):
        limiter.admit(f"key-{number}", 0.0)
        assert limiter.admit(f"key-{number}", 0.0, "ticket") > 0
    assert len(limiter._tickets) == 50
    limiter.admit("late", TICKET_SECONDS * 2)
    assert limiter.admit("late", TICKET_SECONDS * 2, "ticket") > 0
    assert "late" in limiter._tickets
