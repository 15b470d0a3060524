"""Where a bench plays: an emulator and a schema of its own, tokens minted beforehand, and rounds against one server each."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from app.bench.cores import on
from app.cores import Cores, available
from app.local.children import Child, serving
from app.local.own_service import interrupt_on_sigterm
from app.rush.local_tokens import LocalTokens
from app.rush.options import RushOptions
from app.rush.report import RushReport
from app.rush.runner import run_whole_rush
from app.rush.tokens import FileTokens
from app.services import sales
from app.settings import Settings, load_settings
from app.storage.database import FairdropDatabase, connect
from app.storage.schema import SCHEMA_ROOT, apply
from emulator import running

CONNECTIONS = 256
WARM_SEED = 987_654
WARM_SECONDS = 1.0
SALE_STOCK = 10**6
SALE_LIMIT = 1_000
"""Units a customer: a bench asks the same buyers again."""
DRAW_ENTRIES = 1_000_000
"""As many as a sought-after sale has; --entries says another number."""


@dataclass(frozen=True, slots=True)
class Round:
    """One server under one rush. `memory_mb` is the largest worker's resident memory after it; the processor time, in seconds, is
    that of the rush alone, of the threads that serve requests and of the workers' other threads.
    """

    report: RushReport
    memory_mb: float
    requests_cpu_seconds: float
    others_cpu_seconds: float

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return self.report.answers_per_second


@dataclass(frozen=True, slots=True)
class TokensInTurn:
    """The same `count` customers again and again, each time with another key, when there are more buyers than tokens."""

    tokens: FileTokens
    first: int
    count: int

    def token(self, index: int) -> tuple[str, str]:
        """A buyer's customer id and token."""
        return self.tokens.token((self.first + index) % self.count)


class Stage:
    """An emulator with the schema, the buyers' tokens, and how many entries a lottery is to have."""

    def __init__(
        self,
        settings: Settings,
        database: FairdropDatabase,
        folder: Path,
        buyers: int,
        entries: int,
        emulator_malloc: str,
    ) -> None:
        """Use what `staged` has made."""
        self.settings = settings
        self.database = database
        self.folder = folder
        self.buyers = buyers
        self.entries = entries
        self.emulator_malloc = emulator_malloc
        self._sales = 0

    def empty_database(self) -> None:
        """Drop all orders, and the rest; no server may run. The emulator takes the longer for a commit the more it holds."""
        self.database.drop()  # type: ignore[no-untyped-call]
        apply(self.settings, database_id=self.settings.spanner_database, folder=SCHEMA_ROOT / "orders")
        self.database = connect(self.settings)

    def new_sale(
        self,
        stock: int = SALE_STOCK,
        waitlist_limit: int = 0,
        limit_per_customer: int = SALE_LIMIT,
        policy: str = "fcfs",
    ) -> str:
        """An open sale that nobody has ordered from; returns its id."""
        self._sales += 1
        now = datetime.now(UTC)
        sale = sales.new_sale(
            sale_id=f"bench-{self._sales}",
            name="bench",
            policy=policy,
            unit_price_minor=49_900,
            currency="EUR",
            stock=stock,
            limit_per_customer=limit_per_customer,
            waitlist_limit=waitlist_limit,
            expected_crowd=self.buyers,
            shard_count=None,
            opens_at=now - timedelta(minutes=1),
            closes_at=now + timedelta(days=1),
            hold_seconds=3600,
            cancel_window_seconds=1800,
        )
        return sales.create(self.database, sale, "bench")[0].sale.sale_id

    @contextmanager
    def served(
        self,
        *,
        factory: str = "app.http.wsgi:create()",
        ready: str = "/healthz",
        workers: int = 1,
        environment: Mapping[str, str] | None = None,
        cores: Cores | None = None,
    ) -> "Iterator[Served]":
        """A server of this stage for the length of a block; on these cores only, if they are named."""
        started = serving(
            {**self.environment(), **(environment or {})},
            self.folder / "server.log",
            workers=workers,
            factory=factory,
            ready=ready,
        )
        with ExitStack() as stack:
            with on(cores or available()):
                url, server = stack.enter_context(started)
            yield Served(self, url, server)

    def round(
        self,
        sale_id: str,
        *,
        factory: str = "app.http.wsgi:create()",
        ready: str = "/healthz",
        workers: int = 1,
        environment: Mapping[str, str] | None = None,
        warm_buyers: int = 0,
        **options: Any,
    ) -> Round:
        """Start a server, send it a rush, and stop it. `warm_buyers` come before, and are not measured."""
        with self.served(factory=factory, ready=ready, workers=workers, environment=environment) as served:
            if warm_buyers:
                served.rush(sale_id, **{**options, "buyers": warm_buyers, "seed": WARM_SEED})
                time.sleep(WARM_SECONDS)
            requests_before, all_before = _cpu_seconds(served.server)
            report = served.rush(sale_id, **options)
            requests_after, all_after = _cpu_seconds(served.server)
            requests = requests_after - requests_before
            return Round(report, worker_memory_mb(served.server), requests, all_after - all_before - requests)

    def session_count(self) -> int:
        """The sessions that Spanner holds for the stage's database, whoever opened them."""
        return sum(1 for _ in self.database.spanner_api.list_sessions(database=self.database.name))

    def environment(self) -> dict[str, str]:
        """What a server process of this stage must have in its environment."""
        return {
            "FAIRDROP_STATE_DIR": str(self.settings.state_dir),
            "FAIRDROP_SPANNER_DATABASE": self.settings.spanner_database,
            "SPANNER_EMULATOR_HOST": os.environ["SPANNER_EMULATOR_HOST"],
        }

    @property
    def answers(self) -> Path:
        """The answers file of the latest rush."""
        return self.folder / "answers.jsonl"

    def tokens(self, first: int) -> TokensInTurn:
        """The buyers' tokens, from this buyer on."""
        return TokensInTurn(FileTokens(self.folder / "tokens.tsv"), first, self.buyers)

    def options(self, sale_id: str, url: str) -> RushOptions:
        """A rush as all of a bench's are, unless something else is said."""
        return RushOptions(
            sale_id=sale_id,
            tokens=self.tokens(0),
            answers=self.answers,
            url=url,
            buyers=self.buyers,
            processes=1,
            connections=CONNECTIONS,
            limit=1,
            payment_method="tok_visa",
            timeout_seconds=60.0,
            tries_limit=1_000,
        )


