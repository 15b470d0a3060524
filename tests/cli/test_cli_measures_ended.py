"""A measurement that is ended leaves nothing running."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

PATIENCE_SECONDS = 120


def _server(of: psutil.Process) -> psutil.Process | None:
    """The gunicorn that it has started, once it is there."""
    for child in of.children(recursive=True):
        try:
            if "gunicorn" in child.cmdline():
                return child
        except psutil.NoSuchProcess:
            continue
    return None


def test_a_measurement_that_gets_sigterm_ends_what_it_has_started(tmp_path: Path) -> None:
    with (tmp_path / "output").open("wb") as output:
        command = [sys.executable, "-m", "app.cli", "bench", "orders", "--buyers", "400"]
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        us, give_up = psutil.Process(process.pid), time.monotonic() + PATIENCE_SECONDS
        while _server(us) is None:
            assert process.poll() is None, (tmp_path / "output").read_text()
            assert time.monotonic() < give_up
            time.sleep(0.05)
        started = us.children(recursive=True)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) != 0
        _, alive = psutil.wait_procs(started, PATIENCE_SECONDS)
        assert alive == []
        assert b"Traceback" not in (tmp_path / "output").read_bytes()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
