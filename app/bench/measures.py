"""What is measured, each as a few figures by name. Rates that are compared come from rounds that take turns in one run."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from typing import Any

from app.bench.contenders import BACKOFF_MS_VARIABLE, SALE_VARIABLE, THREADS_VARIABLE
from app.bench.stage import Round, Stage
from app.services.placement import Placement
from app.storage.database import snapshot

Say = Callable[[str], None]

SLOW_SHARE = 20
"""An order-by-order server gets one in so many of the buyers: it would take minutes for all."""

BACKOFFS_MS = (2, 8, 32)
THREADS = (4, 16)
SOLD_OUT_STOCK = 50
WARM_BUYERS = 400
"""They buy the stock; what is measured is the crowd that comes after."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of a bench: what was measured, the value with its unit, and what it should reach (None: only to know)."""

    name: str
    value: float
    unit: str
    at_least: float | None = None
    at_most: float | None = None

    @property
    def is_reached(self) -> bool | None:
        """Whether the value is on the right side of its bound; None without one."""
        if self.at_least is not None:
            return self.value >= self.at_least
        return self.value <= self.at_most if self.at_most is not None else None


def orders(stage: Stage, rounds: int, say: Say) -> Iterator[Figure]:
    """Orders taken a second, against a bare handler and against transactions an order, and what they cost in commits."""
    bare, grouped, commits = [], [], []
    for number in range(rounds):
        say(f"bare handler, round {number + 1} of {rounds}")
        bare.append(bare_round(stage).per_second)
        say(f"group commit, round {number + 1} of {rounds}")
        stage.empty_database()
        sale_id = stage.new_sale()
        grouped.append(stage.round(sale_id, seed=number).per_second)
        commits.append(1_000 * _commits(stage, sale_id) / stage.buyers)
    yield Figure("bare Flask handler", median(bare), "answers/s")
    yield Figure("orders taken, group commit", median(grouped), "orders/s")
    ratio = median(g / b for g, b in zip(grouped, bare, strict=True))
    yield Figure("group commit / bare handler", ratio, "x", at_least=0.6)
    yield Figure("Spanner commits per 1,000 orders", median(commits), "commits", at_most=20)
    tuned = max(_order_by_order(stage, say))
    in_turn = _slow(stage, "order_by_order_in_turn", 1, 16, say)
    yield Figure("a transaction an order, back-off tuned", tuned, "orders/s")
    yield Figure("a transaction an order, one at a time", in_turn, "orders/s")
    yield Figure("group commit / the better of the two", median(grouped) / max(tuned, in_turn), "x", at_least=5)


def bare_round(stage: Stage, **options: Any) -> Round:
    """A rush to a handler that only validates the JSON."""
    return stage.round("bare", factory="app.bench.contenders:bare()", ready="/v1/sales/bare", **options)


def _order_by_order(stage: Stage, say: Say) -> Iterator[float]:
    for backoff_ms in BACKOFFS_MS:
        for threads in THREADS:
            yield _slow(stage, "order_by_order", backoff_ms, threads, say)


