"""What a fairness report reads of a rush's answers besides what an audit does: each buyer's habit, fate and wait.

The attempts themselves (app.storage.answers) and the sale's line (app.storage.fairness) are in the workspace already.
"""

from collections.abc import Iterator
from pathlib import Path

import orjson

from app.storage.answers import AnswersUnreadable
from app.storage.fairness import TAIL_HALF
from app.storage.workspace import Workspace

PLAIN, FALSE_TIME = "plain", "false_time"
"""The habits of buyers who are compared: nothing special, and lying about the time."""

_HABITS = "CREATE TABLE habits (line INTEGER PRIMARY KEY, kind TEXT, process INT);\n"

# One row a request, by its first sending, of those that came to an end: confirmed (taken at once, or waitlisted), or sold out.
_FATES = """
CREATE TABLE fates AS
SELECT ROW_NUMBER() OVER (ORDER BY q.sent_ns, MIN(a.line)) AS number, q.customer_id, q.order_id, MIN(h.kind) AS kind,
       MIN(h.process) AS process, q.confirmed_ns IS NULL AS refused,
       COALESCE(q.confirmed_ns, MAX(a.answered_ns)) - q.sent_ns AS waited_ns
FROM asked q
JOIN attempts a ON a.customer_id = q.customer_id AND a.order_id = q.order_id
JOIN habits h ON h.line = a.line
GROUP BY q.customer_id, q.order_id HAVING q.confirmed_ns IS NOT NULL OR SUM(COALESCE(a.problem = 'sold-out', FALSE)) > 0;
CREATE INDEX fates_by_number ON fates (number);
"""


class Fates:
    """What became of the requests of one rush."""

    def __init__(self, workspace: Workspace, path: Path) -> None:
        """Read the habits from the file, and put them to what was answered. Raises AnswersUnreadable."""
        self._workspace = workspace
        workspace.run(_HABITS)
        workspace.fill("habits", 3, _habits(path))
        workspace.run(_FATES)
        self.processes_seen = 1 + workspace.number("SELECT MAX(process) FROM habits")

    def answer_waits_ms(self) -> Iterator[tuple[str, float]]:
        """(what was answered, milliseconds from the first sending to it) of each request, the shortest first."""
        query = """
            SELECT CASE WHEN f.refused THEN 'sold out' WHEN l.waited THEN 'waitlisted' ELSE 'taken' END, f.waited_ns
            FROM fates f LEFT JOIN line l ON l.customer_id = f.customer_id AND l.order_id = f.order_id ORDER BY 2"""
        for answer, waited_ns in self._workspace.rows(query):
            yield answer, waited_ns / 1e6

    def refused_at_the_tail(self) -> tuple[dict[str, int], dict[str, int]] | None:
        """How many requests around the first sold-out one were refused, and how many there were, by process of the rush."""
        number = self._workspace.number
        first, requests = number("SELECT MIN(number) FROM fates WHERE refused"), number("SELECT COUNT(*) FROM fates")
        if not first:
            return None
        half = min(first - 1, requests - first + 1, TAIL_HALF)
        query = "SELECT process, SUM(refused), COUNT(*) FROM fates WHERE number BETWEEN ? AND ? GROUP BY 1 ORDER BY 1"
        rows = list(self._workspace.rows(query, first - half, first + half - 1))
        return {f"{name}": hit for name, hit, _ in rows}, {f"{name}": count for name, _, count in rows}

    def taken_by_habit(self) -> tuple[dict[str, int], dict[str, int]]:
        """How many requests of plain buyers, and of liars about the time, have a place in the line, and how many there were."""
        query = (
            "SELECT kind, SUM(NOT refused), COUNT(*) FROM fates WHERE kind IN (?, ?) GROUP BY kind ORDER BY kind DESC"
        )
        rows = list(self._workspace.rows(query, PLAIN, FALSE_TIME))
        return {kind: hit for kind, hit, _ in rows}, {kind: count for kind, _, count in rows}

    def habits_in_line(self, since: int) -> Iterator[str]:
        """The habit of each plain or lying buyer of an order placed since then, in queue order."""
        query = """
            SELECT f.kind FROM fates f JOIN line l ON l.customer_id = f.customer_id AND l.order_id = f.order_id
            WHERE l.placed_at >= ? AND f.kind IN (?, ?) ORDER BY l.place"""
        for (kind,) in self._workspace.rows(query, since, PLAIN, FALSE_TIME):
            yield kind


def processes_of(path: Path) -> int | None:
    """How many processes played the buyers, as the file's first line says; None when it does not."""
    with path.open("rb") as file:
        said = orjson.loads(file.readline())["rush"].get("processes")
    return said if isinstance(said, int) else None


def _habits(path: Path) -> Iterator[tuple[int, str, int]]:
    """(line, habit, process of the rush) of each attempt.

    The file has one process after the other, each in the order in which its attempts ended: where the time of answering falls
    back, the next process begins. Whether that finds them all, the number in the file's first line tells.
    """
    process, last_ns = 0, 0
    with path.open("rb") as file:
        next(file)
        for line, text in enumerate(file, start=2):
            said = orjson.loads(text)
            kind, answered_ns = said.get("kind"), said["answered_ns"]
            if not isinstance(kind, str):
                raise AnswersUnreadable(f"line {line} of {path} is not an attempt: it has no kind")
            if answered_ns is not None:
                process += answered_ns < last_ns
                last_ns = answered_ns
            yield line, kind, process
