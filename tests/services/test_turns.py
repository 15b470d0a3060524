"""One at a time, across threads and processes; and nobody is held up by one who is gone."""

import multiprocessing
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.synchronize import Event

import pytest

from app.http.greenlets import Greenlets
from app.services import turns
from app.services.concurrency import Threads
from app.services.turns import NO_TURNS, Turns
from app.settings import load_settings

FORK = multiprocessing.get_context("fork")
PATIENCE_SECONDS = 60


class Room:
    """Where one may be at a time; shared by forked processes."""

    def __init__(self) -> None:
        self.turns = Turns()
        self.inside = FORK.Value("i", 0)
        self.most = FORK.Value("i", 0)

    def visit(self) -> None:
        """Come in by turns, and note how many are there."""
        with self.turns:
            with self.inside.get_lock():
                self.inside.value += 1
                self.most.value = max(self.most.value, self.inside.value)
            time.sleep(0.001)
            with self.inside.get_lock():
                self.inside.value -= 1

    def visit_often(self) -> None:
        """Twenty times."""
        for _ in range(20):
            self.visit()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "LONGEST_SECONDS", PATIENCE_SECONDS)


@pytest.mark.usefixtures("patient")
def test_of_the_threads_and_the_forked_processes_one_has_the_turn() -> None:
    room = Room()
    processes = [FORK.Process(target=room.visit_often) for _ in range(3)]
    for process in processes:
        process.start()
    with ThreadPoolExecutor(3) as threads:
        for _ in range(3):
            threads.submit(room.visit_often)
    for process in processes:
        process.join(PATIENCE_SECONDS)
        assert process.exitcode == 0
    assert room.most.value == 1


def _hold(mine: Turns, has_it: Event) -> None:
    with mine:
        has_it.set()
        time.sleep(PATIENCE_SECONDS)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_turn_that_is_lost_with_its_holder_is_waited_for_once(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "LONGEST_SECONDS", 0.2)
    shared, has_it = Turns(), FORK.Event()
    holder = FORK.Process(target=_hold, args=(shared, has_it))
    holder.start()
    try:
        assert holder.pid is not None
        assert has_it.wait(PATIENCE_SECONDS)
        os.kill(holder.pid, number)
        with shared:
            pass  # after the wait
        assert shared._free.get_value() == 1  # the next one waits for nobody
    finally:
        holder.kill()
        holder.join(PATIENCE_SECONDS)


def test_whoever_went_ahead_without_leaves_one_turn_behind_and_not_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "LONGEST_SECONDS", 0.01)
    room = Room()
    with room.turns, room.turns:
        pass  # two have given it back
    monkeypatch.setattr(turns, "LONGEST_SECONDS", PATIENCE_SECONDS)
    room.visit()  # alone: who came in the same moment could have the other
    with ThreadPoolExecutor(4) as threads:
        for _ in range(4):
            threads.submit(room.visit_often)
    assert room.most.value == 1
    assert room.inside.value == 0


def test_nobody_takes_turns_unless_some_are_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "_inherited", NO_TURNS)
    assert turns.inherited() is Threads.turn is Greenlets().turn is NO_TURNS


@pytest.mark.parametrize(
    ("emulator", "takes_turns", "are_shared"),
    [("127.0.0.1:9010", True, True), ("127.0.0.1:9010", False, False), ("", True, False)],
)
def test_they_are_shared_on_the_emulator_only(
    emulator: str, takes_turns: bool, are_shared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "_inherited", NO_TURNS)
    monkeypatch.setenv("SPANNER_EMULATOR_HOST", emulator)
    turns.share(load_settings().model_copy(update={"take_turns": takes_turns}))
    assert isinstance(turns.inherited(), Turns) is are_shared
