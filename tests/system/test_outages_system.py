"""The database is away, gone or full of aborts, or the service is told to end, under load: clear answers, and nothing lost."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from google.cloud.spanner_v1 import KeySet
from google.cloud.spanner_v1.transaction import Transaction
from sale_samples import put_up
from system_service import PATIENCE_SECONDS, Answer, Meanwhile, Service, lines_of, service, units_left, until

from app.domain.sale import Sale
from app.settings import Settings
from app.storage.database import FairdropDatabase, connect, transact
from app.storage.schema import SCHEMA_ROOT, apply
from emulator import Emulators, running

IMPATIENT = {"FAIRDROP_RPC_DEADLINE_SECONDS": "1", "FAIRDROP_REQUEST_DEADLINE_SECONDS": "2"}
"""Shorter than anybody would set them, so that an outage of seconds is one."""

OUTAGE_SECONDS = 4.0

GRACE_SECONDS = 10.0
"""gunicorn's graceful_timeout."""


@pytest.fixture(scope="module")
def own_emulator() -> Iterator[Emulators]:
    """An emulator of the module's own: it is suspended and killed."""
    with running(spanner=True, fresh=True, spanner_arguments=("--enable_fault_injection",)) as started:
        yield started


@pytest.fixture
def own_settings(own_emulator: Emulators, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A database on that emulator."""
    for name, value in own_emulator.environment.items():
        monkeypatch.setenv(name, value)
    settings = Settings(spanner_project="fairdrop-test", spanner_instance="fairdrop-test", state_dir=tmp_path / "state")
    apply(settings, database_id=settings.spanner_database, folder=SCHEMA_ROOT / "orders")
    return settings


@pytest.fixture
def own_database(own_settings: Settings) -> Iterator[FairdropDatabase]:
    """Its handle; the database is dropped afterwards."""
    yield connect(own_settings)
    connect(own_settings).drop()


@pytest.fixture
def impatient(own_emulator: Emulators, own_settings: Settings, tmp_path: Path) -> Iterator[Service]:
    """A service that waits for the database only shortly."""
    with service(own_settings, own_emulator.environment, tmp_path / "service.log", **IMPATIENT) as started:
        yield started


def come_again(answer: Answer) -> None:
    """The answer must be one that a client can act on."""
    assert answer.status == 503, answer
    assert answer.problem in ("storage-unavailable", "overloaded")
    assert int(answer.headers["Retry-After"]) > 0


def wait_for_an_abort(database: FairdropDatabase) -> None:
    """See for ourselves that the emulator does abort: a transaction is run again."""
    tries: list[int] = []

    def work(transaction: Transaction) -> None:
        tries[-1] += 1
        transaction.delete("Restocks", KeySet(keys=[["none", "none"]]))

    while not any(count > 1 for count in tries):
        assert len(tries) < 1_000
        tries.append(0)
        transact(database, "test", work)


def test_aborts_reach_no_buyer_and_the_audit_is_clean(
    impatient: Service, own_database: FairdropDatabase, tmp_path: Path
) -> None:
    wait_for_an_abort(own_database)
    sale, answers = put_up(own_database, stock=300, waitlist_limit=20), tmp_path / "rush.jsonl"
    report = impatient.rush(sale, answers, 800)
    assert report.unanswered == 0
    assert {line["status"] for line in lines_of(answers)} <= {200, 201, 409, 503, None}
    assert units_left(own_database, sale) == 0
    impatient.audit(sale, answers)


def test_a_database_that_is_silent_for_seconds_is_told_as_503_and_nothing_is_lost_or_doubled(
    impatient: Service, own_emulator: Emulators, own_database: FairdropDatabase, tmp_path: Path
) -> None:
    assert own_emulator.spanner is not None
    sale, answers = put_up(own_database, stock=600, waitlist_limit=20), tmp_path / "rush.jsonl"
    with Meanwhile(lambda: impatient.rush(sale, answers, 1_500)) as rush:
        until(lambda: units_left(own_database, sale) < 500)
        own_emulator.spanner.suspend()
        try:
            began = time.monotonic()
            come_again(impatient.order(sale, "in the outage"))
            come_again(impatient.call("GET", "/readyz"))
            assert impatient.call("GET", "/healthz").status == 200
            time.sleep(max(0.0, OUTAGE_SECONDS - (time.monotonic() - began)))
        finally:
            own_emulator.spanner.resume()
    assert rush.result.unanswered == 0
    lines = lines_of(answers)
    assert {line["status"] for line in lines} <= {200, 201, 409, 503, None}
    assert any(line["status"] == 503 for line in lines)
    again = impatient.order(sale, "in the outage")
    assert again.status in (200, 201) or again.problem == "sold-out"
    assert units_left(own_database, sale) == 0
    assert impatient.call("GET", "/readyz").status == 200
    impatient.audit(sale, answers)


def test_a_database_that_comes_back_empty_is_told_and_served_again_once_its_schema_is_back(
    impatient: Service, own_emulator: Emulators, own_settings: Settings, own_database: FairdropDatabase
) -> None:
    assert own_emulator.spanner is not None
    old = put_up(own_database, sale_id="old", stock=1)
    assert impatient.order(old, "first").status == 201
    assert impatient.order(old, "second").problem == "sold-out"
    own_emulator.spanner.kill()
    come_again(impatient.order(put_up_nowhere(old), "third"))
    until(lambda: impatient.order(old, "third").status == 503)
    own_emulator.spanner.restart()
    until(lambda: "schema" in str(impatient.call("GET", "/readyz").body))
    come_again(impatient.order(old, "third"))
    assert len(impatient.workers) == 1
    apply(own_settings, database_id=own_settings.spanner_database, folder=SCHEMA_ROOT / "orders")
    until(lambda: impatient.call("GET", "/readyz").status == 200)
    until(lambda: impatient.order(old, "third").status == 404)
    # Nothing that was remembered of the database before may be said of this one.
    new = put_up(connect(own_settings), sale_id="old", stock=2)
    until(lambda: impatient.order(new, "first").status == 201)
    assert impatient.order(new, "second").status == 201
    assert impatient.order(new, "third").problem == "sold-out"


def put_up_nowhere(sale: Sale) -> Sale:
    """A sale that this process has never asked for."""
    return replace(sale, sale_id="never-asked-for")


def connections_of(workers: list[int]) -> int:
    """Connections that the workers hold with clients."""
    return sum(
        connection.status == psutil.CONN_ESTABLISHED and connection.laddr.port != connection.raddr.port
        for pid in workers
        for connection in psutil.Process(pid).net_connections("tcp4")
    )


def accepts(service: Service) -> bool:
    """Whether a new connection is taken."""
    try:
        socket.create_connection(service.address, 1).close()
    except OSError:
        return False
    return True


def test_sigterm_ends_the_service_when_all_that_was_in_flight_is_answered(
    own_emulator: Emulators, own_settings: Settings, own_database: FairdropDatabase, tmp_path: Path
) -> None:
    """The database is silent while the signal comes, so that the orders are surely in flight; somebody keeps an idle
    connection, as load balancers do.
    """
    assert own_emulator.spanner is not None
    sale, log_path = put_up(own_database), tmp_path / "service.log"
    with ExitStack() as stack:
        ending = stack.enter_context(service(own_settings, own_emulator.environment, log_path, workers=2))
        assert ending.order(sale, "before").status == 201
        workers = ending.workers
        idle = stack.enter_context(socket.create_connection(ending.address, PATIENCE_SECONDS))
        idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: fairdrop\r\n\r\n")
        assert idle.recv(12) == b"HTTP/1.1 200"
        crowd = stack.enter_context(ThreadPoolExecutor(30))
        own_emulator.spanner.suspend()
        try:
            answers = [crowd.submit(ending.order, sale, f"customer-{number}") for number in range(30)]
            until(lambda: connections_of(workers) >= 31)
            os.kill(ending.server.pid, signal.SIGTERM)
            until(lambda: not accepts(ending))
        finally:
            own_emulator.spanner.resume()
        assert [answer.result().status for answer in answers] == [201] * 30
        # A generous bound for a busy machine: what counts is that it ends by itself.
        assert psutil.Process(ending.server.pid).wait(GRACE_SECONDS + 20) == 0
    assert units_left(own_database, sale) == 100 - 31
    assert "Traceback" not in log_path.read_text()
