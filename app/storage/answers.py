"""A rush's answers file (docs/rush.md), line by line, and the same in a workspace beside the orders it speaks of."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from app.domain.audit.answers import (
    CONFIRMED,
    TAKEN,
    Answered,
    Attempt,
    Confirmation,
    Denied,
    LimitAnswer,
    Sending,
    SoldOutAnswer,
)
from app.domain.audit.findings import micros
from app.domain.audit.rows import StoredOrder
from app.domain.ids import order_id
from app.storage.workspace import Workspace


@dataclass
class AnswersUnreadable(Exception):
    """The file is not a whole answers file of this sale."""

    detail: str

    def __str__(self) -> str:
        return self.detail


def read_attempts(path: Path, sale_id: str) -> Iterator[Attempt]:
    """Every attempt in the file, streamed. Raises AnswersUnreadable, which names the line."""
    try:
        with path.open("rb") as file:
            _check_header(file.readline(), sale_id)
            for line, text in enumerate(file, start=2):
                try:
                    yield _attempt(line, orjson.loads(text), sale_id)
                except (ValueError, KeyError, TypeError, AttributeError) as error:
                    raise AnswersUnreadable(f"line {line} of {path} is not an attempt: {error!r}") from error
    except OSError as error:
        raise AnswersUnreadable(f"{path}: {error.strerror}") from error


def _check_header(text: bytes, sale_id: str) -> None:
    try:
        rush = orjson.loads(text)["rush"]
        found = rush["sale_id"]
    except (ValueError, KeyError, TypeError) as error:
        raise AnswersUnreadable("not an answers file: its first line does not describe a rush") from error
    if found != sale_id:
        raise AnswersUnreadable(f"the answers are of a rush on sale {found!r}, not {sale_id!r}")


def _attempt(line: int, said: dict[str, Any], sale_id: str) -> Attempt:
    buyer, key = said["buyer"], said["key"]
    attempt = Attempt(
        line,
        buyer,
        order_id(sale_id, buyer, key),
        int(said["units"]),
        int(said["sent_ns"]),
        said["answered_ns"],
        said["status"],
        said["order_id"],
        said["order_status"],
        _micros(said["placed_at"]),
        said["shard_id"],
        said["seq"],
        said["problem"],
        _micros(said["as_of"]),
        said["age_ms"],
        said["error"],
    )
    for field, value in zip(Attempt._fields, attempt, strict=True):
        if not isinstance(value, str | int | float | None):
            raise TypeError(f"{field} is a {type(value).__name__}")
    return attempt


def _micros(text: str | None) -> int | None:
    return None if text is None else micros(datetime.fromisoformat(text))


_TABLE = """
CREATE TABLE attempts (line INTEGER PRIMARY KEY, customer_id TEXT, order_id TEXT, units INT, sent_ns INT, answered_ns INT,
    status INT, said_order_id TEXT, said_status TEXT, placed_at INT, shard_id INT, seq INT, problem TEXT, as_of INT,
    age_ms REAL, error TEXT);
"""

# Of each order asked for: when it was first sent and first confirmed, whether it was ever taken as new, and whether an attempt
# of unknown outcome may have taken it. All of an order's attempts carry the same order id, for its key names it.
_DERIVED = f"""
CREATE INDEX attempts_by_order ON attempts (customer_id, order_id);
CREATE TABLE asked AS
SELECT customer_id, order_id, MIN(sent_ns) AS sent_ns,
       MIN(CASE WHEN status IN {CONFIRMED} AND error IS NULL THEN answered_ns END) AS confirmed_ns,
       SUM(status IS {TAKEN} AND error IS NULL) AS takings,
       SUM(status IS NULL OR status >= 500 OR status < 300) AS perhaps
