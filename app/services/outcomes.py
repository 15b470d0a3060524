"""Waiting for an order's outcome: while anybody waits, one thread of the process follows the log of all changes for them all.

A query per client and second would be thousands; this is one read per TICK_SECONDS, however many wait, and one more when
something has changed for somebody. Requests register first and are then looked up, all new ones in one read, so that whatever
changes after their look is in the log after the cursor: nothing is missed.
"""

import logging
import threading
import time
from datetime import datetime

from app.domain.errors import FairdropError, OrderNotFound, StorageUnavailable
from app.domain.ids import is_order_id
from app.domain.orders import Order
from app.services.concurrency import Concurrency
from app.services.waiting import Board, Watch
from app.storage.database import RETRY_AFTER_SECONDS, FairdropDatabase
from app.storage.outcomes import changes_since, orders_by_key

_log = logging.getLogger(__name__)

TICK_SECONDS = 0.25
"""From one read of the log to the next: a quarter of the second in which a change is told."""

CHANGES_PER_READ = 10_000
"""More than a rush brings in a tick; they cost 25 ms. Past it (this process was held up, say) one look at the orders of all who
wait is the shorter way, and bounded."""

FRESH_SECONDS = 3.0
"""Who has waited in vain is told the order as last seen, unless the log was last read longer ago than this."""

PAUSE_SECONDS = 0.1
MAX_PAUSE_SECONDS = 1.0
DOUBLINGS = 10
"""After a failure, doubled from the first up to the second: a database that comes back is noticed within a second."""

MAX_SALE_ID_LENGTH = 64


class Outcomes:
    """One process's waiting room. Thread-safe; requests wait as its `Concurrency` has them wait."""

    def __init__(self, database: FairdropDatabase, concurrency: Concurrency, first_look_seconds: float) -> None:
        """Nobody waits, nothing is read. `first_look_seconds` is how long a request waits for the order as it stands."""
        self.log_reads = 0
        self.order_reads = 0
        self._database = database
        self._first_look_seconds = first_look_seconds
        self._board = Board(concurrency)
        self._is_running = False
        self._kick = threading.Event()
        self._cursor: datetime | None = None
        self._epoch = database.epoch
        self._followed_at = 0.0
        self._next_tick = 0.0
        self._failures = 0

    def watch(self, customer_id: str, sale_id: str, order_id: str) -> Watch:
        """A place for a request, which must be closed. Raises OrderNotFound for what can be no order, or TooManyWaiting."""
        # One bad key would fail the read of all who wait.
        if not (is_order_id(order_id) and len(sale_id) <= MAX_SALE_ID_LENGTH and sale_id.isprintable()):
            raise OrderNotFound(order_id=order_id)
        with self._board.lock:
            if not self._is_running:
                # In this order: a thread that cannot be started leaves nobody at the board, and is tried again by the next request.
                threading.Thread(target=self._follow, name="outcomes", daemon=True).start()
                self._is_running = True
            watch = self._board.register((customer_id, sale_id, order_id))
        self._kick.set()
        return watch

    def first(self, watch: Watch) -> Order:
        """The order as it stands. Raises OrderNotFound, WaitSuperseded or StorageUnavailable."""
        return watch.first(self._first_look_seconds)

    def wait_for_change(
        self, customer_id: str, sale_id: str, order_id: str, after: int | None, wait_seconds: float
    ) -> Order:
        """The order as soon as its `event_seq` is not `after` (None: not what it is now), else as it stands when the time is up.

        An order whose status is final is answered at once. Raises OrderNotFound, TooManyWaiting, WaitSuperseded, or
        StorageUnavailable when the order as it stands is not known.
        """
        deadline = time.monotonic() + wait_seconds
        with self.watch(customer_id, sale_id, order_id) as watch:
            order = self.first(watch)
            known = order.event_seq if after is None else after
            if order.event_seq != known or order.is_final:
                return order
            changed = watch.next(known, deadline - time.monotonic())
            if changed is None and not self.is_following:
                raise StorageUnavailable("the database does not answer", RETRY_AFTER_SECONDS)
            return changed or order

    @property
    def is_following(self) -> bool:
        """Whether the log was read just now, so that what was seen last is how things stand."""
        return time.monotonic() - self._followed_at <= FRESH_SECONDS

    def close(self) -> None:
        """The process is about to end: all that wait are answered now, as their orders stand."""
        self._board.close()

    def _follow(self) -> None:
        """The thread: look after look, as long as anybody waits."""
        while self._is_wanted():
            try:
                self._step()
            except FairdropError as error:
                self._fail(error)
            except Exception as error:
                _log.exception("following the orders' changes failed")
                self._fail(error)

    def _is_wanted(self) -> bool:
        with self._board.lock:
            if self._board.is_empty:
                # Registering and starting the thread are one step under this lock: whoever comes now starts another.
                self._is_running, self._cursor = False, None
                return False
            return True

    def _step(self) -> None:
        """Read the log if it is time, then look at the orders that are new or have changed. At all of them without a cursor."""
        if not self._board.wants_a_look:
            self._kick.wait(max(0.0, self._next_tick - time.monotonic()))
        self._kick.clear()
        started, epoch = time.monotonic(), self._database.epoch
        if epoch != self._epoch:
            # What the cursor counts in may be gone, and what is there now may be another database's.
            self._epoch, self._cursor = epoch, None
        changes: list[tuple[str, int]] = []
        if self._cursor is not None and started >= self._next_tick:
            changes = self._read_log(self._cursor)
            self._followed_at, self._next_tick = started, started + TICK_SECONDS
        self._look(changes, at_all=self._cursor is None, started=started)
        if self._failures:
            self._failures = 0
            _log.info("the orders' changes are followed again")

    def _read_log(self, cursor: datetime) -> list[tuple[str, int]]:
        shards = self._board.outbox_shards()
        if not shards:
            return []
        changes, as_of = changes_since(self._database, shards, cursor, CHANGES_PER_READ)
        self.log_reads += 1
        self._cursor = as_of if len(changes) < CHANGES_PER_READ else None
        return changes

    def _look(self, changes: list[tuple[str, int]], at_all: bool, started: float) -> None:
        look, topics = self._board.begin_look(changes, at_all)
        if not topics:
            return
        orders, as_of = orders_by_key(self._database, [topic.key for topic in topics])
        self.order_reads += 1
        if at_all:
            self._cursor, self._followed_at, self._next_tick = as_of, started, started + TICK_SECONDS
        self._board.end_look(look, topics, orders)

    def _fail(self, error: Exception) -> None:
        """Wait a little, and then look at everything again: what this look was to see is not lost with it."""
        if not self._failures:
            _log.warning("the orders' changes cannot be followed: %s", error)
        self._cursor = None
        # The failures of a long outage are many: as an exponent they would be more than a float can hold.
        time.sleep(min(PAUSE_SECONDS * 2 ** min(self._failures, DOUBLINGS), MAX_PAUSE_SECONDS))
        self._failures += 1
