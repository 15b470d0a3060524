"""What a chaos run has done and found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.local.chaos_plan import Fault
from app.rush.report import RushReport
from app.services.audit.report import AuditReport


@dataclass(frozen=True, slots=True)
class ChaosReport:
    """A run's seed, faults and findings. `history` is the verdict of the witnesses; None when there are none.

    `died`: processes that ended by themselves. They were started again, and lost nothing if the audit is clean; but a fault from
    outside should not end a worker.
    """

    seed: int
    seconds: float
    faults: Sequence[Fault]
    died: Sequence[str]
    rush: RushReport
    is_settled: bool
    placed_units: int
    audit: AuditReport
    history: Mapping[str, Any] | None

    @property
    def is_clean(self) -> bool:
        """Whether all has settled, and neither the audit nor the history found anything."""
        return self.is_settled and not self.audit.broken and (self.history is None or bool(self.history["clean"]))

    @property
    def verdict(self) -> str:
        """One line."""
        found = [] if self.is_settled else ["orders are still under way"]
        if self.audit.broken:
            found.append(f"audit {self.audit.verdict}")
        if self.history is not None and not self.history["clean"]:
            found.append(
                "history BROKEN: " + ", ".join(f"{rule} ({count})" for rule, count in self.history["broken"].items())
            )
        return "; ".join(found) if found else "CLEAN"

    def as_json(self) -> dict[str, Any]:
        """The report as plain values."""
        return {
            "seed": self.seed,
            "seconds": round(self.seconds, 1),
            "faults": [
                {
                    "kind": fault.kind.value,
                    "target": fault.target,
                    "at_seconds": fault.at_seconds,
                    "lasts_seconds": fault.lasts_seconds,
                }
                for fault in self.faults
            ],
            "died": list(self.died),
            "answers": self.rush.attempts,
            "unanswered": self.rush.unanswered,
            "outcomes": dict(self.rush.outcomes),
            "settled": self.is_settled,
            "placed_units": self.placed_units,
            "audit": self.audit.as_json(),
            "history": self.history,
            "clean": self.is_clean,
            "verdict": self.verdict,
        }