FROM attempts GROUP BY customer_id, order_id;
CREATE INDEX asked_by_key ON asked (customer_id, order_id);
CREATE INDEX asked_by_sending ON asked (sent_ns);
CREATE INDEX asked_by_confirmation ON asked (confirmed_ns);
CREATE INDEX attempts_by_problem ON attempts (problem, sent_ns)
"""  # noqa: S608  # constants of our own

_REFUSED = "a.status IN (409, 422)"
"""What the service refuses a request for; other 4xx speak of the connection or the token."""

_STORED = "JOIN orders o ON o.customer_id = a.customer_id AND o.order_id = a.order_id"


class Answers:
    """The attempts of one rush, in a workspace that holds the sale's orders already."""

    def __init__(self, workspace: Workspace, attempts: Iterator[Attempt]) -> None:
        """Fill the table and work out what each order was told."""
        self._workspace = workspace
        workspace.run(_TABLE)
        workspace.fill("attempts", len(Attempt._fields), attempts)
        workspace.run(_DERIVED)

    @property
    def rush_span(self) -> tuple[int, int] | None:
        """When the first and the last order were taken as new: what was placed between was placed during the rush.

        None when none was taken: the rush only replayed, or came too late.
        """
        query = f"SELECT MIN(placed_at), MAX(placed_at) FROM attempts WHERE status = {TAKEN} AND error IS NULL"  # noqa: S608
        first, last = next(self._workspace.rows(query))
        return None if first is None else (first, last)

    @property
    def first_confirmed_ns(self) -> int | None:
        """When the first order was confirmed."""
        moment: int | None = next(self._workspace.rows("SELECT MIN(confirmed_ns) FROM asked"))[0]
        return moment

    def by_kind(self) -> dict[str, int]:
        """How many answers of each kind there are."""
        query = """
            SELECT COALESCE(error, status || ' ' || COALESCE(problem, said_status, '-')), COUNT(*)
            FROM attempts GROUP BY 1 ORDER BY 2 DESC"""
        return dict(self._workspace.rows(query))

    def confirmations(self) -> Iterator[Confirmation]:
        """Every answer with an order, beside what is stored."""
        query = f"""
            SELECT a.*, o.units, o.placed_at, o.shard_id, o.seq, e.status, EXISTS (
                SELECT 1 FROM events x WHERE x.customer_id = a.customer_id AND x.order_id = a.order_id
                    AND x.status = a.said_status)
            FROM attempts a LEFT JOIN orders o ON o.customer_id = a.customer_id AND o.order_id = a.order_id
            LEFT JOIN events e ON e.customer_id = a.customer_id AND e.order_id = a.order_id AND e.event_seq = 1
            WHERE a.status IN {CONFIRMED} AND a.error IS NULL ORDER BY a.line"""  # noqa: S608  # constants of our own
        width = len(Attempt._fields)
        for row in self._workspace.rows(query):
            units, placed_at, shard_id, seq, first_status, was_ever = row[width:]
            position = None if placed_at is None else (placed_at, shard_id, seq)
            yield Confirmation(Attempt(*row[:width]), units, position, first_status, bool(was_ever))

    def takings(self) -> Iterator[tuple[str, str, int]]:
        """(customer, order id, how often it was answered as new)."""
        yield from self._workspace.rows("SELECT customer_id, order_id, takings FROM asked")

    def denied(self) -> Iterator[Denied]:
        """The first refusal of each order that is stored though no answer and no silence can have made it."""
        query = f"""
            SELECT MIN(a.line), a.customer_id, a.order_id, a.problem FROM attempts a {_STORED}
            JOIN asked q ON q.customer_id = a.customer_id AND q.order_id = a.order_id
            WHERE q.perhaps = 0 AND {_REFUSED} GROUP BY a.customer_id, a.order_id ORDER BY 1"""  # noqa: S608
        return (Denied(*row) for row in self._workspace.rows(query))

    def forgotten(self) -> Iterator[Denied]:
        """Refusals of requests that were sent after their order had been confirmed."""
        query = f"""
            SELECT a.line, a.customer_id, a.order_id, a.problem FROM attempts a
            JOIN asked q ON q.customer_id = a.customer_id AND q.order_id = a.order_id
            WHERE {_REFUSED} AND a.sent_ns > q.confirmed_ns ORDER BY a.line"""  # noqa: S608
        return (Denied(*row) for row in self._workspace.rows(query))

    def unasked(self, first_at: int, last_at: int) -> Iterator[StoredOrder]:
        """Orders of the rush's buyers, placed from `first_at` to `last_at`, that none of them asked for."""
        query = """
            SELECT o.* FROM orders o
            WHERE o.placed_at BETWEEN ? AND ?
              AND EXISTS (SELECT 1 FROM asked b WHERE b.customer_id = o.customer_id)
              AND NOT EXISTS (SELECT 1 FROM asked q WHERE q.customer_id = o.customer_id AND q.order_id = o.order_id)
            ORDER BY o.placed_at, o.shard_id, o.seq"""
        return (StoredOrder(*row) for row in self._workspace.rows(query, first_at, last_at))

    def sendings(self, since: int) -> Iterator[Sending]:
        """The first sending of each order placed since then, by time. Of an older order the rush need not have sent the first."""
        query = """
            SELECT a.sent_ns, o.placed_at, o.shard_id, o.seq, a.customer_id, a.order_id FROM asked a
            JOIN orders o ON o.customer_id = a.customer_id AND o.order_id = a.order_id
            WHERE o.placed_at >= ? ORDER BY a.sent_ns"""
        for sent_ns, placed_at, shard_id, seq, customer_id, name in self._workspace.rows(query, since):
            yield Sending(sent_ns, (placed_at, shard_id, seq), customer_id, name)

    def confirmed(self) -> Iterator[Answered]:
        """The first confirmation of each stored order, by time."""
        query = """
            SELECT a.confirmed_ns, o.placed_at, o.shard_id, o.seq, a.order_id FROM asked a
            JOIN orders o ON o.customer_id = a.customer_id AND o.order_id = a.order_id
            WHERE a.confirmed_ns IS NOT NULL ORDER BY a.confirmed_ns"""
        for confirmed_ns, placed_at, shard_id, seq, name in self._workspace.rows(query):
            yield Answered(confirmed_ns, (placed_at, shard_id, seq), name)

    def sold_out(self, ledger_from: int) -> Iterator[SoldOutAnswer]:
        """Refusals for want of stock, by sending; those of a time before `ledger_from` without the stock of the time."""
        query = """
            SELECT a.line, a.customer_id, a.units, a.sent_ns, a.as_of, a.age_ms, m.available, m.waiting,
                   (SELECT MIN(n.committed_at) FROM moments n WHERE n.committed_at > a.as_of)
            FROM attempts a LEFT JOIN moments m ON m.committed_at = (
                SELECT MAX(l.committed_at) FROM moments l WHERE l.committed_at <= a.as_of AND a.as_of >= ?)
            WHERE a.problem = 'sold-out' ORDER BY a.sent_ns"""
        return (SoldOutAnswer(*row) for row in self._workspace.rows(query, ledger_from))

    def not_open(self) -> Iterator[tuple[int, str, int]]:
        """(line, customer, sent_ns) of each refusal because the sale is not open yet."""
        query = "SELECT line, customer_id, sent_ns FROM attempts WHERE problem = 'sale-not-open' ORDER BY sent_ns"
        yield from self._workspace.rows(query)

    def over_limit(self) -> Iterator[LimitAnswer]:
        """Refusals for the limit, with the units of all the customer's other orders in the sale, whatever became of them."""
        query = """
            SELECT a.line, a.customer_id, a.units, (
                SELECT COALESCE(SUM(o.units), 0) FROM orders o
                WHERE o.customer_id = a.customer_id AND o.order_id != a.order_id)
            FROM attempts a WHERE a.problem = 'limit-exceeded' ORDER BY a.line"""
        return (LimitAnswer(*row) for row in self._workspace.rows(query))
