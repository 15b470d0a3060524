"""What a fairness report says, as values; how it is found is in app.services.fairness."""

from array import array
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from app.domain.audit.findings import Finding
from app.domain.fairness import Displacement, LineFigures
from app.domain.fairness_statistics import Evenness, RankComparison, nearest_rank
from app.domain.timestamps import rfc3339

UNLIKELY = 0.001
"""A p-value below this is marked. A report has some five of them, so chance alone marks one report in two hundred."""

Points = list[tuple[float, float]]
"""Of a plot."""


@dataclass(frozen=True, slots=True)
class Spread:
    """How some waits are spread: exact percentiles by nearest rank, in milliseconds."""

    count: int
    min_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float


def spread_of(ordered_ms: Iterable[float]) -> Spread | None:
    """The spread of waits that come in order; None of none."""
    waits = array("d", ordered_ms)
    if not waits:
        return None
    p50, p95, p99 = (nearest_rank(waits, percent) for percent in (50, 95, 99))
    return Spread(len(waits), waits[0], p50, p95, p99, waits[-1])


@dataclass(frozen=True, slots=True)
class RushFairness:
    """What a rush's answers add. `real_time` is the finding that decides; the rest is to be looked at.

    `refusals` are by the rush's processes. `lies` compares the places, `lies_taken` the shares who have one, of buyers who lied
    about the time (first) and plain ones.
    """

    real_time: Finding
    answer_waits: dict[str, Spread]
    refusals: Evenness | None
    lies: RankComparison
    lies_taken: Evenness


@dataclass(frozen=True, slots=True)
class DrawFairness:
    """Of a lottery: whether the draw took its winners alike from all parts of the line of entries, and from all shards."""

    by_arrival: Evenness
    by_shard: Evenness


@dataclass(frozen=True, slots=True)
class Plots:
    """What is drawn: places by arrival, waits for a unit by place, and shares of buyers answered or in line by then."""

    line: Points = field(default_factory=list)
    unit_waits: Points = field(default_factory=list)
    answers: dict[str, Points] = field(default_factory=dict)
    lies: dict[str, Points] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FairnessReport:
    """How fair one sale was, as of one timestamp. `seconds`: how long the report took.

    `commit_ms` is the difference of two clocks. `draw` is of a drawn lottery only.
    `waitlistings` are by `shard_id` and by `writer`, at the tail.
    """

    sale_id: str
    sale_name: str
    as_of: datetime
    seconds: float
    orders: int
    waited: int
    still_waiting: int
    line: LineFigures
    commit_ms: Spread | None
    unit_waits: Spread | None
    waitlistings: dict[str, Evenness]
    rush: RushFairness | None
    plots: Plots
    draw: DrawFairness | None = None

    @property
    def is_unfair(self) -> bool:
        """Whether somebody stands before an order that had been confirmed before theirs was sent."""
        return self.rush is not None and not self.rush.real_time.is_clean

    @property
    def is_compared(self) -> bool:
        """Whether the line was held against the real time of a rush."""
        return self.rush is not None and self.rush.real_time.not_compared is None

    @property
    def verdict(self) -> str:
        """One line."""
        if self.draw is not None and not self.is_unfair:
            return (
                "DRAWN BY LOT: no place follows from the time of arrival; fairdrop verify-draw checks the draw itself"
            )
        if self.rush is None:
            return "NOT COMPARED with real time: no answers file was given"
        finding = self.rush.real_time
        if finding.not_compared is not None:
            return f"NOT COMPARED with real time: {finding.not_compared}"
        if not finding.is_clean:
            return f"UNFAIR: orders that stand before one confirmed before they were sent: {finding.violation_count:,}"
        confirmed = finding.figures["confirmed_orders"]
        return f"FAIR: of {confirmed:,} confirmed orders, none has one before it that was sent after its confirmation"

    def as_json(self) -> dict[str, Any]:
        """The report as plain values, without what is only drawn."""
        return {
            "sale_id": self.sale_id,
            "as_of": rfc3339(self.as_of),
            "seconds": round(self.seconds, 3),
            "fair": not self.is_unfair if self.is_compared else None,
            "verdict": self.verdict,
            "orders": self.orders,
            "line": {
                "whole": _part(self.line.whole),
                "inverted_pairs_within_processes": self.line.inverted_within_writers,
                "by_shard": {str(name): _part(part) for name, part in sorted(self.line.by_shard.items())},
                "by_process": {name or "unknown": _part(part) for name, part in self.line.by_writer.items()},
            },
            "arrival_to_commit_ms": _plain(self.commit_ms),
            "waitlist": {
                "waitlisted": self.waited,
                "still_waiting": self.still_waiting,
                "wait_for_a_unit_ms": _plain(self.unit_waits),
            },
            "waitlistings_at_the_tail": {name: asdict(even) for name, even in self.waitlistings.items()},
            "draw": asdict(self.draw) if self.draw is not None else None,
            "rush": _rush_json(self.rush) if self.rush is not None else None,
        }


def _rush_json(rush: RushFairness) -> dict[str, Any]:
    return {
        "real_time": rush.real_time.as_json(),
        "answer_waits_ms": {name: asdict(spread) for name, spread in rush.answer_waits.items()},
        "refusals_at_the_tail": asdict(rush.refusals) if rush.refusals is not None else None,
        "false_time": {"places": asdict(rush.lies), "taken": asdict(rush.lies_taken)},
    }


def _part(part: Displacement) -> dict[str, Any]:
    return {**asdict(part), "pairs": part.pairs, "inverted_share": part.inverted_share}


def _plain(spread: Spread | None) -> dict[str, Any] | None:
    return asdict(spread) if spread is not None else None


def spoken_p(p_value: float) -> str:
    """A p-value in words: whether somebody should look."""
    shown = f"p = {p_value:.3f}" if p_value >= UNLIKELY else f"p < {UNLIKELY}"
    return f"{shown}: " + (
        "chance may explain it" if p_value >= UNLIKELY else "more than chance explains, look into it"
    )


def spoken_evenness(even: Evenness) -> str:
    """The outcome of a chi-square test as a sentence."""
    if even.p_value is None:
        return f"not tested: {even.not_tested}"
    corrected = f", corrected for commits by {even.design_effect:,.0f}" if even.design_effect > 1 else ""
    degrees = "1 degree" if even.degrees == 1 else f"{even.degrees} degrees"
    return f"χ² {even.chi_square:.2f} of {degrees} of freedom{corrected}; {spoken_p(even.p_value)}"


def spoken_ranks(ranks: RankComparison) -> str:
    """The outcome of a rank-sum test as a sentence."""
    if ranks.z is None or ranks.p_value is None:
        return "not tested: too few of them"
    return f"z {ranks.z:+.2f}; {spoken_p(ranks.p_value)}"
