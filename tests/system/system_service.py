"""The service as processes: started, called, rushed at, and audited as somebody outside would."""

import http.client
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import psutil

from app.domain.sale import Sale
from app.http.local_issuer import LocalIssuer
from app.local.children import Child, serving
from app.rush.local_tokens import LocalTokens
from app.rush.options import RushOptions
from app.rush.plan import Shares
from app.rush.report import RushReport
from app.rush.runner import run_rush
from app.services import sales
from app.settings import Settings
from app.storage.database import FairdropDatabase

PATIENCE_SECONDS = 60.0
"""Ends a test that would hang; nothing is expected to take it."""

CROWD = Shares(double=0.05, retry=0.05, dropped=0.05, false_time=0.02, several=0.1)
SECRETS = (b"Bearer", b"eyJ", b"tok_visa")


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: Any

    @property
    def problem(self) -> str:
        """Which problem it is."""
        assert self.headers["Content-Type"] == "application/problem+json"
        return str(self.body["type"]).rpartition(":")[2]


@dataclass(frozen=True)
class Service:
    """gunicorn with its workers, and how to talk to it."""

    url: str
    server: Child
    settings: Settings
    environment: dict[str, str]

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        parts = urlsplit(self.url)
        assert parts.hostname is not None
        assert parts.port is not None
        return parts.hostname, parts.port

    @property
    def workers(self) -> list[int]:
        """The worker processes that live."""
        return [process.pid for process in psutil.Process(self.server.pid).children()]

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """One request on a connection of its own. Raises OSError or HTTPException when no answer comes."""
        connection = http.client.HTTPConnection(*self.address, timeout=PATIENCE_SECONDS)
        try:
            data = orjson.dumps(body) if body is not None else None
            if data is not None:
                headers["Content-Type"] = "application/json"
            connection.request(method, path, data, headers)
            response = connection.getresponse()
            return Answer(response.status, dict(response.headers), orjson.loads(response.read()))
        finally:
            connection.close()

    def token(self, customer: str) -> str:
        """A customer's Authorization header."""
        return f"Bearer {LocalIssuer.load(self.settings).token(customer)}"

    def order(self, sale: Sale, customer: str, key: str = "key", units: int = 1) -> Answer:
        """Place an order."""
        headers = {"Authorization": self.token(customer), "Idempotency-Key": key}
        return self.call("POST", f"/v1/sales/{sale.sale_id}/orders", {"units": units}, **headers)

    def rush(self, sale: Sale, answers: Path, buyers: int, connections: int = 128, **options: Any) -> RushReport:
        """A crowd of buyers; returns when all of them are done."""
        return run_rush(
            RushOptions(
                sale_id=sale.sale_id,
                tokens=LocalTokens(self.settings),
                answers=answers,
                url=self.url,
                buyers=buyers,
                processes=1,
                connections=connections,
                shares=CROWD,
                timeout_seconds=PATIENCE_SECONDS,
                **{"tries_limit": 60, **options},
            )
        )

    def audit(self, sale: Sale, answers: Path) -> None:
        """The audit must find the sale and every answer clean."""
        command = [sys.executable, "-m", "app.cli", "audit", sale.sale_id, "--answers", str(answers), "--no-payments"]
        environment = {**os.environ, **self.environment}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def log(self) -> str:
        """What it had to say."""
        return self.server.log_path.read_text(errors="replace")


def reaching(settings: Settings, emulator_environment: dict[str, str]) -> dict[str, str]:
    """The environment in which a process finds the test's database and state folder."""
    return {
        **emulator_environment,
        "FAIRDROP_STATE_DIR": str(settings.state_dir),
        "FAIRDROP_SPANNER_PROJECT": settings.spanner_project,
        "FAIRDROP_SPANNER_INSTANCE": settings.spanner_instance,
        "FAIRDROP_SPANNER_DATABASE": settings.spanner_database,
    }


@contextmanager
def service(
    settings: Settings, emulator_environment: dict[str, str], log_path: Path, *, workers: int = 1, **more: str
) -> Iterator[Service]:
    """The service for the length of a block; whatever was done to it, its log must hold no secret."""
    environment = {
        **reaching(settings, emulator_environment),
        "FAIRDROP_GATEWAY_URL": "http://127.0.0.1:1",
        **more,
    }
    with serving(environment, log_path, workers=workers) as (url, server):
        yield Service(url, server, settings, environment)
    log = log_path.read_bytes()
    assert not [secret for secret in SECRETS if secret in log]


def units_left(database: FairdropDatabase, sale: Sale) -> int:
    """Units on offer."""
    return sum(shard.available for shard in sales.show(database, sale.sale_id).shards)


def lines_of(answers: Path) -> list[dict[str, Any]]:
    """Every attempt of a rush."""
    _, *lines = answers.read_bytes().splitlines()
    return [orjson.loads(line) for line in lines]


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that must come about."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < give_up, "it did not come about"
        time.sleep(0.02)


class Meanwhile:
    """Something that runs in a thread while the test goes on; leaving the block waits for it, and raises what it raised."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work = work
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._error: BaseException | None = None
        self.result: Any = None

    def _run(self) -> None:
        try:
            self.result = self._work()
        except BaseException as error:  # raised again where somebody hears it
            self._error = error

    @property
    def is_running(self) -> bool:
        """Whether it still goes on."""
        return self._thread.is_alive()

    def __enter__(self) -> "Meanwhile":
        self._thread.start()
        return self

    def __exit__(self, kind: Any, _error: Any, _trace: Any) -> None:
        self._thread.join(PATIENCE_SECONDS * 2)
        if kind is None:
            assert not self.is_running
            if self._error is not None:
                raise self._error
