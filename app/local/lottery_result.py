"""What the scenario “lottery” found, and which of its promises were kept. Pure."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from app.domain.fairness_statistics import Evenness
from app.local.promises import Promise
from app.local.settling import Standing
from app.rush.report import RushReport
from app.services.audit.report import AuditReport
from app.services.draw_record import Verification
from app.services.fairness_report import FairnessReport

BEYOND_CHANCE = 1e-6
"""A p-value below this breaks the promise: of a million fair draws one does. The report itself marks those below 0.001."""


@dataclass(frozen=True, slots=True)
class LotteryOptions:
    """How large the scenario is: customers who come, units, gunicorn workers. `state_dir` gets its logs, answers and record."""

    entries: int
    stock: int
    workers: int
    state_dir: Path


@dataclass(frozen=True, slots=True)
class Lates:
    """Customers who tried to enter after the close, and how many of them were told that the sale is closed."""

    tried: int
    refused: int


@dataclass(frozen=True, slots=True)
class Proof:
    """The draw's record against what was public before. `draws`: how many different records two more calls to draw, and the public
    page, have shown.
    """

    commitment_before: str
    commitment_after: str
    is_secret_before: bool
    genuine: Verification
    forged: Verification
    draws: int
    state: str


@dataclass(frozen=True, slots=True)
class Mentioned:
    """Order ids that customers were told as ENTERED, or as withdrawn, against those in the record."""

    entered: int
    withdrawn: int
    refused_withdrawals: int
    in_record: int
    missing: int
    withdrawn_yet_listed: int


@dataclass(frozen=True, slots=True)
class LotteryResult:
    """What the scenario found.

    `entered_late` orders were committed once the entries were sealed, or came after the close; `promoted` got what a failure freed.
    """

    options: LotteryOptions
    rush: RushReport
    lates: Lates
    entered_late: int
    proof: Proof
    mentioned: Mentioned
    standing: Standing
    promoted: int
    audit: AuditReport
    fairness: FairnessReport

    @property
    def promises(self) -> list[Promise]:
        """What was promised, and whether it was kept."""
        proof, mentioned, lates = self.proof, self.mentioned, self.lates
        failed = self.standing.orders.get("PAYMENT_FAILED", 0) + self.standing.orders.get("EXPIRED", 0)
        wanted = min(self.options.stock, mentioned.in_record - failed)
        return [
            Promise(
                "nobody entered once the entries were sealed",
                f"{self.entered_late:,} orders; {lates.refused:,} of {lates.tried:,} late callers refused",
                not self.entered_late and lates.refused == lates.tried,
            ),
            Promise("every buyer answered", f"{self.rush.unanswered:,} were not", not self.rush.unanswered),
            Promise(
                "one draw, by the workers", f"{proof.draws} ({proof.state})", (proof.draws, proof.state) == (1, "DRAWN")
            ),
            Promise(
                "as many PLACED as there were units",
                f"{self.standing.placed_units:,} of {wanted:,}, {self.promoted:,} promoted after {failed:,} failed payments",
                self.standing.placed_units == wanted,
            ),
            Promise(
                "the commitment is the one shown before the first entry",
                f"{proof.commitment_before[:16]}… before, {proof.commitment_after[:16]}… after",
                proof.commitment_before == proof.commitment_after and proof.is_secret_before,
            ),
            Promise("the record proves the draw", proof.genuine.verdict, proof.genuine.holds),
            Promise("a record that was changed is refused", proof.forged.verdict, not proof.forged.holds),
            Promise(
                "everybody who entered is in the record",
                f"{mentioned.missing:,} of {mentioned.entered - mentioned.withdrawn:,} missing; "
                f"{mentioned.withdrawn_yet_listed:,} of {mentioned.withdrawn:,} who withdrew are in it",
                mentioned.entered > 0 and not mentioned.missing and not mentioned.withdrawn_yet_listed,
            ),
            *self._even(),
            Promise("the audit", self.audit.verdict, not self.audit.broken),
        ]

    def _even(self) -> list[Promise]:
        draw = self.fairness.draw
        if draw is None:
            return [Promise("the draw favours nobody", "there was none", False)]
        return [
            even_promise("winners are even over the time of entry", draw.by_arrival),
            even_promise("winners are even over the shards", draw.by_shard),
        ]

    def as_json(self) -> dict[str, Any]:
        """All of it as plain values."""
        proof = self.proof
        return {
            "scenario": "lottery",
            "kept": all(promise.is_kept for promise in self.promises),
            "promises": [asdict(promise) for promise in self.promises],
            "late": {**asdict(self.lates), "entered": self.entered_late},
            "draw": {
                "commitment_before": proof.commitment_before,
                "commitment_after": proof.commitment_after,
                "state": proof.state,
                "record": proof.genuine.as_json(),
                "forged": proof.forged.as_json(),
            },
            "entries": asdict(self.mentioned),
            "promoted": self.promoted,
            "orders": dict(self.standing.orders),
            "rush": self.rush.as_json(),
            "fairness": self.fairness.as_json(),
            "audit": self.audit.as_json(),
        }


def even_promise(name: str, found: Evenness) -> Promise:
    """Whether the draw favoured a group; what is too small to be tested breaks nothing."""
    if found.p_value is None:
        return Promise(name, f"not tested: {found.not_tested}", True)
    return Promise(name, f"p = {found.p_value:.4f}", found.p_value >= BEYOND_CHANCE)
