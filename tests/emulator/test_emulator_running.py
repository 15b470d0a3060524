import os
import signal
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from emulator_samples import bare_machine, eventually, run_script, this_machine

from emulator import EmulatorDied, EmulatorNotOurs, Emulators, running
from emulator.kinds import PUBSUB
from emulator.ports import accepts, answers

HOLD_OPEN = """
import time
from emulator import running
with running(spanner=True, pubsub=True) as emulators:
    {before}
    print(emulators.spanner.host, emulators.pubsub.host, flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulators]:
    with running(pubsub=True, machine=this_machine(tmp_path_factory.mktemp("running"))) as emulators:
        yield emulators


def processes_of(host: str) -> list[str]:
    """Programs with the port among their arguments, other than zombies."""
    port = host.rpartition(":")[2]
    found = []
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
            if any(port in word for word in words[1:]) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(Path(words[0]).name)
        except psutil.Error:
            continue
    return sorted(found)


def living() -> list[tuple[psutil.Process, str]]:
    """Every process of this machine with its command line; those that end meanwhile, or wait to be buried, are left out."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            found.append((process, " ".join(process.cmdline())))
    return found


def topics_at(host: str, method: str = "GET", topic: str = "") -> str:
    request = urllib.request.Request(
        f"http://{host}/v1/projects/p/topics{topic}", method=method, data=b"{}" if topic else None
    )
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=10) as response:
        return response.read().decode()


def test_both_emulators_answer_and_are_named_by_the_clients_variables(both: Emulators) -> None:
    assert both.spanner is not None
    assert both.pubsub is not None
    assert both.environment == {
        "SPANNER_EMULATOR_HOST": both.spanner.host,
        "PUBSUB_EMULATOR_HOST": both.pubsub.host,
    }
    assert accepts(both.spanner.host)
    assert '"topics"' not in topics_at(both.pubsub.host)


def test_what_was_not_asked_for_is_not_started(tmp_path: Path) -> None:
    with running(spanner=False, machine=bare_machine(tmp_path)) as emulators:
        assert (emulators.spanner, emulators.pubsub, emulators.environment) == (None, None, {})


def test_a_suspended_emulator_keeps_silent_until_it_is_resumed(both: Emulators) -> None:
    assert both.pubsub is not None
    port = int(both.pubsub.host.rpartition(":")[2])
    both.pubsub.suspend()
    try:
        assert accepts(both.pubsub.host)  # the kernel still takes connections; nobody answers them
        assert eventually(lambda: not answers(port, PUBSUB.ready_path))  # its other threads stop a moment later
    finally:
        both.pubsub.resume()
    assert eventually(lambda: answers(port, PUBSUB.ready_path))


def test_suspending_stops_every_process_of_the_spanner_emulator(both: Emulators) -> None:
    assert both.spanner is not None
    port = both.spanner.host.rpartition(":")[2]
    family = [process for process, line in living() if port in line.partition(" ")[2]]
    emulator_processes = [process for process in family if process.name().endswith("_main")]
    assert sorted(process.name() for process in emulator_processes) == ["emulator_main", "gateway_main"]
    both.spanner.suspend()
    try:
        assert eventually(lambda: {each.status() for each in emulator_processes} == {psutil.STATUS_STOPPED})
    finally:
        both.spanner.resume()


def test_a_restarted_emulator_is_empty_and_on_the_same_port(both: Emulators) -> None:
    assert both.pubsub is not None
    host = both.pubsub.host
    topics_at(host, "PUT", "/kept-in-memory")
    assert "kept-in-memory" in topics_at(host)
    both.pubsub.restart()
    assert both.pubsub.host == host
    assert "kept-in-memory" not in topics_at(host)


def test_killing_the_spanner_emulator_leaves_none_of_its_processes_and_it_can_be_restarted(both: Emulators) -> None:
    assert both.spanner is not None
    assert "emulator_main" in processes_of(both.spanner.host)
    both.spanner.kill()
    both.spanner.kill()
    assert processes_of(both.spanner.host) == []
    with pytest.raises(EmulatorDied, match="restart"):
        both.spanner.suspend()
    both.spanner.restart()
    assert accepts(both.spanner.host)


