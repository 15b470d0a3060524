"""What a fairness report reads of a sale: its orders with the servers' time of arrival, and the ledger with its writers.

They go into an audit's workspace, whose two tables are made one column wider here. SQLite gives out the places: on disk, so that
memory does not grow with the orders.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from app.domain.fairness import Arrival
from app.domain.states import Status, Trigger
from app.storage.audit import EVENTS, SaleStand, partitioned
from app.storage.database import FairdropDatabase, batch_snapshot
from app.storage.workspace import Workspace

TAIL_HALF = 5_000
"""Orders (or requests) on either side of the moment when the stock ran out: further away nothing was in doubt."""

_COLUMNS = """
ALTER TABLE orders ADD COLUMN received_at INT;
ALTER TABLE ledger ADD COLUMN written_by TEXT;
"""

_ORDERS = """
    SELECT CustomerId, OrderId, Status, Units, ShardId, Seq,
           UNIX_MICROS(PlacedAt), UNIX_MICROS(WaitlistedAt), UNIX_MICROS(DueAt), EventSeq,
           UnitPriceMinor, Currency, DrawPlace, DrawResult, UNIX_MICROS(ReceivedAt)
    FROM Orders@{FORCE_INDEX=_BASE_TABLE} WHERE SaleId = @sale"""

_LEDGER = """
    SELECT ShardId, Version, Allocated, Available, Waiting, Cause, UNIX_MICROS(CommittedAt), WrittenBy
    FROM StockLedger WHERE SaleId = @sale"""

# The process that committed an order is the one that wrote the order's shard into the ledger in the same commit. An order waited
# when it came when its first event says so; a lottery's is put in the waitlist later, by the draw. Some event says either.
_LINE = f"""
CREATE INDEX ledger_by_commit ON ledger (shard_id, committed_at);
CREATE INDEX events_by_key ON events (customer_id, order_id, event_seq);
CREATE TABLE line AS
SELECT ROW_NUMBER() OVER (ORDER BY o.placed_at, o.shard_id, o.seq) AS place,
       ROW_NUMBER() OVER (ORDER BY o.received_at, o.placed_at, o.shard_id, o.seq) AS arrival_place,
       o.shard_id, (
           SELECT MIN(l.written_by) FROM ledger l WHERE l.shard_id = o.shard_id AND l.committed_at = o.placed_at) AS writer,
       o.received_at, o.placed_at, (
           SELECT e.status = '{Status.WAITLISTED}' FROM events e
           WHERE e.customer_id = o.customer_id AND e.order_id = o.order_id AND e.event_seq = 1) AS waited, (
           SELECT MIN(e.committed_at) FROM events e
           WHERE e.customer_id = o.customer_id AND e.order_id = o.order_id
             AND e.status = '{Status.WAITLISTED}') AS waitlisted_at, (
           SELECT MIN(e.committed_at) FROM events e
           WHERE e.customer_id = o.customer_id AND e.order_id = o.order_id
             AND e.trigger IN ('{Trigger.PROMOTE}', '{Trigger.PROMOTE_FREE}')) AS promoted_at,
       o.status, o.customer_id, o.order_id, o.draw_result
