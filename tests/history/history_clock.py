"""What the clients' monotonic clock and the database's have to do with each other: bounds, from strong reads that both timed.

The machine's clock, which the emulator's timestamps follow, is slewed against the monotonic one by whoever keeps it right, so
the difference is not the same all through a run. Each look bounds it at its own time, and the further
away another time is, the less that says of it.
"""

from bisect import bisect_left
from dataclasses import dataclass

from history_records import Look

SLACK_US = 2_000
"""Of what neither a look nor the slew explains."""

SLEW = 500e-6
"""The most by which Linux and NTP slew a clock (adjtimex(8), ntpd(8)): 500 µs a second."""

NEIGHBOURS = 24
"""Looks on either side that are asked about a time; the others are too far away to say more."""


@dataclass(frozen=True, slots=True)
class Bound:
    """At this monotonic time, in microseconds, the database's was ahead of it by `low` to `high`."""

    at: int
    low: int
    high: int


class Clocks:
    """The database's time at a monotonic one, as far as the looks tell."""

    def __init__(self, bounds: list[Bound]) -> None:
        """By at least one bound."""
        self._bounds = sorted(bounds, key=lambda bound: bound.at)
        self._times = [bound.at for bound in self._bounds]

    def earliest(self, monotonic_ns: int) -> int:
        """The database's time at a monotonic time, at the least."""
        at = monotonic_ns // 1000
        return at + max(bound.low - _slewed(bound, at) for bound in self._near(at)) - SLACK_US

    def latest(self, monotonic_ns: int) -> int:
        """The database's time at a monotonic time, at the most."""
        at = monotonic_ns // 1000
        return at + min(bound.high + _slewed(bound, at) for bound in self._near(at)) + SLACK_US

    @property
    def uncertainty_us(self) -> int:
        """The widest that the bounds are apart at any look's time."""
        return max(self.latest(at * 1000) - self.earliest(at * 1000) for at in self._times)

    def _near(self, at: int) -> list[Bound]:
        place = bisect_left(self._times, at)
        return self._bounds[max(0, place - NEIGHBOURS) : place + NEIGHBOURS]


def _slewed(bound: Bound, at: int) -> int:
    return int(abs(at - bound.at) * SLEW)


def clocks(looks: list[Look]) -> Clocks | None:
    """A strong read's timestamp lies between its beginning and its end: each look bounds the difference. None without looks."""
    if not looks:
        return None
    return Clocks(
        [
            Bound(look.ended_ns // 1000, look.read_at - look.ended_ns // 1000, look.read_at - look.began_ns // 1000)
            for look in looks
        ]
    )
