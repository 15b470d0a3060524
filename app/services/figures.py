"""What one process counts of its orders: plain numbers that cost nothing to keep, and are added up when somebody asks.

A count only ever grows. Requests run in one thread and add to theirs without a lock; lanes have a thread each, and one lock.
"""

import threading
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

LATENCY_BOUNDS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the buckets; the last bucket is for whatever took longer."""

BATCH_BOUNDS_ORDERS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 500)
"""As above. 500 is the most that FAIRDROP_BATCH_LIMIT allows."""


@dataclass
class Distribution:
    """Counts by bucket, not added up, and the sum of all values."""

    bounds: tuple[float, ...]
    counts: list[int] = field(default_factory=list)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = self.counts or [0] * (len(self.bounds) + 1)

    def add(self, value: float, times: int = 1) -> None:
        """One value, so many times."""
        self.counts[bisect_left(self.bounds, value)] += times
        self.total += value * times

    def add_all(self, counts: Iterable[int], total: float) -> None:
        """Another distribution's counts, of the same bounds."""
        self.counts = [mine + more for mine, more in zip(self.counts, counts, strict=True)]
        self.total += total

    def quantile(self, share: float) -> float | None:
        """The value below which this share lies, spread evenly within its bucket; None of nothing."""
        wanted = share * sum(self.counts)
        if not wanted:
            return None
        low, below = 0.0, 0
        for bound, count in zip(self.bounds, self.counts, strict=False):
            if count and below + count >= wanted:
                return low + (bound - low) * (wanted - below) / count
            low, below = bound, below + count
        return low


@dataclass
class Figures:
    """One process's counts, or the sum of several processes'. `outcomes` counts requests for orders by their answer."""

    outcomes: dict[str, int] = field(default_factory=dict)
    refused_from_memory: int = 0
    refused_unread: int = 0
    latency: Distribution = field(default_factory=lambda: Distribution(LATENCY_BOUNDS_SECONDS))
    batches: Distribution = field(default_factory=lambda: Distribution(BATCH_BOUNDS_ORDERS))
    waiting_in_lanes: int = 0
    _batch_lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def answered(self, outcome: str, seconds: float, requests: int = 1) -> None:
        """A request for an order got its answer, or so many got the same in the same time."""
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + requests
        self.latency.add(seconds, requests)

    def committed(self, orders: int) -> None:
        """A lane has committed a batch; from any thread."""
        with self._batch_lock:
            self.batches.add(orders)

    def as_json(self) -> dict[str, object]:
        """What `add` takes of another process."""
        return {
            "outcomes": dict(self.outcomes),
            "refused_from_memory": self.refused_from_memory,
            "refused_unread": self.refused_unread,
            "latency": [*self.latency.counts, self.latency.total],
            "batches": [*self.batches.counts, self.batches.total],
            "waiting_in_lanes": self.waiting_in_lanes,
        }

    def add(self, other: Mapping[str, object], is_alive: bool) -> None:
        """Add a process's figures, as `as_json` gives them; what has ended has counted, but waits for nothing any more.

        Raises KeyError, TypeError or ValueError for what are no figures.
        """
        outcomes, latency, batches = other["outcomes"], other["latency"], other["batches"]
        if not (isinstance(outcomes, dict) and isinstance(latency, list) and isinstance(batches, list)):
            raise TypeError("these are no figures")
        for name, count in outcomes.items():
            self.outcomes[name] = self.outcomes.get(name, 0) + int(count)
        self.refused_from_memory += _number(other["refused_from_memory"])
        self.refused_unread += _number(other["refused_unread"])
        self.latency.add_all(latency[:-1], latency[-1])
        self.batches.add_all(batches[:-1], batches[-1])
        if is_alive:
            self.waiting_in_lanes += _number(other["waiting_in_lanes"])


def _number(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError("this is no number")
    return value
