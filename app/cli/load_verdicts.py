"""What an overload and a soak must show, and whether they do."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from app.bench.load import Overload, Sample

GOODPUT_SHARE = 0.9
RECOVERY_SECONDS = 5.0

REFUSED_MS = 1_000.0
"""Within which a refusal comes quickly: as long as it asks to wait."""

FLAT_SHARE = 0.05
"""A figure whose line of least squares rises by no more of its mean within the latter half of a soak is flat."""

FLAT_LEAST = 2.0
"""And one that rises by no more than this: two files more are no leak."""

SOAKED = (("memory, MB", "memory_mb"), ("open files", "files"), ("greenlets", "greenlets"), ("sessions", "sessions"))
"""What must stay flat: as it is called, and its field of a sample."""

Verdict = tuple[str, bool]


@dataclass(frozen=True, slots=True)
class Trend:
    """A figure in the latter half of a soak: its mean, and how much its line of least squares rises meanwhile."""

    name: str
    mean: float
    rise: float

    @property
    def is_flat(self) -> bool:
        """Whether it stays where it is."""
        return self.rise <= max(FLAT_LEAST, FLAT_SHARE * self.mean)


def judged(overload: Overload) -> list[Verdict]:
    """What an overload must show, and whether it does."""
    verdicts = []
    for step in overload.steps:
        if step.factor > 1:
            text = (
                f"goodput at {step.factor:g} times the capacity: {step.taken_share_of_capacity:.2f} of it (0.9 wanted)"
            )
            verdicts.append((text, step.taken_share_of_capacity >= GOODPUT_SHARE))
        p99 = step.taken_p99_ms or 0.0
        text = f"p99 of the orders taken at {step.factor:g}: {p99:,.0f} ms (below the deadline, {overload.deadline_ms:,.0f})"
        verdicts.append((text, p99 < overload.deadline_ms))
        if step.refused_p99_ms is not None:
            text = f"p99 of the refused at {step.factor:g}: {step.refused_p99_ms:,.0f} ms ({REFUSED_MS:,.0f} wanted)"
            verdicts.append((text, step.refused_p99_ms <= REFUSED_MS))
    text = (
        f"recovery after {overload.steps[-1].factor:g} times the capacity: {overload.recovery_seconds:.1f} s (5 wanted)"
    )
    return [*verdicts, (text, overload.recovery_seconds <= RECOVERY_SECONDS)]


def trends(samples: Sequence[Sample]) -> list[Trend]:
    """Of each figure that must stay flat, by the latter half of the samples, by time."""
    middle = (samples[0].seconds + samples[-1].seconds) / 2
    late = [sample for sample in samples if sample.seconds >= middle]
    times = [sample.seconds for sample in late]
    return [_trend(name, times, [float(getattr(sample, field)) for sample in late]) for name, field in SOAKED]


def _trend(name: str, times: Sequence[float], values: Sequence[float]) -> Trend:
    mean_time, mean = sum(times) / len(times), sum(values) / len(values)
    spread = sum((time - mean_time) ** 2 for time in times)
    if not spread:
        return Trend(name, mean, 0.0)
    slope = sum((time - mean_time) * (value - mean) for time, value in zip(times, values, strict=True)) / spread
    return Trend(name, mean, slope * sum(after - before for before, after in pairwise(times)))


def flat(samples: Sequence[Sample]) -> list[Verdict]:
    """Whether a worker's memory, files and greenlets and its database's sessions stayed where they were."""
    return [
        (f"soak, {trend.name}: {trend.mean:,.0f}, rising by {trend.rise:,.1f} in the latter half", trend.is_flat)
        for trend in trends(samples)
    ]
