"""More than a worker can take: goodput, latency and refusals at multiples of its capacity, and how it comes back; and a soak.

Everything runs against one server on one emulator. Arrivals are open: buyers come at their rate, answered or not, and a latency
counts from when the buyer was due.
"""

import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count

import orjson
import psutil

from app.bench.soaked import GREENLETS_PATH
from app.bench.stage import CONNECTIONS, Served, Stage
from app.rush.report import RushReport

Say = Callable[[str], None]

FACTORS = (0.5, 1.0, 2.0, 4.0)
CAPACITY_SECONDS = 10.0
FIRST_GUESS_PER_SECOND = 1_000.0
OPEN_CONNECTIONS = 3_500
"""As many as a worker lets in, less some; a buyer who finds none waits, and the wait counts."""

RECOVERY_FACTOR = 0.5
RECOVERY_SECONDS = 15.0
RECOVERED_MS = 1_000.0
"""An answer later than this, or a 503, is still of the overload."""

UNANSWERED_MS = 60_000.0
"""Who had no answer waited as long as a rush waits for one."""

SOAK_FACTOR = 0.7
FIRST_SOAK_SEED = 10
SOAK_STOCK = 200_000
"""Then it is sold out, as a sale is; each order stored costs the emulator some 12 kB of memory."""


@dataclass(frozen=True, slots=True)
class Step:
    """One rate for a while. Rates in buyers a second; latencies in ms from when a buyer was due; None when there was none.
    `sent_late` is the part of them until the crowd itself had time, and a connection free.
    """

    factor: float
    offered_per_second: float
    taken_per_second: float
    taken_share_of_capacity: float
    taken_p50_ms: float | None
    taken_p99_ms: float | None
    refused_p50_ms: float | None
    refused_p99_ms: float | None
    sent_late_p99_ms: float | None
    answers: dict[str, int]
    unanswered: int


@dataclass(frozen=True, slots=True)
class Overload:
    """What `overload` measured. `recovery_ms`: the slowest answer to the buyers who were due in each second of the recovery."""

    capacity_per_second: float
    steps: tuple[Step, ...]
    recovery_seconds: float
    recovery_ms: tuple[float, ...]
    deadline_ms: float


@dataclass(frozen=True, slots=True)
class Sample:
    """A worker at one moment of a soak, and the sessions of its database."""

    seconds: float
    memory_mb: float
    files: int
    threads: int
    greenlets: int
    sessions: int


def overload(stage: Stage, seconds: float, say: Say) -> Overload:
    """Measure the capacity, then `seconds` at each factor of it, then the recovery."""
    with stage.served() as served:
        capacity = _capacity(stage, served, say)
        steps = tuple(_step(stage, served, factor, capacity, seconds, say) for factor in FACTORS)
        say("recovery")
        recovery, slowest = _recovery(stage, served, capacity)
        return Overload(capacity, steps, recovery, slowest, stage.settings.request_deadline_seconds * 1000)


def _capacity(stage: Stage, served: Served, say: Say) -> float:
    """Orders a second that a worker takes when 256 connections ask without a pause; the second of two rounds, once it is warm."""
    rate = FIRST_GUESS_PER_SECOND
    for number in range(2):
        say(f"capacity, round {number + 1} of 2")
        buyers = int(rate * CAPACITY_SECONDS)
        report = served.rush(stage.new_sale(), buyers=buyers, connections=CONNECTIONS, seed=number)
        rate = report.orders_per_second
    return rate


def _step(stage: Stage, served: Served, factor: float, capacity: float, seconds: float, say: Say) -> Step:
    rate = factor * capacity
    say(f"{factor:g} times the capacity: {rate:,.0f} buyers a second for {seconds:g} s")
    report = _open(stage, served, rate, seconds)
    taken, errors = report.latency["taken"], report.latency["errors"]
    return Step(
        factor,
        rate,
        report.orders_per_second,
        report.orders_per_second / capacity,
        taken.p50_ms,
        taken.p99_ms,
        errors.p50_ms,
        errors.p99_ms,
        report.sent_late.p99_ms,
        report.answers_by_kind,
        report.attempts - report.answers,
    )


def _open(stage: Stage, served: Served, rate: float, seconds: float) -> RushReport:
    return served.rush(
        stage.new_sale(),
        buyers=max(1, int(rate * seconds)),
        connections=OPEN_CONNECTIONS,
        arrivals="open",
        rate_per_second=rate,
        tries_limit=1,
    )


def _recovery(stage: Stage, served: Served, capacity: float) -> tuple[float, tuple[float, ...]]:
    """From the first buyer after the overload to the last who still felt it, in seconds; and the slowest answer in ms by the
    second in which its buyer was due.
    """
    _open(stage, served, RECOVERY_FACTOR * capacity, RECOVERY_SECONDS)
    last = 0
    attempts: list[tuple[int, float]] = []
    with stage.answers.open("rb") as lines:
        next(lines)
        for line in map(orjson.loads, lines):
            due, answered = line["due_ns"], line["answered_ns"]
            wait_ms = (answered - due) / 1e6 if answered is not None else UNANSWERED_MS
            attempts.append((due, wait_ms))
            if wait_ms > RECOVERED_MS or line["status"] not in (200, 201):
                last = max(last, due)
    first = min(due for due, _ in attempts)
    slowest = [0.0] * (1 + int((max(due for due, _ in attempts) - first) / 1e9))
    for due, wait_ms in attempts:
        second = int((due - first) / 1e9)
        slowest[second] = max(slowest[second], wait_ms)
    return max(0.0, (last - first) / 1e9) if last else 0.0, tuple(slowest)


def soak(stage: Stage, seconds: float, say: Say) -> Iterator[Sample]:
    """`seconds` at 0.7 of the capacity, a rush after another; a sample after each."""
    with stage.served(factory="app.bench.soaked:create()") as served:
        capacity = _capacity(stage, served, say)
        rate = SOAK_FACTOR * capacity
        sale_id = stage.new_sale(stock=SOAK_STOCK)
        piece = max(1.0, min(30.0, stage.buyers / rate))
        started = time.monotonic()
        for seed in count(FIRST_SOAK_SEED):
            gone = time.monotonic() - started
            if gone >= seconds:
                return
            say(f"soak: {gone:,.0f} of {seconds:,.0f} s")
            served.rush(
                sale_id,
                buyers=int(rate * piece),
                connections=CONNECTIONS,
                arrivals="open",
                rate_per_second=rate,
                seed=seed,
            )
            yield _sample(stage, served, time.monotonic() - started)


def _sample(stage: Stage, served: Served, seconds: float) -> Sample:
    worker = psutil.Process(served.server.pid).children()[0]
    with urllib.request.urlopen(f"{served.url}{GREENLETS_PATH}", timeout=60) as answer:  # noqa: S310  # an address of ours
        greenlets = int(answer.read())
    return Sample(
        seconds,
        worker.memory_info().rss / 1e6,
        worker.num_fds(),
        worker.num_threads(),
        greenlets,
        stage.session_count(),
    )
