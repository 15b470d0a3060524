"""Where mutants play: real processes that run a copy of `app`, recorders, a broker whose line can be cut. Not of the checker."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from history_evidence import Evidence, watch
from history_judge import Verdict, judge
from history_mutants import ROOT, Mutant, marker, plant
from history_records import read_history
from history_workloads import OPENS_AT_MS, WORKLOADS, Clients, Workload
from sale_samples import put_up

from app.http.local_issuer import LocalIssuer
from app.messaging.topics import ensure_topics
from app.settings import Settings
from app.storage import schema
from app.storage.database import FairdropDatabase, connect

HERE = Path(__file__).parent
RECORDERS = 2
READY_SECONDS = 90.0
PLAY_SECONDS = 120.0
QUIET_SECONDS = 16.0
"""Evidence that has not changed for so long, with nothing settled, will not change any more."""

MONEY_SECONDS = 90.0
GATEWAY_OPTIONS = ("--lost-rate", "0.3", "--delay-ms", "1100", "--decline-rate", "0.1")


@dataclass
class Process:
    """One process in a group of its own, its output in a log."""

    command: Sequence[str]
    folder: Path
    environment: Mapping[str, str]
    log: Path
    running: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.running = subprocess.Popen(
                self.command,
                cwd=self.folder,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.running.pid, signal.SIGKILL)
        self.running.wait()


def wait_for(url: str, process: Process) -> None:
    """Until it answers 200."""
    give_up = time.monotonic() + READY_SECONDS
    while True:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        assert process.running.poll() is None, process.log.read_text()[-2_000:]
        assert time.monotonic() < give_up, f"{url} is not ready: {process.log.read_text()[-2_000:]}"
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Line:
    """A line to the broker that can be cut and mended, for one service alone: the broker itself serves others meanwhile."""

    def __init__(self, target: str) -> None:
        host, _, port = target.partition(":")
        self._target = (host, int(port))
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self.is_cut = False
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        with self._lock:
            self.is_cut = True
            for end in self._open:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        self.is_cut = False

    def close(self) -> None:
        self._server.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
                if self.is_cut:
                    near.close()
                    continue
                far = socket.create_connection(self._target)
            except OSError:
                return
            with self._lock:
                self._open |= {near, far}
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while chunk := one.recv(65_536):
                other.sendall(chunk)
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._open -= {one, other}


@dataclass(frozen=True)
class Stage:
    """What all runs share: the emulators, a place for copies, a gateway."""

    settings: Settings
    folder: Path
    broker: str
    gateway: str

    def play(self, mutant: Mutant | None, names: Sequence[str]) -> dict[str, Verdict]:
        """Play workloads one after the other, all with money or all without, on processes that run one copy of the code."""
        folder = self.folder / uuid.uuid4().hex[:8]
        folder.mkdir()
        plant(mutant, folder)
        first = WORKLOADS[names[0]]
        with ExitStack() as stack:
            settings = self._own_databases(first.with_money)
            line = Line(self.broker)
            stack.callback(line.close)
            team = Team(self, settings, folder, line)
            stack.callback(team.kill)
            team.start(first)
            verdicts = {name: team.run(WORKLOADS[name], name) for name in names}
            said = marker(mutant.name if mutant is not None else "nothing")
            for process in team.processes:
                assert said in process.log.read_text(errors="replace"), f"{process.command} did not run the copy"
        shutil.rmtree(folder / "app")
        return verdicts

    def _own_databases(self, with_money: bool) -> Settings:
        """Databases of the run's own: the emulator takes one writer at a time in each, and a relay reads every sale's outbox."""
        mark = uuid.uuid4().hex[:8]
        changes = {
            "spanner_database": f"history-{mark}",
            "payments_database": f"history-{mark}-pay",
            "pubsub_project": f"history-{mark}",
        }
        settings = self.settings.model_copy(update=changes)
        schema.apply(settings, database_id=settings.spanner_database, folder=schema.SCHEMA_ROOT / "orders")
        if with_money:
            schema.apply(settings, database_id=settings.payments_database, folder=schema.SCHEMA_ROOT / "payments")
            ensure_topics(settings.broker_project, ack_deadline_seconds=10)
        return settings


class Team:
    """One copy's processes and its recorders."""

    def __init__(self, stage: Stage, settings: Settings, folder: Path, line: Line) -> None:
        self.settings = settings
        self.folder = folder
        self.line = line
        self.environment = {
            "PYTHONPATH": str(folder),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PUBSUB_EMULATOR_HOST": line.address,
            "FAIRDROP_STATE_DIR": str(settings.state_dir),
            "FAIRDROP_SPANNER_PROJECT": settings.spanner_project,
            "FAIRDROP_SPANNER_INSTANCE": settings.spanner_instance,
            "FAIRDROP_SPANNER_DATABASE": settings.spanner_database,
            "FAIRDROP_PAYMENTS_DATABASE": settings.payments_database,
            "FAIRDROP_PUBSUB_PROJECT": settings.broker_project,
            "FAIRDROP_GATEWAY_URL": stage.gateway,
            "FAIRDROP_GATEWAY_TIMEOUT_SECONDS": "4",
            "FAIRDROP_LEASE_SECONDS": "2",
        }
        self.processes: list[Process] = []
        self.urls: list[str] = []

    def start(self, workload: Workload) -> None:
        for place, ahead in enumerate(workload.clock_ahead_seconds[: 1 if workload.with_money else 2]):
            port = free_port()
            command = [sys.executable, "-m", "gunicorn", "-c", "python:app.http.gunicorn_conf", "-w", "1"]
            command += ["-b", f"127.0.0.1:{port}", "app.http.wsgi:create()"]
            environment = {**self.environment, "HISTORY_CLOCK_AHEAD_SECONDS": str(ahead)}
            self.processes.append(Process(command, self.folder, environment, self.folder / f"api-{place}.log"))
            self.urls.append(f"http://127.0.0.1:{port}")
        if workload.with_money:
            command = [sys.executable, str(HERE / "history_host.py")]
            self.processes.append(Process(command, self.folder, self.environment, self.folder / "workers.log"))
        for url, process in zip(self.urls, self.processes, strict=False):
            wait_for(f"{url}/readyz", process)

    def kill(self) -> None:
        for process in self.processes:
            process.kill()

    def run(self, workload: Workload, name: str) -> Verdict:
        """Play a workload, wait until all is quiet, and judge."""
        history = self.folder / name.replace(" ", "-")
        history.mkdir()
        sale_id = f"sale-{uuid.uuid4().hex[:12]}"
        evidence = Evidence(self.environment, sale_id)
        clients = workload.script()
        recorders = [self._recorder(sale_id, clients[part::RECORDERS], part, history) for part in range(RECORDERS)]
        stop = threading.Event()
        watcher = threading.Thread(target=watch, args=(evidence, history / "looks.jsonl", stop, 0.3), daemon=True)
        try:
            for recorder in recorders:
                assert recorder.stdout is not None
                assert recorder.stdout.readline() == "ready\n"
            self._put_up(sale_id, workload.terms)
            start_ns = time.monotonic_ns()
            watcher.start()
            for recorder in recorders:
                assert recorder.stdin is not None
                recorder.stdin.write(f"{start_ns}\n")
                recorder.stdin.flush()
            self._faults(workload, start_ns)
            for recorder in recorders:
                assert recorder.wait(PLAY_SECONDS) == 0
        finally:
            for recorder in recorders:
                recorder.kill()
                recorder.communicate()
            stop.set()
            if watcher.ident is not None:
                watcher.join()
        final = self._at_rest(evidence) if workload.with_money else evidence.gather(with_money=False)
        (history / "final.json").write_text(json.dumps(final))
        return judge(read_history(history, settled=workload.with_money))

    def _recorder(self, sale_id: str, clients: Clients, part: int, history: Path) -> subprocess.Popen[str]:
        issuer = LocalIssuer.load(self.settings)
        tokens = {step["customer"]: issuer.token(step["customer"]) for steps in clients for step in steps}
        plan = history / f"plan-{part}.json"
        plan.write_text(json.dumps({"sale": sale_id, "urls": self.urls, "tokens": tokens, "clients": clients}))
        command = [sys.executable, str(HERE / "witness.py"), "load", "--plan", str(plan), "--process", str(part)]
        command += ["--folder", str(history), "--sale", sale_id]
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )

    def _put_up(self, sale_id: str, terms: Mapping[str, Any]) -> None:
        database = connect(self.settings)
        own = {"unit_price_minor": 100, **terms, "sale_id": sale_id}
        hold_seconds = own.pop("hold_seconds", 600)
        opens_at = datetime.now(UTC) + timedelta(milliseconds=OPENS_AT_MS)
        put_up(database, **own, opens_at=opens_at)
        if hold_seconds != 600:
            shorten_holds(database, sale_id, hold_seconds)

    def _faults(self, workload: Workload, start_ns: int) -> None:
        def until(at_ms: int) -> None:
            time.sleep(max(0.0, at_ms / 1e3 - (time.monotonic_ns() - start_ns) / 1e9))

        if workload.kill_first_at_ms is not None:
            until(workload.kill_first_at_ms)
            self.processes[0].kill()
            self.processes[0].start()
        if workload.broker_away_ms is not None:
            until(workload.broker_away_ms[0])
            self.line.cut()
            until(workload.broker_away_ms[1])
            self.line.mend()

    def _at_rest(self, evidence: Evidence) -> dict[str, Any]:
        """The evidence once nothing is under way, or nothing happens any more."""
        give_up = time.monotonic() + MONEY_SECONDS
        before: dict[str, Any] = {}
        changed_at = time.monotonic()
        while True:
            now = evidence.gather(with_money=True)
            if is_at_rest(now) or time.monotonic() > give_up:
                return now
            if any(now[part] != before.get(part) for part in ("events", "payments", "book")):
                before, changed_at = now, time.monotonic()
            elif time.monotonic() > changed_at + QUIET_SECONDS:
                return now
            time.sleep(0.4)


