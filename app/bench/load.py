"""More than a worker can take: goodput, latency and refusals at multiples of its capacity, and how it comes back; and a soak.

The server has a core of its own, and each rate an empty database, for the emulator takes the longer the more it holds. Arrivals are
open: buyers come at their rate, answered or not, and a latency counts from when the buyer was due. The capacity is measured before
and after each rate, for a machine is not the same for ten minutes.
"""

import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from statistics import mean
from typing import Any

import orjson
import psutil

from app.bench.soaked import GREENLETS_PATH
from app.bench.stage import CONNECTIONS, Served, Stage
from app.cores import Cores
from app.rush.report import RushReport

Say = Callable[[str], None]

FACTORS = (0.5, 1.0, 2.0, 4.0)
CAPACITY_SECONDS = 10.0
WARM_BUYERS = 10_000
OPEN_CONNECTIONS = 3_500
"""As many as a worker lets in, less some; a buyer who finds none waits, and the wait counts."""

TAKEN = (200, 201)

PIECE_SECONDS = 10.0
"""A rate is looked at in pieces too: whether what it takes holds, or falls as the database fills."""

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
    `capacity_per_second` is the mean of just before and just after; `sent_late` is the part of a latency until the crowd itself
    had time, and a connection free; `taken_pieces`: the orders a second of those who were due in each 10 s.
    """

    factor: float
    capacity_per_second: float
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
    taken_pieces: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Overload:
    """What `overload` measured. `capacity_per_second` is the mean of the steps'; `recovery_ms`: the slowest answer to the
    buyers who were due in each second of the recovery; `emulator_malloc`: what Spanner's emulator allocated with.
    """

    capacity_per_second: float
    steps: tuple[Step, ...]
    recovery_seconds: float
    recovery_ms: tuple[float, ...]
    deadline_ms: float
    emulator_malloc: str


@dataclass(frozen=True, slots=True)
class Sample:
    """A worker at one moment of a soak, and the sessions of its database."""

    seconds: float
    memory_mb: float
    files: int
    threads: int
    greenlets: int
    sessions: int


def overload(stage: Stage, seconds: float, cores: Cores, say: Say) -> Overload:
    """`seconds` at each factor of the capacity, each with an empty database and a server of its own, which has these cores; the
    recovery follows the last and highest.
    """
    steps: list[Step] = []
    recovery: tuple[float, tuple[float, ...]] = (0.0, ())
    for factor in FACTORS:
        stage.empty_database()
        with stage.served(cores=cores) as served:
            crowd = _Crowd(stage, served)
            before = _first_capacity(crowd, say)
            rate = factor * before
            say(f"{factor:g} times the capacity: {rate:,.0f} buyers a second for {seconds:g} s")
            report = crowd.come(rate, seconds)
            # Read when there is time for it: what comes next must come soon.
            answers = stage.answers.rename(stage.folder / "rate.jsonl")
            if factor == FACTORS[-1]:
                say("recovery")
                recovery = _recovery(crowd, before)
            capacity = mean((before, _capacity(crowd, before, say)))
            steps.append(_step(factor, rate, capacity, report, taken_by_piece(answers)))
            last = steps[-1]
            say(f"taken: {last.taken_per_second:,.0f} a second, {last.taken_share_of_capacity:.2f} of the capacity")
    deadline_ms = stage.settings.request_deadline_seconds * 1000
    mean_capacity = mean(step.capacity_per_second for step in steps)
    return Overload(mean_capacity, tuple(steps), *recovery, deadline_ms, stage.emulator_malloc)


class _Crowd:
    """Buyers who were not there a moment ago: a worker that remembers their tokens takes more of them than it would in a rush."""

    def __init__(self, stage: Stage, served: Served) -> None:
        self.stage = stage
        self._served = served
        self._came = 0

    def ask(self, buyers: int, sale_id: str | None = None, **options: Any) -> RushReport:
        """So many come, and ask until they have their answer; for a new sale, if none is named."""
        tokens = self.stage.tokens(self._came)
        self._came += buyers
        sale_id = sale_id or self.stage.new_sale()
        return self._served.rush(sale_id, **{"buyers": buyers, "connections": CONNECTIONS, "tokens": tokens, **options})

    def come(self, rate: float, seconds: float) -> RushReport:
        """So many a second come, whatever becomes of those before them, and ask once."""
        return self.ask(
            max(1, int(rate * seconds)),
            connections=OPEN_CONNECTIONS,
            arrivals="open",
            rate_per_second=rate,
            tries_limit=1,
        )


def _first_capacity(crowd: _Crowd, say: Say) -> float:
    say("warming")
    return _capacity(crowd, crowd.ask(WARM_BUYERS).orders_per_second, say)


def _capacity(crowd: _Crowd, about: float, say: Say) -> float:
    """Orders a second that a worker takes when 256 connections ask without a pause, over 10 s if it is about so many."""
    say("capacity")
    return crowd.ask(int(about * CAPACITY_SECONDS)).orders_per_second


def taken_by_piece(answers: Path) -> tuple[float, ...]:
    """Orders taken a second of the buyers who were due in each piece of an open rush, without a last one less than half as long."""
    attempts = [(line["due_ns"], line["status"] in TAKEN) for line in _attempts(answers)]
    first, last = min(attempts)[0], max(attempts)[0]
    taken = [0] * round((last - first) / 1e9 / PIECE_SECONDS)
    for due, is_taken in attempts:
        piece = int((due - first) / 1e9 / PIECE_SECONDS)
        if is_taken and piece < len(taken):
            taken[piece] += 1
    return tuple(orders / PIECE_SECONDS for orders in taken)


def _attempts(answers: Path) -> Iterator[dict[str, Any]]:
    with answers.open("rb") as lines:
        next(lines)  # it describes the rush
        yield from map(orjson.loads, lines)


def _step(factor: float, offered: float, capacity: float, report: RushReport, pieces: tuple[float, ...]) -> Step:
    taken, errors = report.latency["taken"], report.latency["errors"]
    return Step(
        factor,
        capacity,
        offered,
        report.orders_per_second,
        report.orders_per_second / capacity,
        taken.p50_ms,
        taken.p99_ms,
        errors.p50_ms,
        errors.p99_ms,
        report.sent_late.p99_ms,
        report.answers_by_kind,
        report.attempts - report.answers,
        pieces,
    )


def _recovery(crowd: _Crowd, capacity: float) -> tuple[float, tuple[float, ...]]:
    """From the first buyer after the overload to the last who still felt it, in seconds; and the slowest answer in ms by the
    second in which its buyer was due.
    """
    crowd.come(RECOVERY_FACTOR * capacity, RECOVERY_SECONDS)
    last = 0
    attempts: list[tuple[int, float]] = []
    for line in _attempts(crowd.stage.answers):
        due, answered = line["due_ns"], line["answered_ns"]
        wait_ms = (answered - due) / 1e6 if answered is not None else UNANSWERED_MS
        attempts.append((due, wait_ms))
        if wait_ms > RECOVERED_MS or line["status"] not in TAKEN:
            last = max(last, due)
    first = min(due for due, _ in attempts)
    slowest = [0.0] * (1 + int((max(due for due, _ in attempts) - first) / 1e9))
    for due, wait_ms in attempts:
        second = int((due - first) / 1e9)
        slowest[second] = max(slowest[second], wait_ms)
    return max(0.0, (last - first) / 1e9) if last else 0.0, tuple(slowest)


def soak(stage: Stage, seconds: float, cores: Cores, say: Say) -> Iterator[Sample]:
    """`seconds` at 0.7 of the capacity, a rush after another; a sample after each. The server has these cores."""
    stage.empty_database()
    with stage.served(factory="app.bench.soaked:create()", cores=cores) as served:
        crowd = _Crowd(stage, served)
        rate = SOAK_FACTOR * _first_capacity(crowd, say)
        sale_id = stage.new_sale(stock=SOAK_STOCK)
        piece = max(1.0, min(30.0, stage.buyers / rate))
        started = time.monotonic()
        for seed in count(FIRST_SOAK_SEED):
            gone = time.monotonic() - started
            if gone >= seconds:
                return
            say(f"soak: {gone:,.0f} of {seconds:,.0f} s")
            crowd.ask(int(rate * piece), sale_id, arrivals="open", rate_per_second=rate, seed=seed)
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
