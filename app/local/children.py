"""Child processes with a log each, ready before they are used, and gone when the block that started them is left."""

import os
import signal
import socket
import subprocess  # starting our own commands is what this module is for
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from app.signals import held

READY_SECONDS = 60.0
STOP_SECONDS = 15.0
"""A process that gets SIGTERM finishes what is in flight within 10 s; past this it is killed."""
LOG_TAIL_BYTES = 2_000


class ChildFailed(Exception):
    """A process ended, or did not become ready; the message has the end of its log."""


class Child:
    """A process in a session of its own, so that a Ctrl-C reaches only us, and we stop it in good order."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], log_path: Path) -> None:
        """Start it, its output going to the end of the log."""
        self.name = name
        self.log_path = log_path
        log_path.parent.mkdir(parents=True, exist_ok=True)
        with log_path.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  # the command is ours
                command,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process, and its group."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def signal(self, number: int) -> None:
        """Send a signal to the whole group; one that is gone gets none."""
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            return

    def stop(self) -> int:
        """SIGTERM to the process, and SIGKILL to whatever is left of its group; returns the exit code."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.signal(signal.SIGKILL)
        self.signal(signal.SIGKILL)
        return self._process.wait()

    def kill(self) -> None:
        """SIGKILL to the whole group."""
        self.signal(signal.SIGKILL)
        self._process.wait()

    def wait(self, seconds: float) -> int | None:
        """The exit code, once it has ended; None when it has not within so long."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def check(self) -> None:
        """Raise ChildFailed if it has ended."""
        if self.exit_code is not None:
            raise ChildFailed(f"{self.name} ended with exit code {self.exit_code}:\n{self.log_tail()}")

    def log_tail(self) -> str:
        """The end of its log."""
        return self.log_path.read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace")


@contextmanager
def child(name: str, command: Sequence[str], environment: Mapping[str, str], log_path: Path) -> Iterator[Child]:
    """A process for the length of a block."""
    started: Child | None = None
    try:
        # An interruption between the process's start and our having it would leave it running.
        with held(signal.SIGTERM, signal.SIGINT):
            started = Child(name, command, environment, log_path)
        yield started
    finally:
        if started is not None:
            started.stop()


def free_port() -> int:
    """A port of this machine that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for_http(url: str, process: Child, seconds: float = READY_SECONDS) -> None:
    """Return when the address answers 200; raises ChildFailed when its process ends or does not get there."""
    give_up = time.monotonic() + seconds
    while True:
        process.check()
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310  # an address of ours
                return
        except (urllib.error.URLError, OSError) as error:
            if time.monotonic() > give_up:
                message = f"{process.name} is not ready after {seconds:.0f} s ({error}):\n{process.log_tail()}"
                raise ChildFailed(message) from None
        time.sleep(0.05)


@contextmanager
def serving(
    environment: Mapping[str, str],
    log_path: Path,
    *,
    workers: int = 1,
    factory: str = "app.http.wsgi:create()",
    ready: str = "/readyz",
) -> Iterator[tuple[str, Child]]:
    """An HTTP service under gunicorn on a free port, as `fairdrop serve` runs it; yields its address."""
    port = free_port()
    configuration = Path(__file__).parents[1] / "http" / "gunicorn_conf.py"
    command = [sys.executable, "-m", "gunicorn", "-c", str(configuration), "-w", str(workers)]
    command += ["-b", f"127.0.0.1:{port}", factory]
    url = f"http://127.0.0.1:{port}"
    with child("the HTTP service", command, environment, log_path) as server:
        wait_for_http(url + ready, server)
        yield url, server
