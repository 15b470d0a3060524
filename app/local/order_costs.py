"""What an order cost, measured after a run: CPU of the API's processes, commits, rows and bytes in the database."""

from collections.abc import Iterable
from dataclasses import dataclass

import psutil

from app.domain.spanner_capacity import OrderCost
from app.storage.database import FairdropDatabase, snapshot

TABLES = ("Orders", "OrderEvents", "Outbox")
"""Each order's own rows. The counter's (StockShards, StockLedger) are two a commit, and shared."""

INDEXES = {
    "OrdersByPlacedAt": "TRUE",
    "OrdersByDueAt": "DueAt IS NOT NULL",
    "OrdersByWaitlistedAt": "WaitlistedAt IS NOT NULL",
    "OrdersByWaitingUnits": "WaitlistedAt IS NOT NULL",
}
"""Of an order, with what they hold: a query may use an index with a filter only when it asks for just that."""

ROWS_A_COMMIT = 2
SAMPLE_ROWS = 1_000

READS_AN_ORDER = 2.0
"""One range when it is placed (the customer's orders of the sale), one row when its event is relayed."""

_UNCHECKED = "spanner_emulator.disable_query_null_filtered_index_check=true"
"""The emulator cannot tell that the conditions fit the index; Spanner can, and does not look at this hint."""

_BYTES = {"INT64": "IF({0} IS NULL, 0, 8)", "TIMESTAMP": "IF({0} IS NULL, 0, 12)"}
_TEXT_BYTES = "COALESCE(BYTE_LENGTH({0}), 0)"


@dataclass(frozen=True, slots=True)
class MeasuredCost:
    """Per order of one sale, on average. `cpu_us` has what refusing the others cost in it, so it is rather too much."""

    orders: int
    commits_per_1000: float
    cost: OrderCost


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and all below it, so far."""
    top = psutil.Process(pid)
    total = 0.0
    for process in (top, *top.children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def measure_cost(database: FairdropDatabase, sale_id: str, cpu: float) -> MeasuredCost:
    """The cost of a sale's orders; the database must have no other sale. `cpu` in seconds, of all the run."""
    orders = _number(database, "SELECT COUNT(*) FROM Orders")
    if not orders:
        raise ValueError("nobody ordered: there is nothing to measure")
    commits = _number(
        database,
        f"SELECT COUNT(*) FROM StockLedger WHERE SaleId = '{sale_id}' AND Cause IN ('placed', 'moved')",  # noqa: S608  # ours
    )
    own = sum(_number(database, f"SELECT COUNT(*) FROM {table}") for table in TABLES)  # noqa: S608  # our own names
    entries = sum(
        _number(database, f"SELECT COUNT(*) FROM Orders@{{FORCE_INDEX={index}, {_UNCHECKED}}} WHERE {held}")  # noqa: S608
        for index, held in INDEXES.items()
    )
    cost = OrderCost(
        rows_written=(own + entries + ROWS_A_COMMIT * commits) / orders,
        bytes_written=sum(_bytes_a_row(database, table) for table in TABLES),
        rows_read=READS_AN_ORDER,
        cpu_us=cpu * 1e6 / orders,
    )
    return MeasuredCost(orders, 1_000 * commits / orders, cost)


def _bytes_a_row(database: FairdropDatabase, table: str) -> float:
    """The bytes of a row's values, on average over some: text as UTF-8, numbers 8, times 12; without Spanner's own overhead."""
    sql = "SELECT COLUMN_NAME, SPANNER_TYPE FROM INFORMATION_SCHEMA.COLUMNS WHERE TABLE_SCHEMA = '' AND TABLE_NAME = @table"
    with snapshot(database) as reads:
        columns = list(reads.execute_sql(sql, params={"table": table}))
        whole = " + ".join(_BYTES.get(kind, _TEXT_BYTES).format(f"`{name}`") for name, kind in columns)
        query = f"SELECT AVG({whole}) FROM (SELECT * FROM {table} LIMIT {SAMPLE_ROWS})"  # noqa: S608  # our own names
        return float(_one(reads.execute_sql(query)))


def _number(database: FairdropDatabase, sql: str) -> int:
    with snapshot(database) as reads:
        return int(_one(reads.execute_sql(sql)))


def _one(rows: Iterable[list[float]]) -> float:
    ((value,),) = rows
    return value or 0
