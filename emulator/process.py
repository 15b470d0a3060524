"""A started emulator as the operating system sees it: one process group, its guard, its log.

Knows nothing of Spanner or Pub/Sub. An emulator keeps its data in memory only, so it is always ended by SIGKILL: there is
nothing to flush, and a group that is stopped (`suspend`) would not hear anything milder.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from emulator.errors import EmulatorDied

GONE_TIMEOUT_SECONDS = 20.0
GUARD_TIMEOUT_SECONDS = 45.0  # the guard may still have a container to remove, for at most 20 seconds
LOG_TAIL_LINES = 40  # gateway_main prints its usage, 25 lines, after what was wrong
LOG_TAIL_BYTES = 8_192

_GUARD = Path(__file__).with_name("guard.py")


@dataclass(frozen=True)
class Command:
    """How an emulator is run: its arguments, those that remove its container (empty without one), and what its environment
    has besides ours.
    """

    arguments: tuple[str, ...]
    container: str = ""
    docker: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def remove(self) -> tuple[str, ...]:
        """The command that removes the container, running or not; empty when there is none."""
        return (self.docker, "rm", "--force", self.container) if self.container else ()


class GuardedProcess:
    """One run of an emulator that ends with this process, however this process ends."""

    def __init__(self, command: Command, log_path: Path) -> None:
        self.command = command
        self.log_path = log_path
        self._owner = os.getpid()
        self._is_ended = False
        log_path.parent.mkdir(parents=True, exist_ok=True)
        log_path.write_bytes(b"")
        arguments = [str(self._owner), str(log_path), json.dumps(command.remove), *command.arguments]
        self._guard = subprocess.Popen(  # noqa: S603 - our own interpreter and script
            [sys.executable, "-I", "-S", str(_GUARD), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, **command.environment},
        )
        self.group = self._read_group()

    def _read_group(self) -> int:
        if self._guard.stdout is None:
            raise AssertionError("the guard was started with a pipe")
        line = self._guard.stdout.readline()
        if not line.strip().isdigit():
            _, complaint = self._guard.communicate(timeout=GONE_TIMEOUT_SECONDS)
            last = complaint.decode(errors="replace").strip().rpartition("\n")[2]
            raise EmulatorDied(f"{self.command.arguments[0]} could not be started: {last}")
        return int(line)

    @property
    def is_running(self) -> bool:
        """Whether the emulator's first process lives (stopped counts as living)."""
        return self._guard.poll() is None

    def suspend(self) -> None:
        """Stops every process of the emulator (SIGSTOP); connections stay open and nothing answers."""
        self._signal(signal.SIGSTOP, "pause")

    def resume(self) -> None:
        """Lets a suspended emulator go on; does nothing to one that runs."""
        self._signal(signal.SIGCONT, "unpause")

    def kill(self) -> None:
        """Kills every process of the emulator and returns when none is left. Safe to call twice."""
        if self._is_ended or self._owner != os.getpid():  # in a fork of the owner: not its emulator to end
            return
        if self.is_running or self._guard.returncode < 0:  # below 0: the guard was killed and guards no more
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.group, signal.SIGKILL)
        with contextlib.suppress(OSError):  # a guard that is gone already hears nothing
            self._guard.communicate(b"end", timeout=GUARD_TIMEOUT_SECONDS)
        wait_until_gone(self.group)
        self._is_ended = True

    def _signal(self, number: signal.Signals, docker_verb: str) -> None:
        if self.command.container:
            verb = (self.command.docker, docker_verb, self.command.container)
            is_done = subprocess.run(verb, capture_output=True, check=False).returncode == 0  # noqa: S603 - our docker
        else:
            is_done = self.is_running  # first: the number of a group that is gone may be somebody else's by now
            if is_done:
                os.killpg(self.group, number)
        if not is_done:
            raise EmulatorDied("the emulator does not run any more; restart() starts it again")


def group_members(group: int) -> list[psutil.Process]:
    """The living processes of a process group; zombies, which only wait to be reaped, are not among them."""
    members = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                members.append(process)
    return members


def wait_until_gone(group: int) -> None:
    """Returns when no process of the group lives; raises EmulatorDied when some outlive GONE_TIMEOUT_SECONDS."""
    end = time.monotonic() + GONE_TIMEOUT_SECONDS
    while survivors := group_members(group):
        if time.monotonic() > end:
            raise EmulatorDied(f"killed, but still there: {', '.join(str(process.pid) for process in survivors)}")
        time.sleep(0.02)


def log_tail(log_path: Path) -> str:
    """The last lines of a log, indented; a sentence instead when there is nothing to show."""
    try:
        with log_path.open("rb") as log:
            log.seek(max(0, log_path.stat().st_size - LOG_TAIL_BYTES))
            lines = log.read().decode(errors="replace").splitlines()
    except OSError:
        lines = []
    if not lines:
        return f"({log_path} is empty)"
    return f"the end of {log_path}:\n" + "\n".join(f"  {line}" for line in lines[-LOG_TAIL_LINES:])
