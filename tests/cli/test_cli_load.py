"""What `fairdrop load` calls reached and missed."""

from app.bench.load import Overload, Sample, Step
from app.cli.load import flat, judged

DEADLINE_MS = 10_000.0


def step(factor: float, share: float, p99_ms: float = 900.0) -> Step:
    return Step(factor, 1_000 * factor, 1_000 * share, share, 300.0, p99_ms, None, {}, 0)


def missed(overload: Overload) -> list[str]:
    return [text for text, is_reached in judged(overload) if not is_reached]


def test_a_worker_that_keeps_its_goodput_and_its_deadline_has_reached_everything() -> None:
    assert missed(Overload(1_000.0, (step(0.5, 0.5), step(4.0, 0.95)), 0.5, DEADLINE_MS)) == []


def test_goodput_that_falls_under_overload_is_missed_and_below_capacity_it_is_not_asked_for() -> None:
    [text] = missed(Overload(1_000.0, (step(0.5, 0.5), step(2.0, 0.89)), 0.5, DEADLINE_MS))
    assert "goodput at 2 times" in text


def test_an_order_taken_after_its_deadline_and_a_slow_recovery_are_missed() -> None:
    texts = missed(Overload(1_000.0, (step(2.0, 1.0, p99_ms=10_001.0),), 5.1, DEADLINE_MS))
    assert len(texts) == 2


def test_a_soak_whose_memory_grows_is_not_flat() -> None:
    steady = [Sample(30.0 * index, 140.0, 60, 30) for index in range(8)]
    growing = [Sample(30.0 * index, 140.0 + 20 * index, 60, 30) for index in range(8)]
    assert all(is_reached for _, is_reached in flat(steady))
    assert [text for text, is_reached in flat(growing) if not is_reached] == [
        "soak, memory, MB: 180 early, 280 at the end"
    ]
