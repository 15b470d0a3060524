"""Emulators that stay after the command that started them: `up`, `down`, `status`."""

import contextlib
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import psutil

from emulator.kinds import Kind, Source
from emulator.lookup import Machine, find
from emulator.ports import LOOPBACK, accepts, answers, free_ports, is_free, wait_until_ready
from emulator.process import GONE_TIMEOUT_SECONDS, Command, group_members
from emulator.record import ProcessMark, Record, RecordFile, end_processes
from emulator.session import state_folder

State = Literal["running", "not answering", "given", "given but not answering", "stopped"]


@dataclass(frozen=True)
class Status:
    """How one emulator stands, for people and for `--json`."""

    name: str
    variable: str
    state: State
    host: str | None = None
    origin: str | None = None
    pid: int | None = None
    started_at: str | None = None
    log_path: str | None = None

    @property
    def is_usable(self) -> bool:
        """Whether a client would be answered."""
        return self.state in {"running", "given"}


def up(kinds: Sequence[Kind], machine: Machine, arguments: dict[Kind, Sequence[str]]) -> list[Kind]:
    """Starts those that are neither running nor given, and returns them when they answer; a second time it returns none.

    Raises EmulatorNotFound before anything was started, EmulatorDied when one does not come up (the others stay).
    """
    records = RecordFile(state_folder(machine.environ))
    with records.locked():
        idle = [kind for kind in kinds if _given_host(kind, machine, records) is None and not _is_alive(kind, records)]
        sources = find(idle, machine)
        for kind, source in sources.items():
            _start(kind, source, arguments.get(kind, ()), records)
    return idle


def down(kinds: Sequence[Kind], machine: Machine) -> list[Kind]:
    """Ends those that `up` started here and returns them; given ones and those of others are left alone."""
    records = RecordFile(state_folder(machine.environ))
    ended = []
    with records.locked():
        for kind in kinds:
            record = records.read(kind)
            if record is None or not record.processes:
                continue
            if record.living():
                ended.append(kind)
            _end(record)
            records.write(kind, record.ended())
    return ended


def status(kinds: Sequence[Kind], machine: Machine) -> list[Status]:
    """How each one stands, asked for real: one that does not answer within two seconds is not running."""
    records = RecordFile(state_folder(machine.environ))
    return [_status(kind, machine, records) for kind in kinds]


def _status(kind: Kind, machine: Machine, records: RecordFile) -> Status:
    given = _given_host(kind, machine, records)
    if given is not None:
        return Status(kind.name, kind.variable, "given" if accepts(given) else "given but not answering", given)
    record = records.read(kind)
    if record is None or not (living := record.living()):
        return Status(kind.name, kind.variable, "stopped")
    first = living[0]
    return Status(
        name=kind.name,
        variable=kind.variable,
        state="running" if answers(record.ports[-1], kind.ready_path) else "not answering",
        host=record.host,
        origin=record.origin,
        pid=first.pid,
        started_at=datetime.fromtimestamp(first.create_time(), UTC).isoformat(timespec="seconds"),
        log_path=record.log_path,
    )


def _given_host(kind: Kind, machine: Machine, records: RecordFile) -> str | None:
    """The host in the environment, unless it is there because somebody exported what our own `env` printed."""
    host = machine.environ.get(kind.variable)
    record = records.read(kind)
    return None if not host or (record is not None and record.host == host) else host


def _is_alive(kind: Kind, records: RecordFile) -> bool:
    record = records.read(kind)
    return record is not None and bool(record.living())


def _ports_for(kind: Kind, before: Record | None) -> Sequence[int]:
    """Those of the last time (an exported variable stays true), else the usual ones, else any."""
    for ports in (before.ports if before else (), kind.usual_ports):
        if ports and all(is_free(port) for port in ports):
            return ports
    return free_ports(len(kind.usual_ports))


def _start(kind: Kind, source: Source, arguments: Sequence[str], records: RecordFile) -> None:
    """Starts one, waits until it answers and records it; nothing of it is left when that fails or is interrupted."""
    ports = _ports_for(kind, records.read(kind))
    command = kind.command(source, ports, arguments)
    log_path = records.folder / f"{kind.name}.log"
    leader = launch(command, log_path)
    mark = ProcessMark.of(psutil.Process(leader.pid))
    record = Record(f"{LOOPBACK}:{ports[0]}", tuple(ports), source.origin, str(log_path), (mark,), command.remove)
    records.write(kind, record)  # before the wait: even if we are killed now, `down` knows it
    try:
        wait_until_ready(
            kind.title, log_path, lambda: leader.poll() is None, lambda: answers(ports[-1], kind.ready_path)
        )
    except BaseException:
        _end(replace(record, processes=_marks_of_group(leader.pid)))
        records.write(kind, record.ended())
        raise
    records.write(kind, replace(record, processes=_marks_of_group(leader.pid)))


def launch(command: Command, log_path: Path) -> subprocess.Popen[bytes]:
    """Starts it in a process group of its own, to stay after us; it writes to the log."""
    with log_path.open("wb") as log:
        return subprocess.Popen(  # noqa: S603 - built by `Kind.command`
            command.arguments,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, **command.environment},
        )


def _marks_of_group(leader_pid: int) -> tuple[ProcessMark, ...]:
    """All processes of the group, the leader first, so that each is found even after the leader died."""
    members = sorted(group_members(leader_pid), key=lambda process: process.pid != leader_pid)
    marks = []
    for process in members:
        with contextlib.suppress(psutil.NoSuchProcess):
            marks.append(ProcessMark.of(process))
    return tuple(marks)


def _end(record: Record) -> None:
    """Ends what the record says; a container is removed by name, which its client's death alone would not do."""
    end_processes(record.living())
    if record.remove_command:
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            subprocess.run(  # noqa: S603 - `docker rm` of our own container
                record.remove_command, capture_output=True, check=False, timeout=GONE_TIMEOUT_SECONDS
            )
