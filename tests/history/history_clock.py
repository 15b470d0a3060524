"""What the clients' monotonic clock and the database's have to do with each other: bounds, from strong reads that both timed."""

from dataclasses import dataclass

from history_records import Look

SLACK_US = 10_000
"""The machine's clock, which the emulator's timestamps follow, may be slewed against the monotonic one during a run."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """Database microseconds less monotonic ones: surely between `low` and `high`."""

    low: int
    high: int

    def earliest(self, monotonic_ns: int) -> int:
        """The database's time at a monotonic time, at the least."""
        return monotonic_ns // 1000 + self.low

    def latest(self, monotonic_ns: int) -> int:
        """The database's time at a monotonic time, at the most."""
        return monotonic_ns // 1000 + self.high


def clocks(looks: list[Look]) -> Clocks | None:
    """A strong read's timestamp lies between its beginning and its end: each look bounds the difference. None without looks."""
    if not looks:
        return None
    low = max(look.read_at - look.ended_ns // 1000 for look in looks)
    high = min(look.read_at - look.began_ns // 1000 for look in looks)
    return Clocks(min(low, high) - SLACK_US, max(low, high) + SLACK_US)
