"""What a process knows of the database's clock: the latest timestamp it was given, and how long ago that was."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class DatabaseClock:
    """Tells the database's time without asking it. This server's wall clock has no say; only elapsed time is taken from it."""

    def __init__(self, monotonic_seconds: Callable[[], float] = time.monotonic) -> None:
        """Know nothing yet."""
        self._monotonic_seconds = monotonic_seconds
        self._lock = threading.Lock()
        self._proven = _EPOCH
        self._offset: timedelta | None = None

    def observe(self, timestamp: datetime) -> None:
        """Take note of a commit or strong read timestamp that has just arrived."""
        elapsed = timedelta(seconds=self._monotonic_seconds())
        with self._lock:
            self._proven = max(self._proven, timestamp)
            offset = (timestamp - _EPOCH) - elapsed
            # A timestamp is old by the time it arrives: the freshest arrival gives the largest offset, the nearest to true.
            self._offset = offset if self._offset is None else max(self._offset, offset)

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
        """The database's time now, as near as is known, and hardly ever late; the epoch before the first observation."""
        if self._offset is None:
            return _EPOCH
        return _EPOCH + self._offset + timedelta(seconds=self._monotonic_seconds())
