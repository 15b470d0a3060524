"""Where an audit puts a sale's rows to read them again in another order: a SQLite file in the temporary folder.

SQLite sorts on disk, so memory is bounded by its page cache however many orders there are; a sale needs some 500 bytes an
order there (measured, see docs/audit.md). Nothing is decided here: the queries join and order, the domain judges.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

from app.domain.audit.draw import DrawEvent
from app.domain.audit.rows import (
    History,
    LedgerRow,
    Moment,
    OutboxRow,
    Promoted,
    Redeemed,
    Start,
    StoredEvent,
    StoredOrder,
    Usage,
    Waiter,
)

CACHE_KIB = 65_536

_TABLES = """
CREATE TABLE orders (customer_id TEXT, order_id TEXT, status TEXT, units INT, shard_id INT, seq INT, placed_at INT,
    waitlisted_at INT, due_at INT, event_seq INT, unit_price_minor INT, currency TEXT, draw_place INT, draw_result TEXT);
CREATE TABLE events (customer_id TEXT, order_id TEXT, event_seq INT, status TEXT, trigger TEXT, committed_at INT);
CREATE TABLE outbox (order_id TEXT, event_seq INT, event_type TEXT, outbox_shard INT, created_at INT, status TEXT);
CREATE TABLE ledger (shard_id INT, version INT, allocated INT, available INT, waiting INT, cause TEXT, committed_at INT);
CREATE TABLE redemptions (order_id TEXT, units INT, till_id TEXT, redeemed_at INT);
CREATE TABLE effects (before TEXT, trigger TEXT, held INT, waiting INT);
CREATE TABLE moves (shard_id INT, committed_at INT, held INT, waiting INT);
CREATE TABLE moments (committed_at INTEGER PRIMARY KEY, available INT, waiting INT);
CREATE TABLE waits (placed_at INT, shard_id INT, seq INT, units INT, left_at INT, customer_id TEXT, order_id TEXT);
"""

_INDEXES = """
CREATE INDEX orders_by_key ON orders (customer_id, order_id);
CREATE INDEX orders_by_id ON orders (order_id);
CREATE INDEX orders_by_position ON orders (placed_at, shard_id, seq);
CREATE INDEX events_by_key ON events (customer_id, order_id, event_seq);
CREATE INDEX outbox_by_event ON outbox (order_id, event_seq);
"""

# What each order's events did to its shard, summed by commit; and who stood in the waitlist from when to when: since the order
# came, or since the draw put it there; then it stands by the draw's place, whatever shard it came to. An event's
# effect follows from the status before it, by the domain's table of transitions. Outside it an event has none.
_DERIVED = """
INSERT INTO moves
SELECT shard_id, committed_at, SUM(units * effects.held), SUM(effects.waiting)
FROM (
    SELECT o.shard_id, o.units, e.committed_at, e.trigger,
           LAG(e.status) OVER (PARTITION BY e.customer_id, e.order_id ORDER BY e.event_seq) AS before
    FROM events e JOIN orders o ON o.customer_id = e.customer_id AND o.order_id = e.order_id
) AS step JOIN effects ON effects.before IS step.before AND effects.trigger = step.trigger
GROUP BY shard_id, committed_at;
CREATE INDEX moves_by_commit ON moves (shard_id, committed_at);
INSERT INTO waits
SELECT first.committed_at, IIF(o.draw_place IS NULL, o.shard_id, 0), COALESCE(o.draw_place, o.seq), o.units, second.committed_at,
    o.customer_id, o.order_id
FROM orders o
JOIN events first ON first.customer_id = o.customer_id AND first.order_id = o.order_id AND first.status = 'WAITLISTED'
LEFT JOIN events second
    ON second.customer_id = o.customer_id AND second.order_id = o.order_id AND second.event_seq = first.event_seq + 1;
CREATE INDEX waits_by_order ON waits (customer_id, order_id);
CREATE INDEX waits_by_size ON waits (units, placed_at, shard_id, seq);
"""

_LEDGER = """
SELECT l.shard_id, l.version, l.allocated, l.available, l.waiting, l.cause, l.committed_at,
       COALESCE(m.held, 0), COALESCE(m.waiting, 0)