@dataclass(frozen=True, slots=True)
class Served:
    """A server of a stage: its address and its processes."""

    stage: Stage
    url: str
    server: Child

    def rush(self, sale_id: str, **options: Any) -> RushReport:
        """Send it a rush: a whole one, for half of it is no figure."""
        return run_whole_rush(replace(self.stage.options(sale_id, self.url), **options))


@contextmanager
def staged(buyers: int, entries: int = DRAW_ENTRIES) -> Iterator[Stage]:
    """A stage for the length of a block, with nothing left behind. An emulator that is given in the environment is used.

    SIGTERM ends the block as Ctrl-C does.
    """
    interrupt_on_sigterm()
    with (
        TemporaryDirectory(prefix="fairdrop-bench-") as name,
        running(spanner=True, pubsub=True) as emulators,
        _variables(emulators.environment),
    ):
        folder = Path(name)
        settings = load_settings().model_copy(
            update={"state_dir": folder, "spanner_database": f"bench-{os.getpid()}", "environment": "development"}
        )
        apply(settings, database_id=settings.spanner_database, folder=SCHEMA_ROOT / "orders")
        tokens = LocalTokens(settings)
        with (folder / "tokens.tsv").open("w") as file:
            for index in range(buyers):
                file.write("\t".join(tokens.token(index)) + "\n")
        malloc = emulators.spanner.malloc if emulators.spanner else ""
        yield Stage(settings, connect(settings), folder, buyers, entries, malloc)


@contextmanager
def _variables(named: Mapping[str, str]) -> Iterator[None]:
    """Environment variables for the length of a block: the next stage must not look for an emulator that has ended."""
    before = {name: os.environ.get(name) for name in named}
    os.environ.update(named)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _cpu_seconds(server: Child) -> tuple[float, float]:
    """Processor time of the main threads of a gunicorn's workers, and of all their threads, ended ones included."""
    requests = everything = 0.0
    for worker in psutil.Process(server.pid).children():
        # A process's main thread has the process's number.
        requests += sum(t.user_time + t.system_time for t in worker.threads() if t.id == worker.pid)
        times = worker.cpu_times()
        everything += times.user + times.system
    return requests, everything


def worker_memory_mb(server: Child) -> float:
    """The resident memory of the largest worker under a gunicorn, in MB."""
    workers = psutil.Process(server.pid).children()
    return max((worker.memory_info().rss for worker in workers), default=0) / 1e6
