"""The money of a sale in an audit's workspace, beside the orders: payments, both logs with their cursors, the gateway's book."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from app.domain.audit.accounts import Account, BookEntry, StoredPayment
from app.domain.audit.delivery import Asked, LogRow, LogShard, Outcome, PaymentLog
from app.domain.audit.rows import StoredOrder
from app.storage.workspace import Workspace

_LOG_TABLES = """
CREATE TABLE cursors (log TEXT, outbox_shard INT, created_at INT, order_id TEXT, event_seq INT);
CREATE TABLE logs (log TEXT, order_id TEXT, event_seq INT, event_type TEXT, outbox_shard INT, created_at INT);
INSERT INTO logs SELECT 'order', order_id, event_seq, event_type, outbox_shard, created_at FROM outbox;
"""

_LOG_VIEWS = """
CREATE INDEX logs_by_order ON logs (order_id, log, event_seq);
CREATE VIEW marked AS
SELECT l.*, c.created_at IS NOT NULL
    AND (l.created_at, l.order_id, l.event_seq) <= (c.created_at, c.order_id, c.event_seq) AS is_published
FROM logs l LEFT JOIN cursors c ON c.log = l.log AND c.outbox_shard = l.outbox_shard;
"""

_MONEY_TABLES = """
CREATE TABLE payments (order_id TEXT PRIMARY KEY, sale_id TEXT, customer_id TEXT, amount_minor INT, currency TEXT,
    wanted TEXT, state TEXT, reference TEXT, event_seq INT, open_since INT, created_at INT) WITHOUT ROWID;
CREATE TABLE book (authorization_id TEXT, order_id TEXT, state TEXT, amount_minor INT, currency TEXT, captured_minor INT,
    refunded_minor INT);
CREATE TABLE strays (order_id TEXT PRIMARY KEY, sale_id TEXT) WITHOUT ROWID;
CREATE TABLE asks (event_type TEXT PRIMARY KEY, rank INT);
CREATE TABLE ranks (wanted TEXT PRIMARY KEY, rank INT);
CREATE TABLE triggers (event_type TEXT PRIMARY KEY, trigger TEXT);
"""

_PUBLISHED = "m.log, m.order_id, m.event_seq, m.event_type, m.outbox_shard, m.created_at"


class Logs:
    """The outboxes of a sale with their cursors, in a workspace that holds the sale's orders already."""

    def __init__(self, workspace: Workspace, orders_log: Iterable[LogShard]) -> None:
        """Take over the orders' outbox."""
        self._workspace = workspace
        workspace.run(_LOG_TABLES)
        self.add_cursors("order", orders_log)

    def add_cursors(self, log: str, shards: Iterable[LogShard]) -> None:
        """Put a database's cursors in."""
        self._workspace.fill("cursors", 5, ((log, *shard[:4]) for shard in shards))

    def add_rows(self, rows: Iterable[Sequence[Any]]) -> None:
        """Put outbox rows in, in the columns of LogRow."""
        self._workspace.fill("logs", 6, rows)

    def index(self) -> None:
        """Once all rows are in."""
        self._workspace.run(_LOG_VIEWS)

    def counts(self) -> dict[tuple[str, bool], int]:
        """Rows, by log and whether they are published."""
        query = "SELECT log, is_published, COUNT(*) FROM marked GROUP BY 1, 2"
        return {(log, bool(is_published)): count for log, is_published, count in self._workspace.rows(query)}

    def unpublished(self) -> Iterator[LogRow]:
        """Rows after their cursor, the oldest first."""
        query = (
            f"SELECT {_PUBLISHED} FROM marked m WHERE NOT m.is_published ORDER BY m.created_at, m.order_id, m.event_seq"  # noqa: S608
        )
        return (LogRow(*row) for row in self._workspace.rows(query))


