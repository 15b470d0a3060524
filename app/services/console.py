"""A sale as the seller watches it: while anybody watches, one thread of the process looks once a second for all who do.

The orders are counted from the log of all events, on from where the last look ended, so a look costs what has happened since and
not what there is. Whoever watches is told; who watches a sale that nobody has watched here before waits until the log is read.
"""

import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import orjson

from app.domain.draw import Draw
from app.domain.errors import FairdropError, TooManyWaiting
from app.domain.ids import outbox_shard
from app.domain.sale import Phase, Sale
from app.domain.states import Status
from app.domain.stock import ShardState
from app.domain.tally import Counts, SaleEvent, Tally
from app.services.concurrency import Concurrency, Waiter
from app.services.figures import LATENCY_BOUNDS_SECONDS, Distribution, Figures
from app.services.shared_figures import SharedFigures
from app.storage.backlog import read_backlog
from app.storage.console import a_second_ago, overdue
from app.storage.database import FairdropDatabase
from app.storage.draw import find_draw
from app.storage.outbox import Cursor, OutboxRow, read_outbox
from app.storage.sales import sale_as_of
from app.storage.stock import read_shards

_log = logging.getLogger(__name__)

TICK_SECONDS = 1.0

MAX_BUSY_SHARE = 0.25
"""Of a core, and of the database: a look that took long is followed by a longer pause."""

EVENTS_PER_LOOK = 4_000
"""Some 40 ms of one core. More than a second of a rush brings; a sale with a past is caught up with over several looks."""

SLOW_TICKS = 5
"""What changes slowly, or matters only when it has been so for a while, is looked at every so many ticks."""

MAX_WATCHERS = 50
MAX_SALES = 8
"""In one process. Who comes when it is full is told to come again; a sale that nobody watches makes room."""

POINTS_KEPT = 180
BUSY_RETRY_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Traffic:
    """What this server answered in one second, of all sales: requests taken and refused, and how long they took."""

    at: int
    taken: float
    refused: float
    p50_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True, eq=False)
class SaleSight:
    """A sale at one moment a second ago. `is_counted` says whether the log has been read up to then."""

    sale: Sale
    phase: Phase
    as_of: datetime
    shards: Sequence[ShardState]
    counts: Counts
    is_counted: bool
    unpublished: int
    oldest_unpublished_at: datetime | None
    overdue: int
    lane_depth: int
    traffic: Sequence[Traffic]
    draw: Draw | None


@dataclass
class _Watched:
    """What is known of one sale, and who watches it."""

    tally: Tally = field(default_factory=Tally)
    cursors: dict[int, Cursor] = field(default_factory=dict)
    overdue: int = 0
    sight: SaleSight | None = None
    number: int = 0
    watchers: set["Watcher"] = field(default_factory=set)


class Watcher:
    """Somebody who watches a sale. Leave with `close`."""

    def __init__(self, feed: "ConsoleFeed", sale_id: str) -> None:
        """Only the feed makes these."""
        self._feed = feed
        self.sale_id = sale_id
        self.seen = 0
        self.waiter: Waiter | None = None

    def next(self, seconds: float) -> SaleSight | None:
        """The next sight; None when none came in so many seconds, or the process is about to end."""
        return self._feed.next(self, seconds)

    @property
    def is_over(self) -> bool:
        """Whether the process is about to end."""
        return self._feed.is_closed

    def close(self) -> None:
        """Watch no longer; more than once does no harm."""
        self._feed.leave(self)