FROM orders o;
CREATE UNIQUE INDEX line_by_place ON line (place);
CREATE INDEX line_by_key ON line (customer_id, order_id);
"""  # noqa: S608  # names of our own states


def read_line(database: FairdropDatabase, stand: SaleStand, workspace: Workspace) -> None:
    """Put the sale's line, as of the stand's timestamp, into an empty workspace. Raises StorageUnavailable."""
    sale_id = stand.sale.sale_id
    with batch_snapshot(database, stand.as_of) as reads:
        fill_line(workspace, *(partitioned(reads, sql, sale_id) for sql in (_ORDERS, EVENTS, _LEDGER)))


def fill_line(
    workspace: Workspace, orders: Iterable[list[Any]], events: Iterable[list[Any]], ledger: Iterable[list[Any]]
) -> None:
    """Make the line of rows that come in no order: as an audit reads them, orders with ReceivedAt and the ledger with WrittenBy."""
    workspace.run(_COLUMNS)
    workspace.fill("orders", 15, orders)
    workspace.fill("events", 6, events)
    workspace.fill("ledger", 8, ledger)
    workspace.run("CREATE INDEX orders_by_key ON orders (customer_id, order_id);\n" + _LINE)


class Line:
    """A sale's line in a workspace."""

    def __init__(self, workspace: Workspace) -> None:
        """Look at a workspace that `read_line` has filled."""
        self._workspace = workspace
        self.orders = workspace.number("SELECT COUNT(*) FROM line")
        self.waited = workspace.number("SELECT COUNT(waitlisted_at) FROM line")

    def arrivals(self) -> Iterator[Arrival]:
        """Every order, in queue order."""
        query = "SELECT place, arrival_place, shard_id, writer, received_at FROM line ORDER BY place"
        return map(Arrival._make, self._workspace.rows(query))

    def places(self, most: int) -> Iterator[tuple[int, int]]:
        """(place, place by arrival) in queue order; of so many orders evenly chosen, should they be more."""
        step = max(1, -(-self.orders // most))
        query = "SELECT place, arrival_place FROM line WHERE (place - 1) % ? = 0 ORDER BY place"
        yield from self._workspace.rows(query, step)

    def commit_ms(self) -> Iterator[float]:
        """From the server's clock at arrival to the database's at commit, by length: a difference of two clocks."""
        for (us,) in self._workspace.rows("SELECT placed_at - received_at FROM line ORDER BY 1"):
            yield us / 1000

    def waits_for_a_unit_ms(self) -> Iterator[float]:
        """From the place in the waitlist to the promotion, of everybody promoted, by length; both by the database's clock."""
        query = "SELECT promoted_at - waitlisted_at FROM line WHERE promoted_at IS NOT NULL ORDER BY 1"
        for (us,) in self._workspace.rows(query):
            yield us / 1000

    def promoted(self, most: int) -> Iterator[tuple[int, float]]:
        """(place, milliseconds waited) of everybody promoted, in queue order; of so many evenly chosen, should they be more."""
        count = self._workspace.number("SELECT COUNT(*) FROM line WHERE promoted_at IS NOT NULL")
        query = """
            SELECT place, wait FROM (
                SELECT place, promoted_at - waitlisted_at AS wait, ROW_NUMBER() OVER (ORDER BY place) - 1 AS number
                FROM line WHERE promoted_at IS NOT NULL) AS all_of_them
            WHERE number % ? = 0 ORDER BY place"""
        for place, us in self._workspace.rows(query, max(1, -(-count // most))):
            yield place, us / 1000

    def still_waiting(self) -> int:
        """Orders in the waitlist now."""
        return self._workspace.number("SELECT COUNT(*) FROM line WHERE status = ?", Status.WAITLISTED)

    def won_by_arrival(self, parts: int) -> tuple[dict[str, int], dict[str, int]]:
        """How many entries won, and how many there are, in each of so many equal parts of the line of a lottery's entries."""
        return self._won(f"printf('%02d', NTILE({parts:d}) OVER (ORDER BY place))")

    def won_by_shard(self) -> tuple[dict[str, int], dict[str, int]]:
        """How many of a lottery's entries won, and how many there are, in each shard."""
        return self._won("shard_id")

    def _won(self, group: str) -> tuple[dict[str, int], dict[str, int]]:
        query = f"""
            SELECT part, SUM(won), COUNT(*) FROM (
                SELECT {group} AS part, draw_result = 'won' AS won FROM line WHERE draw_result IS NOT NULL) AS entries
            GROUP BY part ORDER BY part"""  # noqa: S608  # columns of our own
        rows = list(self._workspace.rows(query))
        return {str(part): won for part, won, _ in rows}, {str(part): count for part, _, count in rows}

    def tail(self) -> tuple[int, int] | None:
        """The places around the first order that was waitlisted when it came: as many before it as from it on; None: none was."""
        first = self._workspace.number("SELECT MIN(place) FROM line WHERE waited")
        half = min(first - 1, self.orders - first + 1, TAIL_HALF)
        return (first - half, first + half - 1) if first else None

    def waitlisted_by(self, column: str, span: tuple[int, int]) -> tuple[dict[str, int], dict[str, int]]:
        """How many orders of a span of places were waitlisted when they came, and how many there are, by `shard_id` or `writer`."""
        query = f"""
            SELECT COALESCE({column}, 'unknown'), SUM(waited), COUNT(*) FROM line
            WHERE place BETWEEN ? AND ? GROUP BY 1 ORDER BY 1"""  # noqa: S608  # a column of our own
        rows = list(self._workspace.rows(query, *span))
        return {str(name): hit for name, hit, _ in rows}, {str(name): count for name, _, count in rows}

    def commit_sizes(self, span: tuple[int, int]) -> list[int]:
        """How many orders of a span each commit has."""
        query = "SELECT COUNT(*) FROM line WHERE place BETWEEN ? AND ? GROUP BY placed_at, shard_id"
        return [size for (size,) in self._workspace.rows(query, *span)]