def _slow(stage: Stage, contender: str, backoff_ms: int, threads: int, say: Say) -> float:
    say(f"{contender.replace('_', ' ')}, back-off {backoff_ms} ms, {threads} threads")
    sale_id = stage.new_sale()
    environment = {
        BACKOFF_MS_VARIABLE: str(backoff_ms),
        THREADS_VARIABLE: str(threads),
        SALE_VARIABLE: sale_id,
        "FAIRDROP_RPC_DEADLINE_SECONDS": "30",
    }
    played = stage.round(
        sale_id,
        factory=f"app.bench.contenders:{contender}()",
        ready=f"/v1/sales/{sale_id}",
        environment=environment,
        buyers=max(stage.buyers // SLOW_SHARE, 200),
        # On a slow machine transactions may abort each other for as long as they are let: whoever is refused stays so.
        tries_limit=1,
    )
    return played.report.orders_per_second


def _commits(stage: Stage, sale_id: str) -> int:
    """Transactions that recorded orders of the sale: each has a commit timestamp of its own."""
    sql = "SELECT COUNT(DISTINCT PlacedAt) FROM Orders WHERE SaleId = @sale"
    with snapshot(stage.database) as reads:
        rows = list(reads.execute_sql(sql, params={"sale": sale_id}))
    count: int = rows[0][0]
    return count


def sold_out(stage: Stage, rounds: int, say: Say) -> Iterator[Figure]:
    """Refusals a second once a sale is sold out, against a bare handler."""
    ratios, refused = [], []
    for number in range(rounds):
        say(f"bare handler, round {number + 1} of {rounds}")
        bare = bare_round(stage).per_second
        say(f"sold out, round {number + 1} of {rounds}")
        stage.empty_database()
        sale_id = stage.new_sale(stock=SOLD_OUT_STOCK, limit_per_customer=1)
        played = stage.round(sale_id, seed=number, warm_buyers=WARM_BUYERS)
        refused.append(played.per_second)
        ratios.append(played.per_second / bare)
    yield Figure("sold-out refusals", median(refused), "answers/s")
    yield Figure("sold-out refusals / bare handler", median(ratios), "x", at_least=0.8)


def lone(stage: Stage, rounds: int, say: Say) -> Iterator[Figure]:
    """What one order costs when nobody else is there: round trips to Spanner, and time against the round trips alone."""
    say("lone orders")
    placement = Placement(stage.database, stage.settings)
    sale_id = stage.new_sale()
    calls = _count_calls(stage)
    waits = []
    for number in range(20 * rounds):
        started = time.perf_counter()
        placement.place(f"lone-{number}", sale_id, 1, "key", "tok_visa", datetime.now(UTC))
        waits.append(1_000 * (time.perf_counter() - started))
        if number == 0:
            calls.clear()
    yield Figure("round trips of a lone order", len(calls) / (len(waits) - 1), "calls", at_most=2)
    yield Figure("a lone order, median", median(waits[1:]), "ms")


def _count_calls(stage: Stage) -> list[str]:
    """A list that grows by a name with every call to Spanner's data plane from now on."""
    calls: list[str] = []
    client = stage.database.spanner_api
    for name in ("streaming_read", "execute_streaming_sql", "begin_transaction", "commit", "rollback"):
        real = getattr(client, name)

        def counted(*args: object, real: Callable[..., object] = real, name: str = name, **kwargs: object) -> object:
            if threading.current_thread().name.startswith("lane"):
                calls.append(name)
            return real(*args, **kwargs)

        setattr(client, name, counted)
    return calls


def workers(stage: Stage, rounds: int, say: Say) -> Iterator[Figure]:
    """Several workers on one sale: errors, and how evenly they were served."""
    for count in (2, 4):
        say(f"{count} workers")
        played = [stage.round(stage.new_sale(), workers=count, seed=number) for number in range(rounds)]
        yield Figure(f"{count} workers", median(p.per_second for p in played), "orders/s")
        yield Figure(f"{count} workers, 5xx answers", sum(map(_errors, played)), "answers", at_most=0)
        longest = max(p.report.latency["taken"].max_ms or 0.0 for p in played)
        yield Figure(f"{count} workers, longest wait of a taken order", longest, "ms")


def _errors(played: Round) -> int:
    return played.report.latency["errors"].count


def memory(stage: Stage, rounds: int, say: Say) -> Iterator[Figure]:
    """A worker's memory after a tenth of the buyers and after all of them, the sale sold out on the way."""
    say("memory")
    early = stage.round(stage.new_sale(stock=1_000), buyers=stage.buyers // 10).memory_mb
    late = median(stage.round(stage.new_sale(stock=1_000)).memory_mb for _ in range(rounds))
    yield Figure("worker memory, a tenth of the buyers", early, "MB")
    yield Figure("worker memory, all the buyers", late, "MB")
