"""Signals that come while something is half begun."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.local import children
from app.local.children import child
from app.signals import held


@pytest.fixture
def caught() -> Iterator[list[int]]:
    """What this process was sent, SIGTERM or SIGINT; each ends what it is doing."""
    numbers: list[int] = []

    def handler(number: int, _frame: object) -> None:
        numbers.append(number)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, handler) for number in (signal.SIGTERM, signal.SIGINT)}
    yield numbers
    for number, previous in before.items():
        signal.signal(number, previous)


def test_a_signal_has_its_effect_at_the_end_of_the_block(caught: list[int]) -> None:
    done: list[str] = []

    def interrupted() -> None:
        with held(signal.SIGTERM, signal.SIGINT):
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGINT)
            assert caught == []
            done.append("whole")

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (done, caught) == (["whole"], [signal.SIGTERM])
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_what_the_block_raises_is_not_lost_without_a_signal(caught: list[int]) -> None:
    with pytest.raises(ValueError, match="mine"), held(signal.SIGTERM):
        raise ValueError("mine")
    assert caught == []


def test_in_another_thread_nothing_is_held_and_nothing_fails() -> None:
    ran: list[bool] = []

    def run() -> None:
        with held(signal.SIGTERM):
            ran.append(True)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert ran == [True]


def test_a_child_that_was_just_started_when_the_signal_came_is_stopped(
    caught: list[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    started: list[subprocess.Popen[bytes]] = []

    class Interrupted(subprocess.Popen[bytes]):
        def __init__(self, *args: object, **options: object) -> None:
            super().__init__(*args, **options)  # type: ignore[call-overload]
            started.append(self)
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(children.subprocess, "Popen", Interrupted)
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    with pytest.raises(KeyboardInterrupt), child("sleeper", command, {}, tmp_path / "log"):
        pytest.fail("the block is not begun")
    assert caught == [signal.SIGTERM]
    assert started[0].poll() is not None
