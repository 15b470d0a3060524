"""The shell of every worker: patient, never in a hurry for nothing, and never dead of one bad step."""

import itertools
import logging
import threading
from collections.abc import Iterator

import pytest

from app.domain.errors import StorageUnavailable
from app.messaging.broker import BrokerUnavailable
from app.workers.loop import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, keep_going


class Watch(threading.Event):
    """A stop event that never sleeps, notes how long it was asked to, and is set after so many pauses."""

    def __init__(self, pauses: int) -> None:
        super().__init__()
        self.asked: list[float] = []
        self._pauses = pauses

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.asked.append(timeout)
        if len(self.asked) == self._pauses:
            self.set()
        return self.is_set()


def steps(*outcomes: int | Exception) -> Iterator[int | Exception]:
    return itertools.chain(outcomes, itertools.repeat(outcomes[-1]))


def run(watch: Watch, outcomes: Iterator[int | Exception], idle: float, longest_idle: float = 0.0) -> None:
    def step() -> int:
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    keep_going(step, watch, idle, longest_idle)


def test_a_quiet_worker_looks_ever_more_seldom_up_to_a_bound_and_at_once_again_when_there_is_work() -> None:
    watch = Watch(7)
    run(watch, steps(0, 0, 0, 0, 5, 5, 0, 0, 0), 0.05, 0.25)
    assert watch.asked == [0.05, 0.1, 0.2, 0.25, 0.05, 0.1, 0.2]


def test_without_a_longest_pause_every_idle_pause_is_the_same() -> None:
    watch = Watch(3)
    run(watch, steps(0), 0.5)
    assert watch.asked == [0.5, 0.5, 0.5]


@pytest.mark.parametrize("error", [BrokerUnavailable("away"), StorageUnavailable("away", 1), ValueError("a bug")])
def test_after_a_failure_the_pauses_grow_to_a_bound_and_begin_anew_after_a_success(error: Exception) -> None:
    watch = Watch(12)
    run(watch, steps(*[error] * 10, 1, error), 0.0)
    longest = [min(FIRST_PAUSE_SECONDS * 2**n, LONGEST_PAUSE_SECONDS) for n in range(10)]
    for asked, most in zip(watch.asked, [*longest, *longest[:2]], strict=True):
        assert most / 2 <= asked <= most


def test_an_outage_is_one_line_in_the_log_and_a_bug_is_told_with_its_place(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        run(Watch(20), steps(BrokerUnavailable("away")), 0.0)
        assert [record.message for record in caplog.records] == ["no answer, trying again: away"]
        caplog.clear()
        run(Watch(1), steps(ValueError("a bug")), 0.0)
    assert caplog.records[0].exc_info is not None
