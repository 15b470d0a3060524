"""Wrong clocks for processes of our own: seen by them and nobody else, and nothing is left of those that were killed."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.local.wrong_clock import WrongClock, bury_the_dead, clocks_can_be_wrong

PATIENCE_SECONDS = 20.0
TELLING = "import time\nwhile True: print(time.time(), time.monotonic(), flush=True); time.sleep(0.05)"


@pytest.fixture
def clock(tmp_path: Path) -> WrongClock:
    if not clocks_can_be_wrong():
        pytest.skip("libfaketime cannot be loaded here")
    return WrongClock(tmp_path / "a folder that is not there yet" / "clock")


@pytest.fixture
def teller(clock: WrongClock) -> Iterator["subprocess.Popen[str]"]:
    environment = {**os.environ, **clock.variables(seen_within_seconds=1)}
    with subprocess.Popen(
        [sys.executable, "-c", TELLING], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.kill()


def shift_told(teller: "subprocess.Popen[str]") -> float:
    assert teller.stdout is not None
    return float(teller.stdout.readline().split()[0]) - time.time()


def test_a_running_process_sees_each_jump_within_a_second_or_so(
    clock: WrongClock, teller: "subprocess.Popen[str]"
) -> None:
    for shift in (300.0, -300.0, 0.0):
        clock.set(shift)
        give_up = time.monotonic() + PATIENCE_SECONDS
        while abs(shift_told(teller) - shift) > 30 and time.monotonic() < give_up:
            pass
        assert abs(shift_told(teller) - shift) < 30


def test_its_monotonic_clock_stays_true(clock: WrongClock, teller: "subprocess.Popen[str]") -> None:
    clock.set(300.0)
    assert teller.stdout is not None
    while abs(shift_told(teller) - 300.0) > 30:
        pass
    assert abs(float(teller.stdout.readline().split()[1]) - time.monotonic()) < 30


def test_a_killed_process_leaves_no_shared_memory_behind(teller: "subprocess.Popen[str]") -> None:
    shift_told(teller)
    left = list(Path("/dev/shm").glob(f"*faketime*_{teller.pid}"))
    bury_the_dead()
    assert left == list(Path("/dev/shm").glob(f"*faketime*_{teller.pid}")) != []
    teller.kill()
    teller.wait()
    bury_the_dead()
    assert list(Path("/dev/shm").glob(f"*faketime*_{teller.pid}")) == []
