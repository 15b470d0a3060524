"""The Docker way, without an engine: a `docker` that writes down what it is told and serves the published port itself."""

import signal
from collections.abc import Sequence
from pathlib import Path

import pytest
from emulator_samples import bare_machine, eventually, run_script, write_program

from emulator import EmulatorDied, running
from emulator.kinds import SPANNER_IMAGE
from emulator.ports import accepts

PRETENDED_DOCKER = """
import http.server, pathlib, sys
words = sys.argv[1:]
with pathlib.Path(sys.argv[0] + ".calls").open("a") as calls:
    calls.write(" ".join(words) + "\\n")
if words[0] == "info":
    print("27.1")
if words[0] == "unpause":
    sys.exit(1)
if words[0] == "run":
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
    published = [words[index + 1] for index, word in enumerate(words) if word == "--publish"]
    http.server.HTTPServer(("127.0.0.1", int(published[-1].split(":")[1])), Handler).serve_forever()
"""

HOLD_OPEN = """
import os, time
from pathlib import Path
from emulator import running
from emulator.lookup import Machine
environ = {"PATH": os.environ["PRETENDED"], "FAIRDROP_STATE_DIR": os.environ["FAIRDROP_STATE_DIR"]}
with running(machine=Machine(environ=environ, sdk_places=(), archive=None)) as emulators:
    print(emulators.spanner.host, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def docker(tmp_path: Path) -> Path:
    import sys

    return write_program(tmp_path / "bin" / "docker", PRETENDED_DOCKER, interpreter=sys.executable)


def calls_of(docker: Path) -> Sequence[str]:
    calls = docker.with_name("docker.calls")
    return calls.read_text().splitlines() if calls.exists() else []


def container_in(calls: Sequence[str]) -> str:
    (run,) = [call.split() for call in calls if call.startswith("run ")]
    return run[run.index("--name") + 1]


def test_the_container_is_published_on_the_loopback_interface_and_removed_afterwards(
    docker: Path, tmp_path: Path
) -> None:
    with running(spanner_arguments=("--enable_fault_injection",), machine=bare_machine(tmp_path)) as emulators:
        assert emulators.spanner is not None
        port = emulators.spanner.host.removeprefix("127.0.0.1:")
        (run,) = [call for call in calls_of(docker) if call.startswith("run ")]
        assert f"--publish 127.0.0.1:{port}:9010" in run
        assert ":9020 " + SPANNER_IMAGE in run
        assert run.startswith("run --rm --name fairdrop-spanner-")
        assert run.endswith("--hostname 0.0.0.0 --enable_fault_injection")
    assert calls_of(docker)[-1] == f"rm --force {container_in(calls_of(docker))}"


def test_suspending_pauses_the_container_and_a_container_that_is_gone_is_told(docker: Path, tmp_path: Path) -> None:
    with running(machine=bare_machine(tmp_path)) as emulators:
        assert emulators.spanner is not None
        emulators.spanner.suspend()
        assert calls_of(docker)[-1] == f"pause {container_in(calls_of(docker))}"
        with pytest.raises(EmulatorDied):  # this docker refuses to unpause
            emulators.spanner.resume()


def test_a_missing_image_is_pulled(docker: Path, tmp_path: Path) -> None:
    docker.write_text(docker.read_text().replace('== "unpause"', '== "image"'))
    with running(machine=bare_machine(tmp_path)):
        assert f"pull --quiet {SPANNER_IMAGE}" in calls_of(docker)


def test_the_container_is_removed_when_the_launcher_is_killed(
    docker: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRETENDED", str(docker.parent))
    launcher = run_script(HOLD_OPEN, tmp_path)
    assert launcher.stdout is not None
    host = launcher.stdout.readline().strip()
    launcher.send_signal(signal.SIGKILL)
    launcher.wait(timeout=30)
    assert eventually(lambda: calls_of(docker)[-1].startswith("rm --force fairdrop-spanner-"))
    assert not accepts(host)