class ConsoleFeed:
    """One process's watched sales. Thread-safe."""

    def __init__(self, database: FairdropDatabase, concurrency: Concurrency, shared: SharedFigures) -> None:
        """Nobody watches, nothing is read."""
        self.looks = 0
        self._database = database
        self._concurrency = concurrency
        self._shared = shared
        self._lock = threading.Lock()
        self._sales: OrderedDict[str, _Watched] = OrderedDict()
        self._watchers = 0
        self._is_running = False
        self.is_closed = False
        self._epoch = database.epoch
        self._unpublished: tuple[int, datetime | None] = (0, None)
        self._traffic: deque[Traffic] = deque(maxlen=POINTS_KEPT)
        self._figures: tuple[float, Figures] | None = None

    def watch(self, sale_id: str) -> Watcher:
        """A place for somebody. Raises TooManyWaiting."""
        with self._lock:
            if self._watchers >= MAX_WATCHERS or not self._make_room(sale_id):
                raise TooManyWaiting(retry_after_seconds=BUSY_RETRY_SECONDS)
            watcher = Watcher(self, sale_id)
            self._sales.setdefault(sale_id, _Watched()).watchers.add(watcher)
            self._watchers += 1
            if not self._is_running:
                threading.Thread(target=self._follow, name="console", daemon=True).start()
                self._is_running = True
            return watcher

    def _make_room(self, sale_id: str) -> bool:
        if sale_id in self._sales or len(self._sales) < MAX_SALES:
            return True
        unwatched = next((name for name, watched in self._sales.items() if not watched.watchers), None)
        if unwatched is not None:
            del self._sales[unwatched]
        return unwatched is not None

    def next(self, watcher: Watcher, seconds: float) -> SaleSight | None:
        """As `Watcher.next`."""
        deadline = time.monotonic() + seconds
        while not self.is_closed:
            with self._lock:
                watched = self._sales.get(watcher.sale_id)
                if watched is not None and watched.sight is not None and watched.number != watcher.seen:
                    watcher.seen = watched.number
                    return watched.sight
                left = deadline - time.monotonic()
                if left <= 0:
                    return None
                waiter = watcher.waiter = self._concurrency.waiter()
            waiter.wait(left)
        return None

    def leave(self, watcher: Watcher) -> None:
        """As `Watcher.close`."""
        with self._lock:
            watched = self._sales.get(watcher.sale_id)
            if watched is not None and watcher in watched.watchers:
                watched.watchers.remove(watcher)
                self._watchers -= 1

    def close(self) -> None:
        """The process is about to end: nobody waits any longer."""
        with self._lock:
            self.is_closed = True
        self._wake([watcher for watched in self._sales.values() for watcher in watched.watchers])

    def _wake(self, watchers: Sequence[Watcher]) -> None:
        waiters = []
        for watcher in watchers:
            waiter, watcher.waiter = watcher.waiter, None
            if waiter is not None:
                waiters.append(waiter)
        self._concurrency.wake(waiters)

    def _follow(self) -> None:
        """The thread: look after look, as long as anybody watches."""
        tick = 0
        while True:
            with self._lock:
                wanted = {name: watched for name, watched in self._sales.items() if watched.watchers}
                if not wanted or self.is_closed:
                    self._is_running, self._figures = False, None
                    return
            started = time.monotonic()
            try:
                self._look(wanted, is_slow=tick % SLOW_TICKS == 0)
                tick += 1
            except FairdropError as error:
                _log.warning("the console cannot look: %s", error)
            except Exception:
                _log.exception("the console's look failed")
            took = time.monotonic() - started
            time.sleep(max(TICK_SECONDS - took, took * (1 / MAX_BUSY_SHARE - 1)))

    def _look(self, wanted: Mapping[str, _Watched], is_slow: bool) -> None:
        self.looks += 1
        if self._database.epoch != self._epoch:
            # What was counted may be another database's.
            self._epoch = self._database.epoch
            for watched in wanted.values():
                watched.tally, watched.cursors = Tally(), {}
        depth = self._measure_traffic()
        if is_slow:
            with a_second_ago(self._database) as reads:
                backlog = read_backlog(reads)
            self._unpublished = (backlog.events, backlog.oldest_at)
        for sale_id, watched in wanted.items():
            sight = self._look_at(sale_id, watched, is_slow, depth)
            if sight is None:
                continue
            with self._lock:
                watched.sight, watched.number = sight, watched.number + 1
                self._wake(list(watched.watchers))

    def _look_at(self, sale_id: str, watched: _Watched, is_slow: bool, depth: int) -> SaleSight | None:
        with a_second_ago(self._database) as reads:
            sale, as_of = sale_as_of(reads, sale_id)
            if sale is None:
                # Made just now, perhaps.
                return None
            shards = read_shards(reads, sale_id)
            draw = find_draw(reads, sale_id) if sale.is_lottery else None
            if is_slow:
                watched.overdue = overdue(reads, sale_id, [shard.shard_id for shard in shards], as_of)
            if not watched.cursors:
                names = {outbox_shard(sale_id, shard.shard_id) for shard in shards}
                watched.cursors = {name: Cursor(name, None, None, None, 0) for name in sorted(names)}
            rows, _ = read_outbox(reads, watched.cursors.values(), EVENTS_PER_LOOK)
        for row in rows:
            watched.cursors[row.shard] = watched.cursors[row.shard].after(row, 1)
            event = _event(sale_id, row)
            if event is not None:
                watched.tally.count(event)
        is_counted = len(rows) < EVENTS_PER_LOOK
        lag, oldest = self._unpublished
        return SaleSight(
            sale,
            sale.phase(as_of),
            as_of,
            shards,
            watched.tally.counts(),
            is_counted,
            lag,
            oldest,
            watched.overdue,
            depth,
            tuple(self._traffic),
            draw,
        )

    def _measure_traffic(self) -> int:
        """Note what this server has answered since the last tick; returns the orders that wait in its lanes."""
        now, total = time.monotonic(), self._shared.everybody()
        if self._figures is not None:
            before_at, before = self._figures
            seconds = max(now - before_at, 0.001)
            grown = {name: count - before.outcomes.get(name, 0) for name, count in total.outcomes.items()}
            latency = Distribution(
                LATENCY_BOUNDS_SECONDS,
                [max(0, a - b) for a, b in zip(total.latency.counts, before.latency.counts, strict=True)],
            )
            taken = sum(count for name, count in grown.items() if name in _TAKEN)
            p50, p99 = latency.quantile(0.5), latency.quantile(0.99)
            self._traffic.append(
                Traffic(
                    at=int(datetime.now(UTC).timestamp()),
                    taken=max(0.0, taken / seconds),
                    refused=max(0.0, (sum(grown.values()) - taken) / seconds),
                    p50_ms=None if p50 is None else p50 * 1_000,
                    p99_ms=None if p99 is None else p99 * 1_000,
                )
            )
        self._figures = (now, total)
        return total.waiting_in_lanes


_TAKEN = frozenset({*Status, "replayed"})
"""Answers that have an order in them; all others are refusals."""


def _event(sale_id: str, row: OutboxRow) -> SaleEvent | None:
    """The event of a row, or None when it is another sale's: they share the shards of the log."""
    told = orjson.loads(row.payload)
    if told["sale_id"] != sale_id:
        return None
    return SaleEvent(row.shard, row.created_at, row.order_id, row.event_seq, row.event_type, Status(told["status"]))
