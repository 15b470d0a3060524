"""How long the oldest event has waited for the broker, as somebody sees it who is not the relay.

A relay can only tell of what it has published: it says nothing while the broker is away, and nothing at all once it is dead. What
waits stands in the database, so any worker can look.
"""

import logging
import threading
import time

from app.domain.errors import FairdropError
from app.storage.backlog import Backlog, read_backlog
from app.storage.console import a_second_ago
from app.storage.database import FairdropDatabase

_log = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 5.0
"""Two reads; a figure is scraped once or twice a minute."""

BLIND_SECONDS = 3 * LOOK_EVERY_SECONDS
"""Without a look for so long, what waited then is taken to wait still."""


class OutboxAge:
    """One database's outbox, looked at by a thread of its own once it is started. Thread-safe."""

    def __init__(self, database: FairdropDatabase) -> None:
        """No call is made yet."""
        self._database = database
        self._seen: tuple[Backlog, float] | None = None

    def start(self, stop: threading.Event) -> None:
        """Look now and then, until told to stop."""
        threading.Thread(target=self._follow, args=(stop,), name="outbox age", daemon=True).start()

    def look(self) -> None:
        """Look once. Raises StorageUnavailable; then what was seen before stands."""
        with a_second_ago(self._database) as reads:
            self._seen = (read_backlog(reads), time.monotonic())

    def seconds(self) -> float | None:
        """The age of the oldest event that no relay has published; 0 when none waits, None before the first look.

        As of the last look. While the database does not answer it grows by this machine's clock: nothing is published then either.
        """
        seen = self._seen
        if seen is None:
            return None
        backlog, at = seen
        blind_seconds = time.monotonic() - at
        is_blind = backlog.oldest_at is not None and blind_seconds > BLIND_SECONDS
        return backlog.oldest_seconds + (blind_seconds if is_blind else 0.0)

    def _follow(self, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                self.look()
            except FairdropError as error:
                _log.warning("the outbox cannot be looked at: %s", error)
            except Exception:
                _log.exception("a look at the outbox failed")
            stop.wait(LOOK_EVERY_SECONDS)
