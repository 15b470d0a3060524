"""What a history is made of: calls as the clients saw them, looks at the database meanwhile, and the database at the end.

Nothing here, nor in any module that the checker uses, comes from `app`: what both would get wrong, neither would notice.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

NOT_SENT = "not sent"
"""How the error of a call begins for which there was no connection: it has done nothing."""

PROBLEM_PREFIX = "urn:fairdrop:problem:"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Position = tuple[int, int, int]
"""(placed_at in microseconds, shard, seq)."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that was broken, by the rule's name, and how."""

    rule: str
    says: str


@dataclass(frozen=True, slots=True)
class Call:
    """One call of one client. Times are nanoseconds of the machine's monotonic clock.

    Without an answer (time-out, dropped connection, an answer that says nothing) `status` is None. `body` is the answer's.
    """

    number: str
    client: str
    op: str
    customer: str
    key: str
    units: int
    method: str | None
    order_id: str | None
    sent_ns: int
    answered_ns: int | None = None
    status: int | None = None
    body: dict[str, Any] = field(default_factory=dict)
    error: str | None = None

    @property
    def is_known(self) -> bool:
        """Whether the answer decides: a server's fault or an overload says nothing of what was done."""
        return self.status is not None and self.status < 500 and self.status != 429

    @property
    def may_have_acted(self) -> bool:
        """Whether the outcome is unknown: it may have done what it asked for, or not."""
        return not self.is_known and not (self.error or "").startswith(NOT_SENT)

    @property
    def is_yes(self) -> bool:
        """Whether it was answered with an order."""
        return self.status in (200, 201) and "order_id" in self.body

    @property
    def problem(self) -> str:
        """Which problem was answered; empty for none."""
        return str(self.body.get("type", "")).removeprefix(PROBLEM_PREFIX)

    @property
    def wish(self) -> tuple[int, str | None]:
        """What was asked for: the same key must always ask for the same."""
        return (self.units, self.method)

    @property
    def told_id(self) -> str:
        """The order that was told."""
        return str(self.body["order_id"])

    @property
    def told_position(self) -> Position:
        """The place in the line that was told."""
        position = self.body["position"]
        return (micros(position["placed_at"]), position["shard_id"], position["seq"])

    def __str__(self) -> str:
        return f"{self.op} {self.number} of {self.customer} with key {self.key} for {self.units}"


@dataclass(frozen=True, slots=True)
class Look:
    """The stock and the live orders by one strong read: when it began and ended for us, and the timestamp it was given.

    `shards`: (shard, version, allocated, available, waiting). `orders`: (shard, status, orders, units).
    """

    began_ns: int
    ended_ns: int
    read_at: int
    stock: int
    shards: list[tuple[int, int, int, int, int]]
    orders: list[tuple[int, str, int, int]]


@dataclass(frozen=True, slots=True)
class History:
    """All that is judged. `final` is what `history_evidence.gather` wrote; `settled`: nothing was under way any more."""

    calls: list[Call]
    looks: list[Look]
    final: dict[str, Any]
    settled: bool

    @property
    def sale(self) -> dict[str, Any]:
        """The sale's terms."""
        terms: dict[str, Any] = self.final["sale"]
        return terms

    def places(self) -> Iterator[Call]:
        """The calls that ask for an order, in the order of their sending."""
        return iter(sorted((call for call in self.calls if call.op == "place"), key=lambda call: call.sent_ns))


def micros(moment: str | datetime) -> int:
    """Microseconds since 1970 of an RFC 3339 text or of a datetime."""
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    return (moment - _EPOCH) // timedelta(microseconds=1)


def read_lines(paths: Iterable[Path]) -> Iterator[dict[str, Any]]:
    """Every whole line of these files: a writer that was killed, or found the disk full, may leave half a one at the end."""
    for path in paths:
        for line in path.read_bytes().splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                continue


def read_calls(paths: Iterable[Path]) -> list[Call]:
    """The calls of these files: each has a line when it is sent, and another when it ends."""
    asked: dict[str, dict[str, Any]] = {}
    for line in read_lines(paths):
        asked.setdefault(line["number"], {}).update(line)
    return [Call(**whole) for whole in asked.values() if "sent_ns" in whole]


def read_looks(paths: Iterable[Path]) -> list[Look]:
    """The looks of these files."""
    return [
        Look(**{**line, "shards": [tuple(s) for s in line["shards"]], "orders": [tuple(o) for o in line["orders"]]})
        for line in read_lines(paths)
    ]


def read_history(folder: Path, *, settled: bool) -> History:
    """A history from the folder that its recorders wrote into."""
    return History(
        read_calls(sorted(folder.glob("calls-*.jsonl"))),
        read_looks(sorted(folder.glob("looks*.jsonl"))),
        json.loads((folder / "final.json").read_bytes()),
        settled,
    )
