"""A measurement that is ended leaves nothing running."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

PATIENCE_SECONDS = 120


def _has_started(of: psutil.Process, word: str) -> bool:
    """Whether one of its processes has this in its command line."""
    for child in of.children(recursive=True):
        try:
            if any(word in argument for argument in child.cmdline()):
                return True
        except psutil.NoSuchProcess:
            continue
    return False


@pytest.mark.parametrize("last_started", ["gunicorn", "spawn_main"], ids=["server", "rush"])
def test_a_measurement_that_gets_sigterm_ends_with_all_that_it_has_started(last_started: str, tmp_path: Path) -> None:
    with (tmp_path / "output").open("wb") as output:
        command = [sys.executable, "-m", "app.cli", "bench", "orders", "--buyers", "4000"]
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        us, give_up = psutil.Process(process.pid), time.monotonic() + PATIENCE_SECONDS
        while not _has_started(us, last_started):
            assert process.poll() is None, (tmp_path / "output").read_text()
            assert time.monotonic() < give_up
            time.sleep(0.05)
        started = us.children(recursive=True)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) != 0
        _, alive = psutil.wait_procs(started, PATIENCE_SECONDS)
        assert alive == []
        said = (tmp_path / "output").read_text()
        assert "Traceback" not in said
        assert "round 2" not in said
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
