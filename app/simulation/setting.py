"""What is simulated, and what comes out."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from app.domain.planning.plan import ORDER_US

MAX_REQUESTS = 1_000_000
"""Above this a run takes minutes, and says nothing that a shorter one does not."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One run. Each request wants one unit; they come at random, `per_second` on average. Times in milliseconds.

    A commit of n orders takes `commit_ms + commit_order_ms * n`, spread by a log-normal of `spread`. `single_writer` is the
    emulator: one transaction at a time in the whole database. `take_over`: a lane whose shard is short looks at all of them.
    """

    requests: int
    per_second: float
    stock: int
    lanes: int
    shards: int
    waitlist: int = 0
    interval_ms: float = 50.0
    batch_limit: int = 256
    cpu_us: float = ORDER_US
    read_ms: float = 5.0
    commit_ms: float = 12.0
    commit_order_ms: float = 0.02
    spread: float = 0.3
    single_writer: bool = False
    take_over: bool = True
    deadline_ms: float = 10_000.0
    seed: int = 1

    def __post_init__(self) -> None:
        """Raise ValueError for what cannot be run."""
        if not (0 < self.requests <= MAX_REQUESTS and self.per_second > 0 and self.stock >= 0):
            raise ValueError(f"a run has 1 to {MAX_REQUESTS:,} requests, at a rate above 0, for a stock")
        if self.lanes < 1 or self.shards < 1 or self.batch_limit < 1:
            raise ValueError("a run has lanes, shards and room in a batch")

    def arrivals(self) -> list[float]:
        """When each request comes, in milliseconds: the same for every design with the same seed."""
        dice, now, found = random.Random(self.seed), 0.0, []  # noqa: S311  # a simulation's dice
        for _ in range(self.requests):
            now += dice.expovariate(self.per_second) * 1_000
            found.append(now)
        return found


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one request: when it came and had its outcome (ms), and whether it got a unit."""

    came: float
    answered: float
    sold: bool
    stock_left: bool = False
    """It got none although some shard had stock, at the moment of the decision."""


@dataclass(frozen=True, slots=True)
class Result:
    """The figures of a run. `overtaken`: refused before somebody was even there who then got a unit."""

    design: str
    sold: int
    oversold: int
    unsold: int
    refused_with_stock_left: int
    overtaken: int
    late: int
    sold_per_second: float
    p50_ms: float
    p99_ms: float
    commits: int
    conflicts: int


def result(design: str, setting: Setting, outcomes: Sequence[Outcome], commits: int, conflicts: int = 0) -> Result:
    """Count. `unsold` is against what the demand could have bought; `late` had no outcome within the deadline."""
    sold = [outcome for outcome in outcomes if outcome.sold]
    last_buyer = max((outcome.came for outcome in sold), default=0.0)
    times = sorted(outcome.answered - outcome.came for outcome in outcomes)
    span = max((outcome.answered for outcome in sold), default=0.0) / 1_000
    return Result(
        design=design,
        sold=len(sold),
        oversold=max(0, len(sold) - setting.stock),
        unsold=max(0, min(setting.stock, setting.requests) - len(sold)),
        refused_with_stock_left=sum(outcome.stock_left for outcome in outcomes if not outcome.sold),
        overtaken=sum(not outcome.sold and outcome.answered < last_buyer for outcome in outcomes),
        late=sum(time > setting.deadline_ms for time in times),
        sold_per_second=len(sold) / span if span else 0.0,
        p50_ms=times[len(times) // 2],
        p99_ms=times[min(len(times) - 1, len(times) * 99 // 100)],
        commits=commits,
        conflicts=conflicts,
    )
