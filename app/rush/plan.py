"""What each buyer of a rush does, and when they come. Pure: the same seed and index give the same buyer in every process."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, fields
from hashlib import blake2b
from struct import Struct
from typing import Literal, NamedTuple

Kind = Literal["plain", "double", "retry", "dropped", "false_time"]

DROP_WITHIN_MS = 20
"""A dropped buyer hangs up this long after sending at the latest: some before the order is committed, some after."""

_DRAWS = Struct("<4I16s")
_DRAW_RANGE = 2**32


@dataclass(frozen=True, slots=True)
class Shares:
    """The share of buyers (0..1) with each habit. A buyer has at most one of the first four; `several` is apart from them.

    Raises ValueError for a share outside 0..1 and when the first four add up to more than 1.
    """

    double: float = 0.0
    retry: float = 0.0
    dropped: float = 0.0
    false_time: float = 0.0
    several: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            if not 0 <= getattr(self, field.name) <= 1:
                raise ValueError(f"the share {field.name} must be between 0 and 1")
        if self.double + self.retry + self.dropped + self.false_time > 1 + 1e-9:
            raise ValueError("the shares of double, retry, dropped and false_time add up to more than 1")


class BuyerPlan(NamedTuple):
    """What one buyer does: asks for `units` under `key`; `drop_after_ms` matters for the kind `dropped` only."""

    kind: Kind
    units: int
    key: str
    drop_after_ms: float


def plan_buyer(seed: int, index: int, shares: Shares, limit: int) -> BuyerPlan:
    """The plan of buyer `index`. `limit` is the most units that a buyer who wants several asks for."""
    digest = blake2b(b"%d:%d" % (seed, index), digest_size=_DRAWS.size).digest()
    habit, several, how_many, drop, key = _DRAWS.unpack(digest)
    units = 1
    if limit > 1 and several < shares.several * _DRAW_RANGE:
        units = 2 + how_many % (limit - 1)
    return BuyerPlan(_kind(habit / _DRAW_RANGE, shares), units, key.hex(), DROP_WITHIN_MS * drop / _DRAW_RANGE)


def _kind(draw: float, shares: Shares) -> Kind:
    if draw < shares.double:
        return "double"
    draw -= shares.double
    if draw < shares.retry:
        return "retry"
    draw -= shares.retry
    if draw < shares.dropped:
        return "dropped"
    return "false_time" if draw - shares.dropped < shares.false_time else "plain"


def buyers_of(process: int, processes: int, buyers: int) -> range:
    """The indexes of the buyers that one process plays: interleaved, so that all processes walk through the crowd together."""
    return range(process, buyers, processes)


def poisson_arrivals_ns(seed: int, process: int, rate_per_second: float) -> Iterator[int]:
    """Endless arrival times, in nanoseconds since the start, of a Poisson stream; independent for each process.

    Streams of independent Poisson arrivals add up to one, so each process takes its part of the whole rate.
    """
    draw = random.Random(f"arrivals:{seed}:{process}")  # noqa: S311 - a repeatable schedule, not a secret
    mean_ns = 1e9 / rate_per_second
    at_ns = 0.0
    while True:
        at_ns += draw.expovariate(1.0) * mean_ns
        yield int(at_ns)
