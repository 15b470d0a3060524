"""Sales in a real database, counters to sell them at, crowds that come to them, and the books to check afterwards."""

import queue
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from app.domain.errors import FairdropError
from app.domain.sale import Sale
from app.domain.states import HOLDING, Status
from app.domain.stock import ShardState
from app.services.lane import Taken
from app.services.placement import Placement
from app.settings import Settings
from app.storage.database import FairdropDatabase, connect, snapshot
from app.storage.stock import read_shards

PATIENCE_SECONDS = 60.0
"""Ends a test that would hang; no test expects anything to happen within it."""


def open_counter(settings: Settings, writer: str = "test:1", **changes: Any) -> Placement:
    """A counter as a process of its own would have it: with its own connection, and its own name to choose a shard by."""
    own = settings.model_copy(update={"request_deadline_seconds": PATIENCE_SECONDS, **changes})
    counter = Placement(connect(own), own)
    counter._writer = writer
    return counter


def order(
    counter: Placement, sale: Sale, customer: str, units: int = 1, key: str = "key", method: str | None = None
) -> Taken:
    """Place an order and wait for its answer."""
    return counter.place(customer, sale.sale_id, units, key, method, datetime.now(UTC))


Attempt = Callable[[], Taken]


def crowd(attempts: Sequence[Attempt], in_flight: int) -> list[Taken | FairdropError]:
    """Make the attempts, so many at a time; the answers, in the order of the attempts."""

    def answer(attempt: Attempt) -> Taken | FairdropError:
        try:
            return attempt()
        except FairdropError as error:
            return error

    with ThreadPoolExecutor(in_flight) as buyers:
        return list(buyers.map(answer, attempts))


@dataclass
class Books:
    """All orders and shards of a sale at one database timestamp."""

    shards: list[ShardState]
    rows: list[dict[str, Any]]

    @property
    def statuses(self) -> dict[str, int]:
        """Orders by status."""
        return Counter(row["Status"] for row in self.rows)

    @property
    def available(self) -> int:
        """Units on offer."""
        return sum(shard.available for shard in self.shards)

    def units(self, *statuses: Status) -> int:
        """Units of the orders of these statuses."""
        return sum(row["Units"] for row in self.rows if row["Status"] in statuses)

    def line(self, status: Status) -> list[str]:
        """Customers of the orders of a status, in queue order."""
        found = sorted(
            (row["PlacedAt"], row["ShardId"], row["Seq"], row["CustomerId"])
            for row in self.rows
            if row["Status"] == status
        )
        return [customer for *_, customer in found]


_COLUMNS = ("CustomerId", "OrderId", "Status", "Units", "ShardId", "Seq", "PlacedAt", "WaitlistedAt", "DueAt")


def balanced_books(database: FairdropDatabase, sale_id: str) -> Books:
    """The books, after checking that they balance: nothing oversold, nothing kept from those who wait, nothing unrecorded."""
    listing = f"SELECT {', '.join(_COLUMNS)} FROM Orders WHERE SaleId = @sale"
    written = (
        "SELECT COUNT(*) FROM OrderEvents e JOIN Outbox o ON e.OrderId = o.OrderId AND e.EventSeq = o.EventSeq "
        "AND e.CommittedAt = o.CreatedAt WHERE e.SaleId = @sale"
    )
    asked: dict[str, Any] = {"params": {"sale": sale_id}}
    with snapshot(database) as reads:
        shards = read_shards(reads, sale_id)
        rows = [dict(zip(_COLUMNS, row, strict=True)) for row in reads.execute_sql(listing, **asked)]
        ((events,),) = reads.execute_sql(written, **asked)
        ((stock,),) = reads.execute_sql("SELECT Stock FROM Sales WHERE SaleId = @sale", **asked)
    assert sum(shard.allocated for shard in shards) == stock
    for shard in shards:
        assert 0 <= shard.available <= shard.allocated
        own = [row for row in rows if row["ShardId"] == shard.shard_id]
        assert shard.allocated - shard.available == sum(row["Units"] for row in own if row["Status"] in HOLDING)
        assert shard.waiting == sum(row["Status"] == Status.WAITLISTED for row in own)
    available = sum(shard.available for shard in shards)
    assert all(row["Units"] > available for row in rows if row["Status"] == Status.WAITLISTED)
    assert all((row["WaitlistedAt"] is not None) == (row["Status"] == Status.WAITLISTED) for row in rows)
    assert events >= len(rows)
    return Books(shards, rows)


@dataclass
class Wire:
    """The calls that go to the database, counted; a test may act before or after one (and raise in place of its answer)."""

    calls: Counter[str] = field(default_factory=Counter)
    before: dict[str, Callable[[], None]] = field(default_factory=dict)
    after: dict[str, Callable[[], None]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, name: str, call: Callable[[], Any]) -> Any:
        """Make one call, with what the test does around it."""
        with self.lock:
            self.calls[name] += 1
        self.before.get(name, _nothing)()
        answer = call()
        self.after.get(name, _nothing)()
        return answer


def _nothing() -> None:
    pass


class Once:
    """Does something the first time it is called, and nothing from then on."""

    def __init__(self, action: Callable[[], None]) -> None:
        self._actions: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._actions.put(action)

    def __call__(self) -> None:
        try:
            action = self._actions.get_nowait()
        except queue.Empty:
            return
        action()


class HeldCommit:
    """The first commit waits here until the test lets it go; meanwhile orders queue up behind it."""

    def __init__(self, wire: Wire) -> None:
        self.arrived = threading.Event()
        self._gone = threading.Event()
        wire.before["commit"] = Once(self._hold)

    def _hold(self) -> None:
        self.arrived.set()
        self._gone.wait(PATIENCE_SECONDS)

    def let_go(self) -> None:
        """Let it commit."""
        self._gone.set()
