import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from emulator_samples import bare_machine, eventually, install_sdk, this_machine, write_program

from emulator import EmulatorDied, EmulatorNotFound, detached, ports
from emulator.kinds import KINDS, SPANNER
from emulator.lookup import Machine
from emulator.ports import accepts
from emulator.record import ProcessMark, Record, RecordFile
from emulator.session import state_folder

NEVER_READY = "exec sleep 600"


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """This machine with a state folder of its own; what `up` started there is ended."""
    own = this_machine(tmp_path)
    yield own
    detached.down(KINDS, own)


def emulator_command(*words: str, environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "emulator", *words], capture_output=True, text=True, env=dict(environ), check=False
    )


def record_of(machine: Machine) -> Record:
    record = RecordFile(state_folder(machine.environ)).read(SPANNER)
    assert record is not None
    return record


def test_up_down_status_and_env_tell_the_same_story(machine: Machine) -> None:
    environ = machine.environ
    assert emulator_command("status", environ=environ).returncode == 3
    nothing_yet = emulator_command("env", environ=environ)
    assert (nothing_yet.returncode, nothing_yet.stdout) == (3, "")

    first = emulator_command("up", environ=environ)
    assert first.returncode == 0, first.stderr
    assert first.stdout.count(", started") == 2
    shown = emulator_command("status", "--json", environ=environ)
    statuses = json.loads(shown.stdout)
    assert shown.returncode == 0
    assert [statuses[kind.name]["state"] for kind in KINDS] == ["running", "running"]
    exports = emulator_command("env", environ=environ).stdout.splitlines()
    assert exports == [f"export {kind.variable}={statuses[kind.name]['host']}" for kind in KINDS]

    second = emulator_command("up", environ=environ)
    assert second.returncode == 0
    assert ", started" not in second.stdout
    assert json.loads(emulator_command("status", "--json", environ=environ).stdout) == statuses

    assert emulator_command("down", environ=environ).stdout == "spanner: stopped\npubsub: stopped\n"
    assert not any(psutil.pid_exists(each["pid"]) and accepts(each["host"]) for each in statuses.values())
    again = emulator_command("down", environ=environ)
    assert (again.returncode, again.stdout.count("nothing of ours")) == (0, 2)
    assert emulator_command("status", environ=environ).returncode == 3


def test_the_next_up_takes_the_same_ports_though_the_old_ones_are_exported(machine: Machine) -> None:
    detached.up([SPANNER], machine, {})
    host = record_of(machine).host
    detached.down([SPANNER], machine)
    exported = replace(machine, environ={**machine.environ, "SPANNER_EMULATOR_HOST": host})
    assert detached.up([SPANNER], exported, {}) == [SPANNER]
    assert record_of(machine).host == host
    (shown,) = detached.status([SPANNER], exported)
    assert shown.state == "running"


def test_taken_ports_are_passed_over(machine: Machine) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        records = RecordFile(state_folder(machine.environ))
        records.folder.mkdir(parents=True)
        records.write(SPANNER, Record(f"127.0.0.1:{port}", (port, port), "before", "before.log"))
        detached.up([SPANNER], machine, {})
        assert port not in record_of(machine).ports
        assert accepts(record_of(machine).host)


def test_two_ups_at_once_start_one_emulator(machine: Machine) -> None:
    command = [sys.executable, "-m", "emulator", "up", "spanner"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(machine.environ)) for _ in range(2)]
    outputs = [each.communicate(timeout=90)[0] for each in both]
    assert [each.returncode for each in both] == [0, 0]
    assert sum(output.count(", started") for output in outputs) == 1


def test_arguments_are_passed_and_named_emulators_only_are_started(machine: Machine) -> None:
    done = emulator_command("up", "spanner", "--spanner-argument=--enable_fault_injection", environ=machine.environ)
    assert done.returncode == 0, done.stderr
    leader, *_ = record_of(machine).living()
    assert "--enable_fault_injection" in leader.cmdline()
    assert [each.state for each in detached.status(KINDS, machine)] == ["running", "stopped"]


def test_down_ends_emulator_main_even_when_its_gateway_is_gone(machine: Machine) -> None:
    detached.up([SPANNER], machine, {})
    gateway, emulator_main = record_of(machine).living()
    gateway.kill()
    assert eventually(lambda: record_of(machine).living() == [emulator_main])
    assert detached.status([SPANNER], machine)[0].state == "not answering"
    assert emulator_command("up", "spanner", environ=machine.environ).returncode == 3
    assert detached.down([SPANNER], machine) == [SPANNER]
    assert not emulator_main.is_running() or emulator_main.status() == psutil.STATUS_ZOMBIE


