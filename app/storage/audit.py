"""Reading everything of a sale at one timestamp: partitioned queries, whose rows come in no order and in any number.

Times are read as microseconds since the epoch (UNIX_MICROS), so that no row's timestamps are decoded here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from google.cloud.spanner_v1 import param_types
from google.cloud.spanner_v1.database import BatchSnapshot

from app.domain.audit.delivery import LogShard
from app.domain.audit.findings import micros
from app.domain.draw import Draw
from app.domain.sale import Sale
from app.domain.stock import ShardState
from app.storage.database import FairdropDatabase, batch_snapshot, snapshot
from app.storage.draw import find_draw
from app.storage.sales import sale_as_of
from app.storage.stock import read_shards

_TYPES = {"sale": param_types.STRING}

# The primary key leads with the customer, so a sale's rows are all over the table: scanned whole, filtered at the server. An
# index of the sale would only add a look-up for each order.
ORDERS = """
    SELECT CustomerId, OrderId, Status, Units, ShardId, Seq,
           UNIX_MICROS(PlacedAt), UNIX_MICROS(WaitlistedAt), UNIX_MICROS(DueAt), EventSeq,
           UnitPriceMinor, Currency, DrawPlace, DrawResult
    FROM Orders@{FORCE_INDEX=_BASE_TABLE} WHERE SaleId = @sale"""

EVENTS = """
    SELECT CustomerId, OrderId, EventSeq, Status, Trigger, UNIX_MICROS(CommittedAt)
    FROM OrderEvents WHERE SaleId = @sale"""

OUTBOX = """
    SELECT OrderId, EventSeq, EventType, OutboxShard, UNIX_MICROS(CreatedAt), JSON_VALUE(Payload, '$.status')
    FROM Outbox WHERE JSON_VALUE(Payload, '$.sale_id') = @sale"""

LEDGER = """
    SELECT ShardId, Version, Allocated, Available, Waiting, Cause, UNIX_MICROS(CommittedAt)
    FROM StockLedger WHERE SaleId = @sale"""

REDEMPTIONS = """
    SELECT OrderId, Units, TillId, UNIX_MICROS(RedeemedAt) FROM Redemptions WHERE SaleId = @sale"""

# One pass over the outbox of all sales: a count for each shard of its own would be sixteen.
_CURSORS = """
    SELECT c.OutboxShard, UNIX_MICROS(c.CreatedAt), c.OrderId, c.EventSeq, c.Published, COALESCE(n.Passed, 0)
    FROM OutboxCursors c LEFT JOIN (
        SELECT o.OutboxShard, COUNT(*) AS Passed FROM Outbox o JOIN OutboxCursors u ON u.OutboxShard = o.OutboxShard
        WHERE o.CreatedAt < u.CreatedAt OR (o.CreatedAt = u.CreatedAt AND
            (o.OrderId < u.OrderId OR (o.OrderId = u.OrderId AND o.EventSeq <= u.EventSeq)))
        GROUP BY o.OutboxShard) n ON n.OutboxShard = c.OutboxShard
    ORDER BY c.OutboxShard"""


@dataclass(frozen=True, slots=True)
class SaleStand:
    """A sale and its shards at one database timestamp, which everything else of an audit is read at, too.

    `log` has the cursors of the outbox of all sales, and `oldest_at` is when the first of them was created, in microseconds.
    A lottery has its draw.
    """

    sale: Sale
    as_of: datetime
    created_at: datetime
    shards: list[ShardState]
    log: list[LogShard] = field(default_factory=list)
    oldest_at: int | None = None
    draw: Draw | None = None


def read_stand(database: FairdropDatabase, sale_id: str, as_of: datetime | None) -> SaleStand | None:
    """The sale as of a time (None: now), or None if there was no such sale."""
    bounds = {} if as_of is None else {"read_timestamp": as_of}
    with snapshot(database, **bounds) as reads:
        sale, read_at = sale_as_of(reads, sale_id)
        if sale is None:
            return None
        query = "SELECT CreatedAt FROM Sales WHERE SaleId = @sale"
        created_at = next(iter(reads.execute_sql(query, params={"sale": sale_id}, param_types=_TYPES)))[0]
        ((oldest,),) = reads.execute_sql("SELECT MIN(CreatedAt) FROM Sales")
        shards = read_shards(reads, sale_id)
        draw = find_draw(reads, sale_id) if sale.is_lottery else None
        return SaleStand(sale, as_of or read_at, created_at, shards, read_log(reads), micros(oldest), draw)


def read_log(reads: Any) -> list[LogShard]:
    """The cursors of a database's outbox, each with the number of rows up to it."""
    return [LogShard(*row) for row in reads.execute_sql(_CURSORS)]


@dataclass(frozen=True, slots=True)
class SaleRows:
    """The tables of a sale, each to be streamed once."""

    orders: Iterator[list[Any]]
    events: Iterator[list[Any]]
    outbox: Iterator[list[Any]]
    ledger: Iterator[list[Any]]
    redemptions: Iterator[list[Any]]


@contextmanager
def sale_rows(database: FairdropDatabase, stand: SaleStand) -> Iterator[SaleRows]:
    """The tables as of the stand's timestamp. Raises StorageUnavailable when that is longer ago than the database remembers."""
    with batch_snapshot(database, stand.as_of) as reads:
        sale_id = stand.sale.sale_id
        yield SaleRows(*(partitioned(reads, sql, sale_id) for sql in (ORDERS, EVENTS, OUTBOX, LEDGER, REDEMPTIONS)))


def partitioned(reads: BatchSnapshot, sql: str, sale_id: str) -> Iterator[list[Any]]:
    """The rows of a query of one sale's rows (@sale), in no order."""
    for batch in reads.generate_query_batches(sql, params={"sale": sale_id}, param_types=_TYPES):
        yield from reads.process_query_batch(batch)
