"""A wall clock that is wrong, for the processes that are started with it: set by a file, also while they run.

libfaketime stands between a process and the C library, so gRPC's core is deceived as well as Python. The monotonic clock is left
alone, as it is on a machine whose clock is set. It is a library of the tests and of `fairdrop chaos`; where it is not installed, or
not built for the machine, clocks stay true.
"""

import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import psutil

LOOKED_AT_SECONDS = 30.0
"""A shift that is seen by this much at least is a shift; none is smaller than minutes."""

PROBED_SECONDS = 600.0

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  # where glibc keeps it; nothing is made there


class WrongClock:
    """Off by so many seconds from the true time."""

    def __init__(self, file: Path, shift_seconds: float = 0.0) -> None:
        """The file is made, and its folder; nobody has this clock yet."""
        file.parent.mkdir(parents=True, exist_ok=True)
        self._file = file
        self.shift_seconds = 0.0
        self.set(shift_seconds)

    def set(self, shift_seconds: float) -> None:
        """Jump, in all the processes that have this clock."""
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"{shift_seconds:+.3f}\n")
        fresh.replace(self._file)
        self.shift_seconds = shift_seconds

    def variables(self, *, seen_within_seconds: int = 0) -> Mapping[str, str]:
        """Start a process with these, and it has this clock; a jump is seen within so many seconds, and each look at the file costs
        a system call or two: with 0 each asking for the time is one. Raises ClocksAreTrue where that cannot be.
        """
        library = _library()
        if library is None:
            raise ClocksAreTrue
        looks = (
            {"FAKETIME_CACHE_DURATION": str(seen_within_seconds)} if seen_within_seconds else {"FAKETIME_NO_CACHE": "1"}
        )
        return {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
            **looks,
        }


def bury_the_dead() -> None:
    """Remove the shared memory that processes with such a clock leave behind when they are killed: a later one with the same number
    would stumble over it.
    """
    for left in _SHARED_MEMORY.glob("*faketime_s*_*"):
        number = left.name.rpartition("_")[2]
        if number.isdecimal() and not psutil.pid_exists(int(number)):
            left.unlink(missing_ok=True)


class ClocksAreTrue(Exception):
    """libfaketime is not installed, or cannot be loaded on this machine: it is built for Linux on x86-64."""


def clocks_can_be_wrong() -> bool:
    """Whether a process can be given a wrong clock here."""
    return _library() is not None


@cache
def _library() -> Path | None:
    """The library, if a process that is started with it has the shifted time."""
    found = importlib.util.find_spec("libfaketime")
    if found is None or found.origin is None:
        return None
    library = Path(found.origin).parent / "vendor/libfaketime/src/libfaketime.so.1"
    command = [sys.executable, "-c", "import time; print(time.time())"]
    shifted = {
        **os.environ,
        "LD_PRELOAD": str(library),
        "FAKETIME": f"{PROBED_SECONDS:+.0f}",
        "FAKETIME_DISABLE_SHM": "1",
    }
    told = subprocess.run(command, env=shifted, capture_output=True, text=True, check=False)  # noqa: S603  # our own command
    if told.returncode or abs(float(told.stdout) - time.time() - PROBED_SECONDS) > LOOKED_AT_SECONDS:
        return None
    return library
