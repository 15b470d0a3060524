"""What was found of a sale by those who checked it: the verdicts of audits, and fairness reports as pages. Kept for 90 days."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from google.cloud.spanner_v1 import COMMIT_TIMESTAMP, KeyRange, KeySet
from google.cloud.spanner_v1.transaction import Transaction

_VERDICTS = "AuditVerdicts"
_PAGES = "FairnessPages"

_VERDICT = (
    "AsOf",
    "IsClean",
    "Verdict",
    "Orders",
    "Seconds",
    "MadeBy",
    "Command",
    "WithAnswers",
    "WithPayments",
    "WithBook",
    "AtRest",
)
"""In the order of AuditVerdict's fields."""

_PAGE = ("AsOf", "Verdict", "Orders", "MadeBy", "Command", "WithAnswers")
"""In the order of FairnessPage's fields."""

MAX_VERDICT_LENGTH = 2_000
MAX_MADE_BY_LENGTH = 140
"""As the columns take."""


@dataclass(frozen=True, slots=True)
class AuditVerdict:
    """What an audit of a sale as of a timestamp came to, by whom and with which command, and what it compared."""

    as_of: datetime
    is_clean: bool
    verdict: str
    orders: int
    seconds: float
    made_by: str
    command: str
    with_answers: bool
    with_payments: bool
    with_book: bool
    at_rest: bool


@dataclass(frozen=True, slots=True)
class FairnessPage:
    """What is known of a stored fairness report without its page."""

    as_of: datetime
    verdict: str
    orders: int
    made_by: str
    command: str
    with_answers: bool


Report = TypeVar("Report")


@dataclass(frozen=True, slots=True)
class Stored(Generic[Report]):
    """A report, and when it was stored, by the database's clock."""

    report: Report
    made_at: datetime


def add_verdict(transaction: Transaction, sale_id: str, verdict: AuditVerdict) -> None:
    """Keep a verdict. In a read-write transaction, rerunnable; run again after an unknown outcome it may stand there twice."""
    _add(transaction, _VERDICTS, _VERDICT, sale_id, astuple(verdict))


def add_page(transaction: Transaction, sale_id: str, told: FairnessPage, page: str) -> None:
    """Keep a fairness report, as `add_verdict` does."""
    _add(transaction, _PAGES, (*_PAGE, "Page"), sale_id, (*astuple(told), page))


def _add(transaction: Transaction, table: str, columns: Sequence[str], sale_id: str, values: Sequence[Any]) -> None:
    transaction.insert(table, ("SaleId", "MadeAt", *columns), [[sale_id, COMMIT_TIMESTAMP, *values]])


def latest_verdict(reads: Any, sale_id: str) -> Stored[AuditVerdict] | None:
    """The newest verdict of a sale, or None. One read of one row."""
    row = _latest(reads, _VERDICTS, _VERDICT, sale_id)
    return Stored(AuditVerdict(*row[1:]), row[0]) if row else None


def latest_page_told(reads: Any, sale_id: str) -> Stored[FairnessPage] | None:
    """The newest fairness report of a sale, without its page, or None. One read of one row."""
    row = _latest(reads, _PAGES, _PAGE, sale_id)
    return Stored(FairnessPage(*row[1:]), row[0]) if row else None


def latest_page(reads: Any, sale_id: str) -> str | None:
    """The newest fairness report's page, or None. One read of one row."""
    row = _latest(reads, _PAGES, ("Page",), sale_id)
    return row[1] if row else None


def _latest(reads: Any, table: str, columns: Sequence[str], sale_id: str) -> list[Any] | None:
    keys = KeySet(ranges=[KeyRange(start_closed=[sale_id], end_closed=[sale_id])])
    rows: list[list[Any]] = list(reads.read(table, ("MadeAt", *columns), keys, limit=1))
    return rows[0] if rows else None
