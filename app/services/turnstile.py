"""How many orders a process may have under way at once, so that each of them is answered within the deadline.

Whoever is let in waits behind all who came before. So the wait is known from the length of the line and from how long those took
who have just been answered, and who would wait too long is refused while that still costs next to nothing.
"""

import threading

WAIT_SHARE = 0.25
"""Of the deadline: as long as an order may wait for its answer before fewer are let in. The rest is for a database that slows
down while the line is full, since whoever is in it is not sent away again."""

LEAST_UNDER_WAY = 32
"""Let in however slow the answers are: else nobody would find out that they have become quick again."""

GROWTH = 0.1
"""Places more for each order answered in time: a tenth of the line more for each whole line answered."""


class Turnstile:
    """One process's count of the orders under way, and its bound. Thread-safe."""

    def __init__(self, most: int, deadline_seconds: float) -> None:
        """Nobody is under way; `most` is let in until answers take longer than their share of the deadline."""
        self.is_shut = False
        self._target_seconds = WAIT_SHARE * deadline_seconds
        self._most = most
        self._least = min(LEAST_UNDER_WAY, most)
        self._bound = float(most)
        self._under_way = 0
        self._lock = threading.Lock()

    @property
    def bound(self) -> int:
        """How many may be under way, by the answers so far."""
        return int(self._bound)

    @property
    def under_way(self) -> int:
        """How many are."""
        return self._under_way

    def enter(self) -> int:
        """An order is under way; returns how many are now, it included, for `leave`. Refuses nobody: ask `is_shut` first."""
        with self._lock:
            self._under_way += 1
            self.is_shut = self._under_way >= self._bound
            return self._under_way

    def leave(self, line: int, seconds: float) -> None:
        """An order has its answer, `seconds` after it entered as the last of a line so long."""
        with self._lock:
            self._under_way -= 1
            if seconds <= self._target_seconds:
                self._bound = min(float(self._most), self._bound + GROWTH)
            else:
                # So many were answered in that time: as many as are in time are let in from now on.
                in_time = line * self._target_seconds / seconds
                self._bound = max(float(self._least), min(self._bound, in_time))
            self.is_shut = self._under_way >= self._bound
