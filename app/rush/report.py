"""From the lines of an answers file to the report. Pure; everything it says can be worked out again from the file alone."""

import math
import sys
from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from app.rush.buyer import RETRIED_STATUSES

UNANSWERED = "unanswered"
NEVER_SENT = "never-sent"
"""Outcome of the buyers whose turn had not come when the rush was stopped."""

NOT_OPEN = "sale-not-open"
"""Settles nothing for buyers who wait for the opening."""

_NO_RANK, _REFUSAL_RANK, _ORDER_RANK = range(3)
_OUT_OF_BREATH_SHARE = 0.85


@dataclass(frozen=True, slots=True)
class Latency:
    """Exact percentiles (nearest rank) in milliseconds; None when nothing was measured."""

    count: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    max_ms: float | None


@dataclass(frozen=True, slots=True)
class RushReport:
    """What came of a rush.

    `latency` by group of answers: taken, replayed, refused (4xx) and errors (5xx), from sending (open arrivals: from when
    the request was due) to the answer's last byte; `settled_after` is a buyer's whole wait, all tries included, until an
    answer other than "come back"; `sent_late` (open arrivals) is how long requests waited for the rush itself.
    `outcomes` has every buyer once: the status of their order, or the problem, or `unanswered`, or `never-sent`.
    """

    rush: dict[str, Any]
    seconds: float
    attempts: int
    answers: int
    answers_per_second: float
    orders_per_second: float
    latency: dict[str, Latency]
    settled_after: Latency
    sent_late: Latency
    answers_by_kind: dict[str, int]
    errors_by_kind: dict[str, int]
    dropped: int
    outcomes: dict[str, int]
    generator_cpu_us_per_attempt: float | None
    generator_busy_share: float | None

    @property
    def unanswered(self) -> int:
        """Buyers who never got an answer that settles, those whose turn never came included."""
        return self.outcomes.get(UNANSWERED, 0) + self.outcomes.get(NEVER_SENT, 0)

    @property
    def is_interrupted(self) -> bool:
        """The rush was stopped before every buyer was done."""
        return bool(self.rush.get("interrupted"))

    @property
    def is_out_of_breath(self) -> bool:
        """The generator itself was near its limit: its figures may tell of it rather than of the service."""
        return (self.generator_busy_share or 0.0) > _OUT_OF_BREATH_SHARE

    def as_json(self) -> dict[str, Any]:
        """The report as plain values."""
        return asdict(self) | {"unanswered": self.unanswered, "interrupted": self.is_interrupted}


def percentile(ordered: "array[float] | list[float]", share: float) -> float | None:
    """The smallest value that at least `share` (0..1] of the values do not exceed; `ordered` must be sorted."""
    if not ordered:
        return None
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def latency_of(values_ms: Iterable[float]) -> Latency:
    """The percentiles of these values."""
    ordered = sorted(values_ms)
    return Latency(
        count=len(ordered),
        p50_ms=percentile(ordered, 0.50),
        p95_ms=percentile(ordered, 0.95),
        p99_ms=percentile(ordered, 0.99),
        max_ms=percentile(ordered, 1.0),
    )


def summarise(lines: Iterable[bytes]) -> RushReport:
    """The report of an answers file, its first line included. Raises ValueError if the first line is not its header."""
    each = iter(lines)
    header = orjson.loads(next(each, b"null"))
    if not isinstance(header, dict) or not isinstance(header.get("rush"), dict):
        raise ValueError("not an answers file: its first line does not describe a rush")
    tally = _Tally(waits_for_opening=header["rush"].get("waits_for_opening", False))
    for line in each:
        tally.add(orjson.loads(line))
    return tally.report(header["rush"])


def _milliseconds() -> "array[float]":
    return array("d")


