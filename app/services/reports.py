"""What was found of a sale, kept where the console shows it: verdicts of audits, and fairness reports as pages.

Whoever makes a report keeps it in a transaction of its own, once it is done: what is judged is never touched.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from app.domain.errors import (
    ReportNotMade,
    ReportTooLarge,
    SaleNotFound,
    SaleStateRefused,
    StorageUnavailable,
    TooManyWaiting,
)
from app.domain.sale import Phase
from app.services.audit.report import AuditReport
from app.services.fairness import fairness
from app.services.fairness_page import render
from app.services.fairness_report import FairnessReport
from app.storage.console import count_orders
from app.storage.database import Conflict, FairdropDatabase, Rejected, snapshot, transact
from app.storage.reports import (
    MAX_MADE_BY_LENGTH,
    MAX_VERDICT_LENGTH,
    AuditVerdict,
    FairnessPage,
    Stored,
    add_page,
    add_verdict,
    latest_page,
    latest_page_told,
    latest_verdict,
)
from app.storage.sales import find_sale, sale_as_of

ORDERS_AT_MOST = 10_000
"""Of a sale whose fairness report a process that serves buyers makes: 0.2 s of a core (measured) besides reading the rows."""

BUSY_RETRY_SECONDS = 5


@dataclass(frozen=True, slots=True)
class SaleReports:
    """The newest of each kind; None when there is none."""

    audit: Stored[AuditVerdict] | None
    fairness: Stored[FairnessPage] | None


def keep_verdict(database: FairdropDatabase, report: AuditReport, made_by: str, command: str) -> None:
    """Keep what an audit came to. Raises StorageUnavailable, also when the credentials may only read."""
    compared = report.compared
    verdict = AuditVerdict(
        as_of=report.as_of,
        is_clean=not report.broken,
        verdict=report.verdict[:MAX_VERDICT_LENGTH],
        orders=report.orders,
        seconds=report.seconds,
        made_by=made_by[:MAX_MADE_BY_LENGTH],
        command=command,
        with_answers=compared.answers,
        with_payments=compared.payments,
        with_book=compared.book,
        at_rest=compared.at_rest,
    )
    transact(database, "keep-verdict", add_verdict, report.sale_id, verdict)


def keep_fairness(database: FairdropDatabase, report: FairnessReport, made_by: str, command: str) -> None:
    """Keep a fairness report as its page. Raises StorageUnavailable, also when the credentials may only read."""
    told = FairnessPage(
        as_of=report.as_of,
        verdict=report.verdict[:MAX_VERDICT_LENGTH],
        orders=report.orders,
        made_by=made_by[:MAX_MADE_BY_LENGTH],
        command=command,
        with_answers=report.rush is not None,
    )
    transact(database, "keep-fairness", add_page, report.sale_id, told, render(report))


def keep_or_say(what: str, keep: Callable[[], None], say: Callable[[str], None]) -> None:
    """Keep a report where the console shows it; when that cannot be, say so in one line: the report itself stands."""
    try:
        keep()
    except (StorageUnavailable, Conflict, Rejected) as error:
        reason = error.detail if isinstance(error, StorageUnavailable) else str(error)
        say(f"{what} is not kept for the console: {reason}")


def reports_of(database: FairdropDatabase, sale_id: str) -> SaleReports:
    """What is kept of a sale. Raises SaleNotFound or StorageUnavailable. Three reads of a row each."""
    with snapshot(database) as reads:
        if find_sale(reads, sale_id) is None:
            raise SaleNotFound(sale_id=sale_id)
        return SaleReports(latest_verdict(reads, sale_id), latest_page_told(reads, sale_id))


def fairness_page(database: FairdropDatabase, sale_id: str) -> str:
    """The newest fairness report's page. Raises SaleNotFound, ReportNotMade or StorageUnavailable."""
    with snapshot(database) as reads:
        page = latest_page(reads, sale_id)
        if page is None:
            raise ReportNotMade(sale_id=sale_id) if find_sale(reads, sale_id) else SaleNotFound(sale_id=sale_id)
        return page


class FairnessDesk:
    """Makes fairness reports in a process that serves buyers: of small sales that are over, and one at a time. Thread-safe."""

    def __init__(self, database: FairdropDatabase) -> None:
        """Nothing is read yet."""
        self._database = database
        self._one_at_a_time = threading.Lock()

    def make(self, sale_id: str, made_by: str) -> None:
        """Make the report of a sale, and keep it.

        Raises SaleNotFound, SaleStateRefused before the sale is over, ReportTooLarge, TooManyWaiting while another is made, or
        StorageUnavailable. The orders are counted before they are read: a sale that is too large costs one bounded read.
        """
        with snapshot(self._database) as reads:
            sale, as_of = sale_as_of(reads, sale_id)
            if sale is None:
                raise SaleNotFound(sale_id=sale_id)
            phase = sale.phase(as_of)
            if phase is not Phase.CLOSED:
                raise SaleStateRefused(action="report the fairness of", phase=phase.value)
            if count_orders(reads, sale_id, ORDERS_AT_MOST + 1) > ORDERS_AT_MOST:
                raise ReportTooLarge(sale_id=sale_id, orders_at_most=ORDERS_AT_MOST)
        if not self._one_at_a_time.acquire(blocking=False):
            raise TooManyWaiting(retry_after_seconds=BUSY_RETRY_SECONDS)
        try:
            keep_fairness(self._database, fairness(self._database, sale_id), made_by, "console")
        finally:
            self._one_at_a_time.release()