def test_another_program_with_a_remembered_number_is_never_killed(machine: Machine) -> None:
    stranger = subprocess.Popen(["sleep", "600"])
    try:
        mark = ProcessMark.of(psutil.Process(stranger.pid))
        earlier = replace(mark, started_at_seconds=mark.started_at_seconds - 60)
        records = RecordFile(state_folder(machine.environ))
        records.folder.mkdir(parents=True)
        records.write(SPANNER, Record("127.0.0.1:9", (9, 9), "before", "before.log", (earlier,)))
        assert detached.status([SPANNER], machine)[0].state == "stopped"
        assert detached.down([SPANNER], machine) == []
        assert stranger.poll() is None
        records.write(SPANNER, Record("127.0.0.1:9", (9, 9), "before", "before.log", (mark,)))
        assert detached.down([SPANNER], machine) == [SPANNER]
        assert eventually(lambda: stranger.poll() is not None)
    finally:
        stranger.kill()
        stranger.wait()


def test_a_given_emulator_is_neither_started_nor_stopped(tmp_path: Path) -> None:
    with socket.socket() as given:
        given.bind(("127.0.0.1", 0))
        given.listen()
        host = f"127.0.0.1:{given.getsockname()[1]}"
        machine = bare_machine(tmp_path, SPANNER_EMULATOR_HOST=host)
        assert detached.up([SPANNER], machine, {}) == []
        assert [(each.state, each.host) for each in detached.status([SPANNER], machine)] == [("given", host)]
        assert detached.down([SPANNER], machine) == []
        assert accepts(host)


def test_a_given_emulator_that_does_not_answer_is_told(tmp_path: Path) -> None:
    environ = dict(this_machine(tmp_path).environ) | {"SPANNER_EMULATOR_HOST": "127.0.0.1:1"}
    done = emulator_command("up", "spanner", environ=environ)
    assert (done.returncode, done.stdout) == (3, "spanner: given but not answering at 127.0.0.1:1\n")


def test_up_starts_nothing_when_one_of_them_is_missing(tmp_path: Path) -> None:
    machine = bare_machine(tmp_path, CLOUDSDK_ROOT=str(install_sdk(tmp_path / "sdk")))
    with pytest.raises(EmulatorNotFound):
        detached.up(KINDS, machine, {})
    assert [each.state for each in detached.status(KINDS, machine)] == ["stopped", "stopped"]


def test_a_failed_up_shows_the_log_and_leaves_nothing(machine: Machine) -> None:
    done = emulator_command("up", "spanner", "--spanner-argument=--no_such_flag", environ=machine.environ)
    assert done.returncode == 1
    assert "ended before it was ready" in done.stderr
    assert "no_such_flag" in done.stderr
    assert record_of(machine).processes == ()


def test_an_emulator_that_never_answers_is_given_up_and_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "READY_TIMEOUT_SECONDS", 0.3)
    root = install_sdk(tmp_path / "sdk")
    gateway = write_program(root / "bin" / "cloud_spanner_emulator" / "gateway_main", NEVER_READY)
    machine = bare_machine(tmp_path, CLOUDSDK_ROOT=str(root))
    machine = replace(machine, environ={**machine.environ, "PATH": os.environ["PATH"]})
    with pytest.raises(EmulatorDied, match="did not answer within"):
        detached.up([SPANNER], machine, {})
    assert record_of(machine).processes == ()
    assert not running_with(str(gateway.parent))


def test_a_failed_up_ends_what_a_dead_gateway_left_behind(tmp_path: Path) -> None:
    root = install_sdk(tmp_path / "sdk")
    write_program(root / "bin" / "cloud_spanner_emulator" / "emulator_main", NEVER_READY.removeprefix("exec "))
    write_program(root / "bin" / "cloud_spanner_emulator" / "gateway_main", '"${0%/*}/emulator_main" & exit 1')
    environ = {**this_machine(tmp_path).environ, "CLOUDSDK_ROOT": str(root)}
    assert emulator_command("up", "spanner", environ=environ).returncode == 1
    assert running_with(str(root)) == []


def test_ctrl_c_while_it_starts_leaves_nothing(tmp_path: Path) -> None:
    root = install_sdk(tmp_path / "sdk")
    write_program(root / "bin" / "cloud_spanner_emulator" / "gateway_main", "trap '' INT\nsleep 600 & wait")
    environ = {**this_machine(tmp_path).environ, "CLOUDSDK_ROOT": str(root)}
    command = subprocess.Popen(
        [sys.executable, "-m", "emulator", "up", "spanner"], env=environ, stderr=subprocess.DEVNULL
    )
    assert eventually(lambda: bool(running_with(str(root))))
    command.send_signal(signal.SIGINT)
    assert command.wait(timeout=30) != 0
    assert running_with(str(root)) == []


def running_with(word: str) -> list[int]:
    """Processes that have the word in their arguments, other than zombies."""
    found = []
    for process in psutil.process_iter():
        try:
            if word in " ".join(process.cmdline()) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except psutil.Error:
            continue
    return found
