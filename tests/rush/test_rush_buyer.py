import pytest

from app.rush.buyer import (
    BACKOFF_LIMIT_SECONDS,
    OPENING_PAUSE_LEAST_SECONDS,
    RETRY_AFTER_LIMIT_SECONDS,
    Buyer,
    Errand,
    next_step,
)
from app.rush.plan import BuyerPlan, Kind

TRIES = 20


def errand(kind: Kind = "plain", tries: int = 1) -> Errand:
    return Errand(Buyer(BuyerPlan(kind, 1, "key", 0.0), "customer", b""), None, tries=tries)


@pytest.mark.parametrize("status", [200, 201, 400, 401, 409, 422, 500])
def test_an_answer_settles_the_errand(status: int) -> None:
    assert next_step(errand(), status, None, TRIES, 0.5) is None


def test_a_retrying_buyer_sends_once_more_after_the_answer_and_then_no_more() -> None:
    retrying = errand("retry", tries=TRIES)
    assert next_step(retrying, 201, None, TRIES, 0.5) == 0
    assert retrying.tries == 0
    assert next_step(retrying, 200, None, TRIES, 0.5) is None


@pytest.mark.parametrize("jitter", [0.0, 0.5, 0.999])
def test_nobody_comes_back_before_retry_after(jitter: float) -> None:
    pause_ns = next_step(errand(), 503, 2.0, TRIES, jitter)
    assert pause_ns is not None
    assert 2_000_000_000 <= pause_ns <= 4_000_000_000


def test_a_retry_after_of_nothing_or_of_zero_still_spreads_the_crowd() -> None:
    for asked in (None, 0.0):
        early, late = (next_step(errand(), 503, asked, TRIES, jitter) for jitter in (0.0, 0.9))
        assert early is not None
        assert late is not None
        assert early < late


def test_an_endless_retry_after_is_bounded() -> None:
    pause_ns = next_step(errand(), 503, 1e9, TRIES, 0.999)
    assert pause_ns is not None
    assert pause_ns <= 2e9 * RETRY_AFTER_LIMIT_SECONDS


@pytest.mark.parametrize("status", [503, None])
def test_tries_are_bounded(status: int | None) -> None:
    assert next_step(errand(tries=TRIES - 1), status, 0.0, TRIES, 0.0) is not None
    assert next_step(errand(tries=TRIES), status, 0.0, TRIES, 0.0) is None


def test_lost_answers_are_asked_for_again_ever_more_slowly_up_to_a_bound() -> None:
    pauses = [next_step(errand(tries=tries), None, None, 5_000, 0.5) for tries in (1, 2, 3, 10, 4_000)]
    assert all(pause is not None for pause in pauses)
    assert pauses == sorted(pauses)  # type: ignore[type-var]
    assert pauses[0] != pauses[2]
    assert pauses[-1] is not None
    assert pauses[-1] <= BACKOFF_LIMIT_SECONDS * 1e9


def test_who_waits_for_the_opening_is_there_when_it_is_and_not_later() -> None:
    assert next_step(errand(), 409, 1.0, TRIES, 0.9, opens_in_seconds=0.4) == 400_000_000
    assert next_step(errand(), 409, 1.0, TRIES, 0.9, opens_in_seconds=0.0) == OPENING_PAUSE_LEAST_SECONDS * 1e9
    assert next_step(errand(tries=TRIES), 409, 1.0, TRIES, 0.9, opens_in_seconds=0.4) is None
