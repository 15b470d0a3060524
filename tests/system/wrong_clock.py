"""A wall clock that is wrong, for the processes that are started with it: set by a file, also while they run.

libfaketime stands between a process and the C library, so gRPC's core is deceived as well as Python. The monotonic clock is left
alone, as it is on a machine whose clock is set.
"""

import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

LOOKED_AT_SECONDS = 30.0
"""A shift that is seen by this much at least is a shift; none is smaller than minutes."""


class WrongClock:
    """Off by so many seconds from the true time."""

    def __init__(self, folder: Path, shift_seconds: float) -> None:
        self._file = folder / "wrong-clock"
        self.shift_seconds = 0.0
        self.set(shift_seconds)

    def set(self, shift_seconds: float) -> None:
        """Jump, at once, in all the processes that have this clock."""
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"{shift_seconds:+.3f}\n")
        fresh.replace(self._file)
        self.shift_seconds = shift_seconds

    @property
    def environment(self) -> dict[str, str]:
        """Start a process with these, and it has this clock. Skips the test where the library cannot be loaded."""
        found = importlib.util.find_spec("libfaketime")
        if found is None or found.origin is None:
            pytest.skip("libfaketime is not installed: it is for Linux")
        library = Path(found.origin).parent / "vendor/libfaketime/src/libfaketime.so.1"
        variables = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
        }
        if not _is_believed(variables, self.shift_seconds):
            pytest.skip("libfaketime's library cannot be loaded here: it is built for Linux on x86-64")
        return variables


def _is_believed(variables: dict[str, str], shift_seconds: float) -> bool:
    """Whether a process that is started so has the shifted time."""
    command = [sys.executable, "-c", "import time; print(time.time())"]
    told = subprocess.run(command, env={**os.environ, **variables}, capture_output=True, text=True, check=False)
    return told.returncode == 0 and abs(float(told.stdout) - time.time() - shift_seconds) < LOOKED_AT_SECONDS