class Money:
    """The payments of a sale and the gateway's book, in a workspace that holds the orders and their `Logs` already."""

    def __init__(self, workspace: Workspace, payments: Iterable[Sequence[Any]]) -> None:
        """Fill the table of payments."""
        self._workspace = workspace
        workspace.run(_MONEY_TABLES)
        workspace.fill("payments", len(StoredPayment._fields), payments)

    def add_book(self, entries: Iterable[BookEntry]) -> None:
        """Put the gateway's book in: of all sales, for it knows of none."""
        self._workspace.fill("book", len(BookEntry._fields), entries)
        self._workspace.run("CREATE INDEX book_by_order ON book (order_id, authorization_id);\n")

    def unexplained(self) -> Iterator[str]:
        """Orders that the book knows, and no payment of this sale."""
        query = """
            SELECT DISTINCT b.order_id FROM book b LEFT JOIN payments p ON p.order_id = b.order_id
            WHERE p.order_id IS NULL ORDER BY 1"""
        return (order_id for (order_id,) in self._workspace.rows(query))

    def add_strays(self, strays: Iterable[tuple[str, str]]) -> None:
        """Put in of which sale the payments of unexplained orders are, where there is one after all."""
        self._workspace.fill("strays", 2, strays)

    def accounts(self) -> Iterator[Account]:
        """Every order of the sale, every payment of it, and all that the book has, by order id."""
        query = """
            SELECT k.order_id, o.*, (SELECT MAX(e.committed_at) FROM events e
                   WHERE e.customer_id = o.customer_id AND e.order_id = o.order_id), p.*, b.*, s.sale_id
            FROM (SELECT order_id FROM orders UNION SELECT order_id FROM payments UNION SELECT order_id FROM book) k
            LEFT JOIN orders o ON o.order_id = k.order_id
            LEFT JOIN payments p ON p.order_id = k.order_id
            LEFT JOIN book b ON b.order_id = k.order_id
            LEFT JOIN strays s ON s.order_id = k.order_id
            ORDER BY k.order_id, b.authorization_id"""
        changed = 1 + len(StoredOrder._fields)
        paid = changed + 1
        booked = paid + len(StoredPayment._fields)
        for order_id, group in groupby(self._workspace.rows(query), itemgetter(0)):
            entries: dict[str, BookEntry] = {}
            for row in group:
                if row[booked] is not None:
                    entries[row[booked]] = BookEntry(*row[booked:-1])
            yield Account(
                order_id,
                StoredOrder(*row[1:changed]) if row[1] is not None else None,
                row[changed],
                StoredPayment(*row[paid:booked]) if row[paid] is not None else None,
                list(entries.values()),
                row[-1],
            )

    def by_state(self) -> dict[str, int]:
        """Payments, by state."""
        return dict(self._workspace.rows("SELECT state, COUNT(*) FROM payments GROUP BY 1 ORDER BY 1"))

    def payment_logs(self) -> Iterator[PaymentLog]:
        """Every payment with what its outbox rows add up to."""
        query = """
            SELECT p.order_id, p.state, p.event_seq, p.created_at, COUNT(l.order_id), MIN(l.event_seq), MAX(l.event_seq),
                   (SELECT n.event_type FROM logs n WHERE n.log = 'payment' AND n.order_id = p.order_id
                    ORDER BY n.event_seq DESC LIMIT 1)
            FROM payments p LEFT JOIN logs l ON l.log = 'payment' AND l.order_id = p.order_id
            GROUP BY p.order_id ORDER BY p.order_id"""
        return (PaymentLog(*row) for row in self._workspace.rows(query))

    def strange_rows(self) -> Iterator[LogRow]:
        """Outbox rows of payments that there are not."""
        query = f"""
            SELECT {_PUBLISHED} FROM logs m LEFT JOIN payments p ON p.order_id = m.order_id
            WHERE m.log = 'payment' AND p.order_id IS NULL ORDER BY m.order_id, m.event_seq"""  # noqa: S608
        return (LogRow(*row) for row in self._workspace.rows(query))

    def asked(self, asks: Mapping[str, int], ranks: Mapping[str, int]) -> Iterator[Asked]:
        """Published events of priced orders that ask for something, by order; `asks` by event type, `ranks` by what is wanted."""
        self._workspace.fill("asks", 2, asks.items())
        self._workspace.fill("ranks", 2, ranks.items())
        query = f"""
            SELECT {_PUBLISHED}, a.rank, r.rank FROM marked m JOIN asks a ON a.event_type = m.event_type
            JOIN orders o ON o.order_id = m.order_id
            LEFT JOIN payments p ON p.order_id = m.order_id LEFT JOIN ranks r ON r.wanted = p.wanted
            WHERE m.log = 'order' AND m.is_published AND o.unit_price_minor > 0
            ORDER BY m.order_id, m.event_seq"""  # noqa: S608  # constants of our own
        return (Asked(LogRow(*row[:6]), *row[6:]) for row in self._workspace.rows(query))

    def outcomes(self, triggers: Mapping[str, str]) -> Iterator[Outcome]:
        """Published events of payments, by order; `triggers` are what they are to do, by event type."""
        self._workspace.fill("triggers", 2, triggers.items())
        query = f"""
            SELECT {_PUBLISHED}, t.trigger, o.status, (SELECT COUNT(*) FROM events e
                WHERE e.customer_id = o.customer_id AND e.order_id = o.order_id AND e.trigger = t.trigger)
            FROM marked m JOIN triggers t ON t.event_type = m.event_type
            LEFT JOIN orders o ON o.order_id = m.order_id
            WHERE m.log = 'payment' AND m.is_published ORDER BY m.order_id, m.event_seq"""  # noqa: S608
        return (Outcome(LogRow(*row[:6]), *row[6:]) for row in self._workspace.rows(query))
