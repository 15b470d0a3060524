"""The database as it is, by SQL over the plain client library, and the gateway's book: looks meanwhile, and everything at the
end.
"""

import json
import os
import threading
import time
import urllib.request
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

os.environ.setdefault("SPANNER_DISABLE_BUILTIN_METRICS", "true")
os.environ.setdefault("GOOGLE_CLOUD_SPANNER_MULTIPLEXED_SESSIONS", "false")

import contextlib

from google.api_core.exceptions import GoogleAPICallError
from google.auth.credentials import AnonymousCredentials
from google.cloud import spanner
from history_records import micros

LOOK_SECONDS = 5.0
"""A look that takes longer (a database that is suspended) is given up, and another one begun."""

GATHER_SECONDS = 60.0
BOOK_SECONDS = 30.0

_SHARDS = (
    "SELECT ShardId, Version, Allocated, Available, Waiting FROM StockShards WHERE SaleId = @sale ORDER BY ShardId"
)
_LIVE = """
    SELECT ShardId, Status, COUNT(*), SUM(Units) FROM Orders
    WHERE SaleId = @sale AND Status IN ('PENDING', 'AUTHORIZED', 'PLACED', 'WAITLISTED') GROUP BY ShardId, Status
"""
_ORDERS_DATABASE = {
    "sale": "SELECT Stock, ShardCount, LimitPerCustomer, WaitlistLimit, UnitPriceMinor, Currency, OpensAt, ClosesAt, State"
    " FROM Sales WHERE SaleId = @sale",
    "shards": _SHARDS,
    "ledger": "SELECT ShardId, Version, Allocated, Available, Waiting, Cause, CommittedAt FROM StockLedger"
    " WHERE SaleId = @sale ORDER BY ShardId, Version",
    "orders": "SELECT CustomerId, OrderId, Status, Units, UnitPriceMinor, Currency, ShardId, Seq, PlacedAt, EventSeq"
    " FROM Orders WHERE SaleId = @sale",
    "events": "SELECT CustomerId, OrderId, EventSeq, Status, `Trigger`, CommittedAt FROM OrderEvents"
    " WHERE SaleId = @sale ORDER BY OrderId, EventSeq",
    "outbox": "SELECT OutboxShard, CreatedAt, OrderId, EventSeq, EventType FROM Outbox",
    "cursors": "SELECT OutboxShard, CreatedAt, OrderId, EventSeq FROM OutboxCursors",
}
_PAYMENTS_DATABASE = {
    "payments": "SELECT OrderId, AmountMinor, Currency, Wanted, State, GatewayReference FROM Payments WHERE SaleId = @sale",
}

Row = dict[str, Any]


class Evidence:
    """Reads one sale of one service. `environment` is the service's own: FAIRDROP_SPANNER_* and the rest."""

    def __init__(self, environment: Mapping[str, str], sale: str) -> None:
        options: dict[str, Any] = {}
        if os.environ.get("SPANNER_EMULATOR_HOST"):
            options["credentials"] = AnonymousCredentials()
        client = spanner.Client(project=environment["FAIRDROP_SPANNER_PROJECT"], **options)
        self._instance = client.instance(environment["FAIRDROP_SPANNER_INSTANCE"])
        self._orders = environment["FAIRDROP_SPANNER_DATABASE"]
        self._payments = environment.get("FAIRDROP_PAYMENTS_DATABASE")
        self._gateway = environment.get("FAIRDROP_GATEWAY_URL")
        self._sale = sale

    def look(self) -> Row:
        """The stock and the live orders at one moment. Raises GoogleAPICallError."""
        began_ns = time.monotonic_ns()
        queries = {"shards": _SHARDS, "orders": _LIVE, "stock": "SELECT Stock FROM Sales WHERE SaleId = @sale"}
        read, read_at = self._read(self._orders, queries, LOOK_SECONDS)
        plain = {name: [list(row.values()) for row in rows] for name, rows in read.items()}
        return {
            "began_ns": began_ns,
            "ended_ns": time.monotonic_ns(),
            "read_at": read_at,
            "stock": plain["stock"][0][0],
            "shards": plain["shards"],
            "orders": plain["orders"],
        }

    def gather(self, *, with_money: bool) -> Row:
        """Everything of the sale: first the orders, then the payments, and last the book, as each follows from the one before."""
        read, read_at = self._read(self._orders, _ORDERS_DATABASE, GATHER_SECONDS)
        mine = {order["OrderId"] for order in read["orders"]}
        whole: Row = {**read, "sale": read["sale"][0], "read_at": read_at, "payments": None, "book": None}
        whole["outbox"] = [row for row in read["outbox"] if row["OrderId"] in mine]
        if with_money and self._payments and self._gateway:
            whole |= self._read(self._payments, _PAYMENTS_DATABASE, GATHER_SECONDS)[0]
            with urllib.request.urlopen(f"{self._gateway}/book", timeout=BOOK_SECONDS) as answer:
                entries = [json.loads(line) for line in answer]
            whole["book"] = [entry for entry in entries if entry["order_id"] in mine]
        return whole

    def _read(self, database_id: str, queries: Mapping[str, str], seconds: float) -> tuple[dict[str, list[Row]], int]:
        """Rows by the query's name, at one timestamp."""
        database = self._instance.database(database_id, pool=spanner.BurstyPool())
        found: dict[str, list[Row]] = {}
        with database.snapshot(multi_use=True) as reads:
            for name, sql in queries.items():
                rows = reads.execute_sql(
                    sql,
                    params={"sale": self._sale} if "@sale" in sql else None,
                    param_types={"sale": spanner.param_types.STRING} if "@sale" in sql else None,
                    timeout=seconds,
                    retry=None,
                )
                values = list(rows)
                names = [column.name or str(place) for place, column in enumerate(rows.fields)]
                found[name] = [dict(zip(names, map(_plain, row), strict=True)) for row in values]
                if len(found) == 1:
                    read_at = micros(rows.metadata.transaction.read_timestamp)
        return found, read_at


def _plain(value: Any) -> Any:
    return micros(value) if isinstance(value, datetime) else value


def watch(evidence: Evidence, path: Path, stop: threading.Event, every_seconds: float) -> None:
    """Look again and again until told to stop; a look that fails is left out."""
    with path.open("w", buffering=1) as file:
        while not stop.is_set():
            with contextlib.suppress(GoogleAPICallError):
                file.write(json.dumps(evidence.look()) + "\n")
            stop.wait(every_seconds)
