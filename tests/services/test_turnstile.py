"""How many orders are let in: as many as are answered in time, by how long the latest took."""

from app.services.turnstile import LEAST_UNDER_WAY, WAIT_SHARE, Turnstile

DEADLINE_SECONDS = 10.0
IN_TIME = WAIT_SHARE * DEADLINE_SECONDS


def answer_a_line(turnstile: Turnstile, seconds: float) -> None:
    """Fill the line, and answer all of it after so long."""
    places = []
    while not turnstile.is_shut:
        places.append(turnstile.enter())
    for place in places:
        turnstile.leave(place, seconds)


def test_it_is_shut_at_the_bound_and_open_again_once_one_is_answered() -> None:
    turnstile = Turnstile(2, DEADLINE_SECONDS)
    first = turnstile.enter()
    assert not turnstile.is_shut
    turnstile.enter()
    assert turnstile.is_shut
    turnstile.leave(first, 0.1)
    assert not turnstile.is_shut
    assert turnstile.under_way == 1


def test_answers_that_take_twice_as_long_as_they_may_halve_the_line() -> None:
    turnstile = Turnstile(1_000, DEADLINE_SECONDS)
    turnstile.leave(turnstile.enter() + 999, 2 * IN_TIME)
    assert turnstile.bound == 500


def test_however_slow_the_answers_some_are_let_in() -> None:
    turnstile = Turnstile(1_000, DEADLINE_SECONDS)
    for _ in range(50):
        answer_a_line(turnstile, 100 * IN_TIME)
    assert turnstile.bound == LEAST_UNDER_WAY


def test_answers_in_time_lengthen_the_line_again_and_never_beyond_its_most() -> None:
    turnstile = Turnstile(1_000, DEADLINE_SECONDS)
    answer_a_line(turnstile, 4 * IN_TIME)
    shortened = turnstile.bound
    answer_a_line(turnstile, 0.1)
    assert shortened < turnstile.bound <= 1.2 * shortened
    for _ in range(100):
        answer_a_line(turnstile, 0.1)
    assert turnstile.bound == 1_000


def test_a_line_before_a_steady_server_settles_where_the_wait_is_as_long_as_it_may_be() -> None:
    per_second = 100.0
    turnstile = Turnstile(2_000, DEADLINE_SECONDS)
    for _ in range(20):
        places = []
        while not turnstile.is_shut:
            places.append(turnstile.enter())
        for place in places:
            turnstile.leave(place, place / per_second)
    assert 0.8 * IN_TIME < turnstile.bound / per_second < 1.2 * IN_TIME