@dataclass(slots=True)
class _Tally:
    """Sums and values kept while the lines go by: a few numbers a line and a buyer, never a line."""

    waits_for_opening: bool = False
    attempts: int = 0
    first_sent_ns: int = 2**63
    last_answered_ns: int = 0
    last_order_ns: int = 0
    dropped: int = 0
    latency: dict[str, "array[float]"] = field(
        default_factory=lambda: {name: _milliseconds() for name in ("taken", "replayed", "refused", "errors")}
    )
    sent_late: "array[float]" = field(default_factory=_milliseconds)
    answers_by_kind: Counter[str] = field(default_factory=Counter)
    errors_by_kind: Counter[str] = field(default_factory=Counter)
    rows: dict[str, int] = field(default_factory=dict)  # buyer -> place in the three below
    began_ns: "array[int]" = field(default_factory=lambda: array("q"))
    settled_ns: "array[int]" = field(default_factory=lambda: array("q"))  # -1: not yet
    outcome: list[tuple[int, str]] = field(default_factory=list)  # rank, name

    def add(self, line: dict[str, Any]) -> None:
        self.attempts += 1
        sent_ns, due_ns = line["sent_ns"], line.get("due_ns")
        self.first_sent_ns = min(self.first_sent_ns, sent_ns)
        begin_ns = sent_ns if due_ns is None else due_ns
        if due_ns is not None:
            self.sent_late.append((sent_ns - due_ns) / 1e6)
        row = self._row(line["buyer"], begin_ns)
        if line["error"] == "dropped":
            self.dropped += 1
        elif line["error"] is not None:
            self.errors_by_kind[line["error"]] += 1
        if line["answered_ns"] is not None:
            self._add_answer(line, begin_ns, row)

    def _row(self, buyer: str, begin_ns: int) -> int:
        row = self.rows.setdefault(buyer, len(self.rows))
        if row == len(self.began_ns):
            self.began_ns.append(begin_ns)
            self.settled_ns.append(-1)
            self.outcome.append((_NO_RANK, UNANSWERED))
        self.began_ns[row] = min(self.began_ns[row], begin_ns)
        return row

    def _add_answer(self, line: dict[str, Any], begin_ns: int, row: int) -> None:
        status, answered_ns = line["status"], line["answered_ns"]
        self.last_answered_ns = max(self.last_answered_ns, answered_ns)
        group = _group(status, line["replayed"])
        self.latency[group].append((answered_ns - begin_ns) / 1e6)
        said = line["order_status"] or line["problem"] or "-"
        self.answers_by_kind[f"{status} {said}{' replayed' if line['replayed'] else ''}"] += 1
        if group == "taken":
            self.last_order_ns = max(self.last_order_ns, answered_ns)
        if line["error"] is not None or status in RETRIED_STATUSES:
            return
        is_order = line["order_id"] is not None
        rank = _ORDER_RANK if is_order else _REFUSAL_RANK
        name = sys.intern(line["order_status"] if is_order else line["problem"] or f"http-{status}")
        if rank >= self.outcome[row][0]:
            self.outcome[row] = (rank, name)
        if self.settled_ns[row] < 0 and not (self.waits_for_opening and line["problem"] == NOT_OPEN):
            self.settled_ns[row] = answered_ns

    def report(self, rush: dict[str, Any]) -> RushReport:
        outcomes = Counter(name for _, name in self.outcome)
        outcomes[NEVER_SENT] = max(0, rush.get("buyers", 0) - len(self.rows))
        answers = sum(len(values) for values in self.latency.values())
        seconds = max(0, self.last_answered_ns - self.first_sent_ns) / 1e9
        taking_seconds = max(0, self.last_order_ns - self.first_sent_ns) / 1e9
        cpu_seconds, run_seconds = rush.get("cpu_seconds"), rush.get("run_seconds")
        return RushReport(
            rush=rush,
            seconds=seconds,
            attempts=self.attempts,
            answers=answers,
            answers_per_second=answers / seconds if seconds else 0.0,
            orders_per_second=len(self.latency["taken"]) / taking_seconds if taking_seconds else 0.0,
            latency={name: latency_of(values) for name, values in self.latency.items()},
            settled_after=latency_of(
                (settled - began) / 1e6
                for began, settled in zip(self.began_ns, self.settled_ns, strict=True)
                if settled >= 0
            ),
            sent_late=latency_of(self.sent_late),
            answers_by_kind=dict(self.answers_by_kind.most_common()),
            errors_by_kind=dict(self.errors_by_kind.most_common()),
            dropped=self.dropped,
            outcomes={name: number for name, number in outcomes.most_common() if number},
            generator_cpu_us_per_attempt=sum(cpu_seconds) * 1e6 / self.attempts
            if cpu_seconds and self.attempts
            else None,
            generator_busy_share=max(
                (cpu / run for cpu, run in zip(cpu_seconds or (), run_seconds or (), strict=True) if run), default=None
            ),
        )


def _group(status: int, is_replayed: bool) -> str:
    if status < 300:  # noqa: PLR2004 - the successes
        return "replayed" if is_replayed else "taken"
    return "refused" if status < 500 else "errors"  # noqa: PLR2004 - the server's errors