def test_arguments_reach_the_spanner_emulator_and_nothing_is_left_after_the_block(tmp_path: Path) -> None:
    with running(spanner_arguments=("--enable_fault_injection",), machine=this_machine(tmp_path)) as emulators:
        assert emulators.spanner is not None
        host = emulators.spanner.host
        command_lines = [line for _, line in living()]
        assert any("emulator_main" in line and host in line and "fault_injection" in line for line in command_lines)
    assert processes_of(host) == []
    assert list((tmp_path / "state" / "emulator").iterdir()) == []


def test_a_given_emulator_is_used_as_is_and_never_controlled(both: Emulators, tmp_path: Path) -> None:
    assert both.spanner is not None
    machine = bare_machine(tmp_path, SPANNER_EMULATOR_HOST=both.spanner.host)
    with running(machine=machine) as emulators:
        assert emulators.spanner is not None
        assert emulators.environment == {"SPANNER_EMULATOR_HOST": both.spanner.host}
        for action in (
            emulators.spanner.suspend,
            emulators.spanner.resume,
            emulators.spanner.kill,
            emulators.spanner.restart,
        ):
            with pytest.raises(EmulatorNotOurs, match="SPANNER_EMULATOR_HOST"):
                action()
    assert accepts(both.spanner.host)


def test_arguments_for_a_given_emulator_are_refused_rather_than_forgotten(tmp_path: Path) -> None:
    machine = bare_machine(tmp_path, SPANNER_EMULATOR_HOST="127.0.0.1:1")
    with (
        pytest.raises(EmulatorNotOurs, match="--enable_fault_injection"),
        running(spanner_arguments=("--enable_fault_injection",), machine=machine),
    ):
        pass


def test_a_fresh_emulator_is_our_own_though_another_is_given(both: Emulators, tmp_path: Path) -> None:
    assert both.pubsub is not None
    machine = this_machine(tmp_path, PUBSUB_EMULATOR_HOST=both.pubsub.host)
    with running(spanner=False, pubsub=True, fresh=True, machine=machine) as emulators:
        assert emulators.pubsub is not None
        assert emulators.pubsub.host != both.pubsub.host


def test_an_emulator_that_dies_at_once_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    with (
        pytest.raises(EmulatorDied, match=r"(?s)ended before it was ready.*no_such_flag"),
        running(spanner_arguments=("--no_such_flag",), machine=this_machine(tmp_path)),
    ):
        pass
    assert (tmp_path / "state" / "emulator").is_dir()


def test_an_error_inside_the_block_ends_the_emulators_too(tmp_path: Path) -> None:
    hosts = []

    def fail_inside() -> None:
        with running(machine=this_machine(tmp_path)) as emulators:
            hosts.extend(emulators.environment.values())
            raise LookupError

    with pytest.raises(LookupError):
        fail_inside()
    assert [processes_of(host) for host in hosts] == [[]]


@pytest.mark.parametrize(
    ("number", "before"),
    [
        pytest.param(signal.SIGKILL, "pass", id="kill -9"),
        pytest.param(signal.SIGKILL, "emulators.spanner.suspend()", id="kill -9 while suspended"),
        pytest.param(signal.SIGKILL, "import os; os.fork() or time.sleep(60)", id="kill -9 while a fork lives"),
        pytest.param(signal.SIGTERM, "pass", id="SIGTERM"),
        pytest.param(signal.SIGINT, "pass", id="Ctrl-C"),
    ],
)
def test_no_emulator_outlives_its_launcher(number: signal.Signals, before: str, tmp_path: Path) -> None:
    launcher = run_script(HOLD_OPEN.format(before=before), tmp_path)
    forks = []
    try:
        assert launcher.stdout is not None
        spanner, pubsub = launcher.stdout.readline().split()
        assert "emulator_main" in processes_of(spanner)
        assert "java" in processes_of(pubsub)
        children = psutil.Process(launcher.pid).children()
        forks = [child for child in children if "guard.py" not in " ".join(child.cmdline())]
        launcher.send_signal(number)
        launcher.wait(timeout=30)
        assert eventually(lambda: processes_of(spanner) == [])
        assert eventually(lambda: processes_of(pubsub) == [])
        assert eventually(lambda: list((tmp_path / "state" / "emulator").iterdir()) == [])
    finally:
        for process in (launcher, *forks):
            process.kill()


def test_a_fork_of_the_owner_does_not_end_the_emulators(both: Emulators) -> None:
    assert both.pubsub is not None
    child = os.fork()
    if child == 0:
        both.pubsub.kill()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert topics_at(both.pubsub.host)
