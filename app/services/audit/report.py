"""The audit as a whole: gathers the evidence, runs the checks, and gives a report."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any

from app.domain.audit.accounts import GRACE
from app.domain.audit.findings import Finding
from app.domain.timestamps import rfc3339
from app.services.audit.answer_checks import ANSWER_CHECKS
from app.services.audit.checks import CHECKS
from app.services.audit.evidence import Demands, Evidence, gathered
from app.services.audit.money import MoneySources
from app.storage.database import FairdropDatabase


@dataclass(frozen=True, slots=True)
class Compared:
    """What an audit compared besides the order service's own database, and whether nothing was allowed to be under way."""

    answers: bool
    payments: bool
    book: bool
    at_rest: bool


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What was found in one sale as of one timestamp. `seconds`: how long the audit took."""

    sale_id: str
    as_of: datetime
    orders: int
    seconds: float
    findings: list[Finding]
    compared: Compared

    @property
    def broken(self) -> list[Finding]:
        """The checks that found something."""
        return [finding for finding in self.findings if not finding.is_clean]

    @property
    def verdict(self) -> str:
        """One line: CLEAN, or BROKEN and what."""
        if not self.broken:
            return "CLEAN"
        return "BROKEN: " + ", ".join(f"{finding.name} ({finding.violation_count:,})" for finding in self.broken)

    def as_json(self) -> dict[str, Any]:
        """The report as plain values."""
        return {
            "sale_id": self.sale_id,
            "as_of": rfc3339(self.as_of),
            "orders": self.orders,
            "seconds": round(self.seconds, 3),
            "clean": not self.broken,
            "verdict": self.verdict,
            "checks": [finding.as_json() for finding in self.findings],
        }


def audit(
    database: FairdropDatabase,
    sale_id: str,
    answers: Path | None = None,
    as_of: datetime | None = None,
    *,
    money: MoneySources | None = None,
    settled: bool = False,
    grace: timedelta = GRACE,
) -> AuditReport:
    """Check a sale as of a timestamp (None: now), its money, and what the rush of an answers file was told.

    With `settled`, nothing may be under way; else what is, for no longer than `grace`, is counted. Changes nothing and takes no
    locks. Raises SaleNotFound, StorageUnavailable, AnswersUnreadable, PaymentsMissing or BookUnreadable.
    """
    began = monotonic()
    with gathered(database, sale_id, answers, as_of, Demands(money, settled, grace)) as evidence:
        findings = run_checks(evidence)
        orders = evidence.workspace.number("SELECT COUNT(*) FROM orders")
        has_book = evidence.money is not None and evidence.money.no_book is None
        compared = Compared(evidence.answers is not None, evidence.money is not None, has_book, settled)
    return AuditReport(sale_id, evidence.stand.as_of, orders, monotonic() - began, findings, compared)


def run_checks(evidence: Evidence) -> list[Finding]:
    """What each check finds: those of the database, and those of the answers when there are any."""
    findings = []
    for check in (*CHECKS, *(ANSWER_CHECKS if evidence.answers is not None else ())):
        finding = Finding(check.name, check.invariant)
        check.run(evidence, finding)
        findings.append(finding)
    return findings