FROM ledger l LEFT JOIN moves m ON m.shard_id = l.shard_id AND m.committed_at = l.committed_at
ORDER BY """


class Workspace:
    """A temporary database of one audit; gone when it is left."""

    def __init__(self) -> None:
        """Make the file."""
        self._folder = TemporaryDirectory(prefix="fairdrop-audit-")
        self._base = sqlite3.connect(Path(self._folder.name) / "rows.sqlite", isolation_level=None)
        # The file needs no safety: who loses it runs the audit again. One transaction from beginning to end, never committed.
        for pragma in ("journal_mode=OFF", "synchronous=OFF", f"cache_size=-{CACHE_KIB}", "temp_store=FILE"):
            self._base.execute(f"PRAGMA {pragma}")
        self._base.execute("BEGIN")
        self.run(_TABLES)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._base.close()
        self._folder.cleanup()

    def run(self, statements: str) -> None:
        """Run statements, each ended by a semicolon at a line's end."""
        for statement in statements.split(";\n"):
            self._base.execute(statement)

    def fill(self, table: str, width: int, rows: Iterable[Sequence[Any]]) -> None:
        """Put rows into a table, as they come."""
        marks = ", ".join("?" * width)
        self._base.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)  # noqa: S608  # a name from our own code

    def put(self, table: str, row: Sequence[Any]) -> None:
        """Put one row into a table."""
        marks = ", ".join("?" * len(row))
        self._base.execute(f"INSERT INTO {table} VALUES ({marks})", row)  # noqa: S608  # a name from our own code

    def rows(self, query: str, *values: Any) -> Iterator[Any]:
        """The rows of a query, each a tuple, streamed."""
        yield from self._base.execute(query, values)

    def number(self, query: str, *values: Any) -> int:
        """The one number that a query gives; 0 for NULL."""
        return next(self.rows(query, *values))[0] or 0

    def index(self, effects: Iterable[tuple[str | None, str, int, int]]) -> None:
        """Once the four tables are filled: index them, and work out what each commit did and who waited when."""
        self.run(_INDEXES)
        self.fill("effects", 4, effects)
        self.run(_DERIVED)

    def usage(self) -> Iterator[Usage]:
        """Orders and units by shard and status."""
        query = "SELECT shard_id, status, COUNT(*), SUM(units) FROM orders GROUP BY shard_id, status"
        return (Usage(*row) for row in self.rows(query))

    def ledger_by_version(self) -> Iterator[LedgerRow]:
        """The ledger by shard and version."""
        return (LedgerRow(*row) for row in self.rows(_LEDGER + "l.shard_id, l.version"))

    def ledger_by_commit(self) -> Iterator[LedgerRow]:
        """The ledger by commit, shard and version."""
        return (LedgerRow(*row) for row in self.rows(_LEDGER + "l.committed_at, l.shard_id, l.version"))

    def unrecorded_moves(self, since: int) -> Iterator[tuple[int, int, int, int]]:
        """(shard, commit, units held, orders waiting) of the commits since then that changed a shard without a ledger row."""
        query = """
            SELECT m.shard_id, m.committed_at, m.held, m.waiting FROM moves m
            LEFT JOIN ledger l ON l.shard_id = m.shard_id AND l.committed_at = m.committed_at
            WHERE l.shard_id IS NULL AND (m.held != 0 OR m.waiting != 0) AND m.committed_at >= ?
            ORDER BY m.committed_at, m.shard_id"""
        yield from self.rows(query, since)

    def moments(self, since: int) -> Iterator[Moment]:
        """The sale's totals after each commit since then."""
        return (Moment(*row) for row in self.rows("SELECT * FROM moments WHERE committed_at >= ? ORDER BY 1", since))

    def starts(self) -> Iterator[Start]:
        """Every order as it came in, by queue position."""
        query = """
            SELECT o.placed_at, o.shard_id, o.seq, o.units, COALESCE(e.status, ''), o.customer_id, o.order_id
            FROM orders o LEFT JOIN events e
                ON e.customer_id = o.customer_id AND e.order_id = o.order_id AND e.event_seq = 1
            ORDER BY o.placed_at, o.shard_id, o.seq"""
        return (Start(*row) for row in self.rows(query))

    def waiting_lines(self) -> Mapping[int, Iterator[Waiter]]:
        """Everybody who ever waited, by size and in queue order. Sizes are at most as many as the limit per customer."""
        query = "SELECT * FROM waits WHERE units = ? ORDER BY placed_at, shard_id, seq"
        sizes = [units for (units,) in self.rows("SELECT DISTINCT units FROM waits")]
        return {units: map(Waiter._make, self.rows(query, units)) for units in sizes}

    def promotions(self, triggers: Sequence[str]) -> Iterator[Promoted]:
        """Every promotion, by commit and queue position."""
        marks = ", ".join("?" * len(triggers))
        query = f"""
            SELECT e.committed_at, w.placed_at, w.shard_id, w.seq, w.units
            FROM events e JOIN waits w ON w.customer_id = e.customer_id AND w.order_id = e.order_id
            WHERE e.trigger IN ({marks}) ORDER BY e.committed_at, w.placed_at, w.shard_id, w.seq"""  # noqa: S608
        return (Promoted(*row) for row in self.rows(query, *triggers))

    def redemptions(self) -> Iterator[Redeemed]:
        """Every redemption with its order, if there is one, by order id and time."""
        query = """
            SELECT r.order_id, r.units, r.till_id, r.redeemed_at, o.status, o.units, o.unit_price_minor, o.placed_at
            FROM redemptions r LEFT JOIN orders o ON o.order_id = r.order_id
            ORDER BY r.order_id, r.redeemed_at"""
        return (Redeemed(*row) for row in self.rows(query))

    def draw_events(self) -> Iterator[DrawEvent]:
        """Every order that has a place of a draw, with what its second event was."""
        query = """
            SELECT o.customer_id, o.order_id, o.draw_result, e.trigger FROM orders o
            LEFT JOIN events e ON e.customer_id = o.customer_id AND e.order_id = o.order_id AND e.event_seq = 2
            WHERE o.draw_place IS NOT NULL ORDER BY o.draw_place"""
        return map(DrawEvent._make, self.rows(query))

    def orders(self, where: str, order_by: str, *values: Any) -> Iterator[StoredOrder]:
        """Orders, some of them, in an order."""
        query = f"SELECT o.* FROM orders o WHERE {where} ORDER BY {order_by}"  # noqa: S608  # both from our own code
        return (StoredOrder(*row) for row in self.rows(query, *values))

    def histories(self) -> Iterator[History]:
        """Every order with its events and outbox rows, by customer."""
        query = """
            SELECT o.*, e.event_seq, e.status, e.trigger, e.committed_at,
                   b.event_seq, b.event_type, b.outbox_shard, b.created_at, b.status
            FROM orders o
            LEFT JOIN events e ON e.customer_id = o.customer_id AND e.order_id = o.order_id
            LEFT JOIN outbox b ON b.order_id = e.order_id AND b.event_seq = e.event_seq
            ORDER BY o.customer_id, o.order_id, e.event_seq, b.created_at"""
        order_width, event_end = len(StoredOrder._fields), len(StoredOrder._fields) + len(StoredEvent._fields)
        for _, group in groupby(self.rows(query), itemgetter(0, 1)):
            events: list[StoredEvent] = []
            outbox: list[OutboxRow] = []
            for row in group:
                event = StoredEvent(*row[order_width:event_end])
                if event.event_seq is not None and (not events or events[-1] != event):
                    events.append(event)
                if row[event_end] is not None:
                    outbox.append(OutboxRow(*row[event_end:]))
            yield History(StoredOrder(*row[:order_width]), events, outbox)

    def stray_outbox_rows(self) -> Iterator[tuple[str, int]]:
        """(order id, event) of outbox rows of the sale that belong to no event."""
        query = """
            SELECT b.order_id, b.event_seq FROM outbox b WHERE NOT EXISTS (
                SELECT 1 FROM orders o JOIN events e ON e.customer_id = o.customer_id AND e.order_id = o.order_id
                WHERE o.order_id = b.order_id AND e.event_seq = b.event_seq)
            ORDER BY b.order_id, b.event_seq"""
        yield from self.rows(query)
