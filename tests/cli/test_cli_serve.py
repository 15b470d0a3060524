import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.cli.main import fairdrop
from app.local.children import free_port

START_TIMEOUT_SECONDS = 60
END_TIMEOUT_SECONDS = 30
"""Bounds for a busy machine; the test itself asks only that the end comes."""


def answer(port: int, path: str, process: subprocess.Popen[bytes]) -> bytes:
    """The body that the path answers with, once the service is up."""
    ends_at = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < ends_at and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as response:
                body: bytes = response.read()
                return body
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"no answer from {path}; exit code {process.poll()}")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_service_answers_until_sigterm_and_ends_with_0(
    variables: Mapping[str, str], tmp_path: Path, workers: str
) -> None:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli", "serve", "--workers", workers],
        env={**os.environ, **variables, "PORT": str(port)},
        cwd=tmp_path,
    )
    try:
        assert b"alive" in answer(port, "/healthz", process)
        assert b"ready" in answer(port, "/readyz", process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(END_TIMEOUT_SECONDS) == 0
    finally:
        process.kill()
        process.wait()
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), timeout=5):
        pass


def served(monkeypatch: pytest.MonkeyPatch, *arguments: str, **variables: str) -> list[str]:
    """The command that `fairdrop serve` would become."""
    become: list[list[str]] = []
    monkeypatch.setattr("os.execv", lambda _path, command: become.append(command))
    environment = {"SPANNER_EMULATOR_HOST": "127.0.0.1:1", **variables}
    result = CliRunner().invoke(fairdrop, ["serve", *arguments], env=environment)
    assert result.exit_code == 0, result.output
    return become[0]


def test_the_address_and_the_workers_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    command = served(monkeypatch, PORT="1234", WEB_CONCURRENCY="3")
    assert command[command.index("--bind") + 1] == "127.0.0.1:1234"
    assert command[command.index("--workers") + 1] == "3"


def test_an_option_is_stronger_than_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    command = served(monkeypatch, "--port", "99", "--host", "::1", "--workers", "2", PORT="1234", WEB_CONCURRENCY="3")
    assert command[command.index("--bind") + 1] == "[::1]:99"
    assert command[command.index("--workers") + 1] == "2"


def test_there_is_a_worker_for_each_core_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: {0, 1, 5})
    command = served(monkeypatch)
    assert command[command.index("--workers") + 1] == "3"


def test_a_bad_setting_is_told_before_gunicorn_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.execv", None)
    result = CliRunner().invoke(fairdrop, ["serve"], env={"FAIRDROP_BATCH_LIMIT": "0"})
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: FAIRDROP_BATCH_LIMIT: ")