def is_at_rest(final: Mapping[str, Any]) -> bool:
    """Whether no order and no payment is under way, and every event was published."""
    cursors = {row["OutboxShard"]: row for row in final["cursors"]}
    return (
        not any(row["Status"] in ("PENDING", "AUTHORIZED") for row in final["orders"])
        and not any(row["State"] in ("AUTHORIZING", "CAPTURING", "VOIDING", "REFUNDING") for row in final["payments"])
        and not any(row["state"] == "authorized" for row in final["book"])
        and all(
            (cursor := cursors.get(row["OutboxShard"])) is not None
            and (cursor["CreatedAt"] or 0, cursor["OrderId"] or "", cursor["EventSeq"] or 0)
            >= (row["CreatedAt"], row["OrderId"], row["EventSeq"])
            for row in final["outbox"]
        )
    )


def shorten_holds(database: FairdropDatabase, sale_id: str, seconds: int) -> None:
    """A hold shorter than a seller may set, so that an authorization can easily come too late."""

    def write(transaction: Any) -> None:
        transaction.execute_update(f"UPDATE Sales SET HoldSeconds = {seconds} WHERE SaleId = '{sale_id}'")

    database.run_in_transaction(write)  # type: ignore[no-untyped-call]


@contextmanager
def gateway(folder: Path) -> Iterator[str]:
    """One simulator for all runs with money: orders of different sales have different ids. It loses answers, and is slow."""
    port = free_port()
    command = [str(Path(sys.executable).parent / "fairdrop"), "gateway", "--port", str(port), *GATEWAY_OPTIONS]
    process = Process(command, ROOT, {"FAIRDROP_STATE_DIR": str(folder)}, folder / "gateway.log")
    try:
        wait_for(f"http://127.0.0.1:{port}/healthz", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
