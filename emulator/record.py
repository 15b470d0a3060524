"""What `up` remembers in the state folder of the emulators it started: which processes, on which ports, from where.

A process is remembered by its number *and* its start: a number alone may belong to another program after a while, which
must never be killed.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import psutil

from emulator.errors import EmulatorDied
from emulator.kinds import Kind
from emulator.process import GONE_TIMEOUT_SECONDS

START_TOLERANCE_SECONDS = 2.0
"""A start is computed from the clock of the boot, which time synchronisation moves a little."""


@dataclass(frozen=True)
class ProcessMark:
    """One process, and when it started (seconds since the epoch)."""

    pid: int
    started_at_seconds: float

    @classmethod
    def of(cls, process: psutil.Process) -> "ProcessMark":
        """The mark of a living process."""
        return cls(process.pid, process.create_time())

    def find(self) -> psutil.Process | None:
        """The process if it still lives, and None if another has its number."""
        try:
            process = psutil.Process(self.pid)
            is_same = abs(process.create_time() - self.started_at_seconds) <= START_TOLERANCE_SECONDS
            return process if is_same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.Error:
            return None


@dataclass(frozen=True)
class Record:
    """One emulator started by `up`. After `down` it stays, without processes, so that the next `up` takes the same ports."""

    host: str
    ports: tuple[int, ...]
    origin: str
    log_path: str
    processes: tuple[ProcessMark, ...] = ()
    remove_command: tuple[str, ...] = ()

    def living(self) -> list[psutil.Process]:
        """Its processes that still live."""
        return [process for mark in self.processes if (process := mark.find()) is not None]

    def ended(self) -> "Record":
        """The same, with nothing running."""
        return replace(self, processes=(), remove_command=())


def end_processes(processes: Sequence[psutil.Process]) -> None:
    """Kills them and their descendants and returns when none lives; raises EmulatorDied when one outlives it."""
    family = set(processes)
    for process in processes:
        with contextlib.suppress(psutil.Error):
            family.update(process.children(recursive=True))
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    _, alive = psutil.wait_procs(list(family), timeout=GONE_TIMEOUT_SECONDS)
    survivors = [process for process in alive if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    if survivors:
        raise EmulatorDied(f"killed, but still there: {', '.join(str(process.pid) for process in survivors)}")


class RecordFile:
    """The records of one state folder, in `state.json`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / "state.json"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps every other `up` and `down` of this folder out."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def read(self, kind: Kind) -> Record | None:
        """The record of an emulator, or None when it was never started here (or the file is unreadable)."""
        entry = self._read_all().get(kind.name)
        if entry is None:
            return None
        return Record(
            host=entry["host"],
            ports=tuple(entry["ports"]),
            origin=entry["origin"],
            log_path=entry["log_path"],
            processes=tuple(ProcessMark(**mark) for mark in entry["processes"]),
            remove_command=tuple(entry["remove_command"]),
        )

    def write(self, kind: Kind, record: Record) -> None:
        """Replaces the record of an emulator; whole or not at all."""
        everything = {**self._read_all(), kind.name: asdict(record)}
        scratch = self._path.with_suffix(".new")
        scratch.write_text(json.dumps(everything, indent=2) + "\n")
        os.replace(scratch, self._path)

    def _read_all(self) -> dict[str, dict]:  # type: ignore[type-arg]  # JSON of our own making
        try:
            content = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}
