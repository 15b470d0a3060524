"""The simulator's dice: the same seed and keys give the same faults, at the rates that were asked for."""

from collections import Counter

import pytest
from pydantic import ValidationError

from app.gateway_simulator.options import CAPTURE_DECLINE_REASON, DECLINE_REASONS, Fate, Options, decline_reason, fate

KEYS = [f"order-{n}:authorize" for n in range(4_000)]


def declined(options: Options, operation: str = "authorize", method: str = "tok_visa") -> list[str | None]:
    return [decline_reason(options, operation, key, method) for key in KEYS]


def test_the_same_seed_declines_the_same_keys_and_another_seed_others() -> None:
    one = Options(book="x", seed=1, decline_rate=0.3)
    assert declined(one) == declined(one.model_copy())
    assert declined(one) != declined(one.model_copy(update={"seed": 2}))


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 1.0])
def test_declines_come_at_the_rate_that_was_asked_for_each_with_a_reason(rate: float) -> None:
    reasons = Counter(declined(Options(book="x", decline_rate=rate)))
    assert abs(1 - reasons[None] / len(KEYS) - rate) < 0.03
    assert set(reasons) - {None} == (set(DECLINE_REASONS) if rate else set())


def test_only_authorizations_and_captures_are_declined_each_at_its_own_rate() -> None:
    options = Options(book="x", decline_rate=1.0, capture_decline_rate=0.25)
    assert set(declined(options, "void")) == set(declined(options, "refund")) == {None}
    captures = Counter(declined(options, "capture"))
    assert set(captures) == {None, CAPTURE_DECLINE_REASON}
    assert abs(captures[CAPTURE_DECLINE_REASON] / len(KEYS) - 0.25) < 0.03


def test_a_token_that_asks_for_it_is_always_declined() -> None:
    assert set(declined(Options(book="x"), method="tok_declined_7")) == {"card_declined"}


def test_faults_come_at_their_rates_and_the_next_try_of_a_key_throws_anew() -> None:
    options = Options(book="x", error_rate=0.1, timeout_rate=0.2, lost_rate=0.3)
    for attempt in (1, 2):
        kinds = Counter(fate(options, options.seed, key, attempt)[0] for key in KEYS)
        for kind, rate in ((Fate.FAILED, 0.1), (Fate.HELD, 0.2), (Fate.LOST, 0.3), (Fate.ANSWERED, 0.4)):
            assert abs(kinds[kind] / len(KEYS) - rate) < 0.03
    first, second = ([fate(options, options.seed, key, attempt) for key in KEYS] for attempt in (1, 2))
    assert first != second
    assert first == [fate(options, options.seed, key, 1) for key in KEYS]


def test_delays_are_spread_around_their_mean() -> None:
    delays = [fate(Options(book="x", delay_ms=50), 0, key, 1)[1] for key in KEYS]
    assert 0 <= min(delays) < 0.002
    assert 0.098 < max(delays) <= 0.1
    assert abs(sum(delays) / len(delays) - 0.05) < 0.003


def test_a_rate_above_one_is_refused() -> None:
    with pytest.raises(ValidationError):
        Options(book="x", lost_rate=1.1)
