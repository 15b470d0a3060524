"""Whether the process can take orders, and what the database says the time is."""

import time
from collections.abc import Callable

from app.domain.errors import StorageUnavailable
from app.services.concurrency import Concurrency
from app.storage.clock import DatabaseClock
from app.storage.database import FairdropDatabase, snapshot
from app.storage.orders import read_no_order
from app.storage.promotion import read_nobody_waiting
from app.storage.sales import sales_as_of

ASK_AGAIN_SECONDS = 1.0
"""While the database does not answer, the time is asked for at most so often: each try may take as long as a call may."""


def check_database(database: FairdropDatabase, clock: DatabaseClock) -> None:
    """Three short reads of the schema's tables, which also tell the clock the time.

    Raises StorageUnavailable when the database does not answer, or lacks them, a column that orders are written with or an index
    that the waitlist is served by: code that was deployed before its schema takes no traffic.
    """
    with snapshot(database) as reads:
        _, now = sales_as_of(reads, after="", page_size=1)
        read_no_order(reads)
        read_nobody_waiting(reads)
    clock.observe(now)


class DatabaseTime:
    """The database's time for requests, asked for once when nothing is known of it yet. Thread-safe."""

    def __init__(
        self,
        database: FairdropDatabase,
        clock: DatabaseClock,
        concurrency: Concurrency,
        wall_seconds: Callable[[], float] = time.time,
    ) -> None:
        """No call is made yet."""
        self._database = database
        self._clock = clock
        self._concurrency = concurrency
        self._wall_seconds = wall_seconds
        self._ask_at = 0.0

    def seconds(self) -> float:
        """Seconds of the epoch; by this server's own clock only as long as the database has never answered."""
        seconds = self._clock.estimate_seconds
        if seconds is None and time.monotonic() >= self._ask_at:
            self._concurrency.run(self._ask)
            seconds = self._clock.estimate_seconds
        return self._wall_seconds() if seconds is None else seconds

    def _ask(self) -> None:
        # A crowd may have queued up behind the first who asks.
        if self._clock.is_set or time.monotonic() < self._ask_at:
            return
        try:
            check_database(self._database, self._clock)
        except StorageUnavailable:
            self._ask_at = time.monotonic() + ASK_AGAIN_SECONDS
