"""What a process knows of the database's clock: the latest timestamp it was given, and how long ago that was."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

SPAN = timedelta(seconds=60)
"""For so long, and at most twice so long, the freshest arrival counts. A server's monotonic clock that runs fast by one part in ten
thousand is then 12 ms ahead at the most, and not a second further every three hours."""


class DatabaseClock:
    """Tells the database's time without asking it. This server's wall clock has no say; only elapsed time is taken from it."""

    def __init__(self, monotonic_seconds: Callable[[], float] = time.monotonic) -> None:
        """Know nothing yet."""
        self._monotonic_seconds = monotonic_seconds
        self._lock = threading.Lock()
        self._proven = _EPOCH
        self._offset: timedelta | None = None
        self._proven_seconds = 0.0
        self._offset_seconds: float | None = None
        # The freshest arrival of the span that is under way, and of the one before it.
        self._span_began = timedelta(0)
        self._span_offset: timedelta | None = None
        self._last_offset: timedelta | None = None

    def observe(self, timestamp: datetime) -> None:
        """Take note of a commit or strong read timestamp that has just arrived."""
        elapsed = timedelta(seconds=self._monotonic_seconds())
        with self._lock:
            self._proven = max(self._proven, timestamp)
            age = elapsed - self._span_began
            if age >= SPAN:
                self._last_offset = self._span_offset if age < 2 * SPAN else None
                self._span_began, self._span_offset = elapsed, None
            # A timestamp is old by the time it arrives: the freshest arrival gives the largest offset, the nearest to true.
            offset = (timestamp - _EPOCH) - elapsed
            self._span_offset = offset if self._span_offset is None else max(self._span_offset, offset)
            last = self._last_offset
            self._offset = self._span_offset if last is None else max(self._span_offset, last)
            self._proven_seconds, self._offset_seconds = self._proven.timestamp(), self._offset.total_seconds()

    @property
    def estimate_seconds(self) -> float | None:
        """The estimate in seconds of the epoch, for who asks with each request; None before the first observation."""
        offset = self._offset_seconds
        return None if offset is None else max(self._proven_seconds, offset + self._monotonic_seconds())

    @property
    def is_set(self) -> bool:
        """Whether a timestamp has been seen."""
        return self._offset is not None

    @property
    def proven(self) -> datetime:
        """The latest timestamp given out: whatever is committed from now on has a later one."""
        return self._proven

    @property
    def estimate(self) -> datetime:
        """The database's time now, as near as is known, and hardly ever late; never before `proven`.

        The epoch before the first observation. Between two calls it may step back by what this server's clock ran ahead.
        """
        offset, proven = self._offset, self._proven
        if offset is None:
            return _EPOCH
        return max(proven, _EPOCH + offset + timedelta(seconds=self._monotonic_seconds()))
