"""What the seller's console asks for of those who checked: the audit's last verdict, the fairness report, and the dead letters."""

from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response

from app.domain import errors
from app.domain.timestamps import rfc3339
from app.http.api import Api
from app.http.console_models import DeadLettersView, SaleReportsView
from app.http.openapi import Operation, documented
from app.http.responses import NO_STORE, json_response, page_headers
from app.http.tokens import Forbidden, IssuerUnavailable, Unauthenticated
from app.messaging.broker import BrokerUnavailable
from app.services.dead_letters import LettersSeen
from app.services.fairness_page import style_digest
from app.services.reports import ORDERS_AT_MOST, SaleReports, fairness_page, reports_of
from app.storage.reports import AuditVerdict, FairnessPage, Stored

_WHO = (Unauthenticated, Forbidden, IssuerUnavailable, errors.StorageUnavailable)


def reports_body(reports: SaleReports) -> dict[str, Any]:
    """What is kept of a sale, as SaleReportsView describes it."""
    return {
        "audit": _body(reports.audit) if reports.audit else None,
        "fairness": _body(reports.fairness) if reports.fairness else None,
        "fairness_orders_at_most": ORDERS_AT_MOST,
    }


def _body(stored: Stored[AuditVerdict] | Stored[FairnessPage]) -> dict[str, Any]:
    report = asdict(stored.report)
    if "is_clean" in report:
        report["clean"] = report.pop("is_clean")
    return {**report, "made_at": rfc3339(stored.made_at), "as_of": rfc3339(stored.report.as_of)}


def letters_body(seen: LettersSeen) -> dict[str, Any]:
    """Dead letters as DeadLettersView describes them: without what they say, which may be a customer's."""
    return {
        "looked_at": rfc3339(seen.looked_at),
        "topics": [
            {
                "topic": letters.topic,
                "count": letters.count,
                "newest": [
                    {
                        "message_id": letter.message_id,
                        "published_at": rfc3339(letter.published_at),
                        "event_type": letter.event_type,
                        "reason": letter.reason,
                    }
                    for letter in letters.newest
                ],
            }
            for letters in seen.topics
        ],
    }


def reports_blueprint(api: Api) -> Blueprint:
    """The reports' views."""
    views = Blueprint("reports", __name__, url_prefix="/v1/admin")

    @views.get("/sales/<sale_id>/reports")
    @documented(
        Operation(
            "What was found of a sale",
            "admin",
            {200: SaleReportsView},
            errors=(*_WHO, errors.SaleNotFound),
            description="The last verdict of an audit, and what the last fairness report says. An audit is run by "
            "`fairdrop audit`: it reads every row.",
        )
    )
    def reports(sale_id: str) -> Response:
        api.seller()
        return json_response(reports_body(api.concurrency.run(reports_of, api.database, sale_id)))

    @views.get("/sales/<sale_id>/fairness")
    @documented(
        Operation(
            "The fairness report as a page",
            "admin",
            {200: None},
            errors=(*_WHO, errors.SaleNotFound, errors.ReportNotMade),
            description="HTML, the newest that is kept. It asks for nothing else, and names no customer, order or machine.",
        )
    )
    def page(sale_id: str) -> Response:
        api.seller()
        html = api.concurrency.run(fairness_page, api.database, sale_id)
        headers = [*page_headers(style_digest()), NO_STORE]
        return Response(html, headers=headers, content_type="text/html; charset=utf-8")

    @views.post("/sales/<sale_id>/fairness")
    @documented(
        Operation(
            "Make a fairness report",
            "admin",
            {200: SaleReportsView},
            errors=(
                *_WHO,
                errors.SaleNotFound,
                errors.SaleStateRefused,
                errors.ReportTooLarge,
                errors.TooManyWaiting,
            ),
            description="Without a body. Of a sale that is over, with at most 10,000 orders; one at a time a process. "
            "`fairdrop fairness` makes one of any sale, and keeps it here too.",
        )
    )
    def make(sale_id: str) -> Response:
        seller = api.seller()
        api.concurrency.run(api.fairness_desk.make, sale_id, seller.subject)
        return json_response(reports_body(api.concurrency.run(reports_of, api.database, sale_id)))

    @views.get("/dead-letters")
    @documented(
        Operation(
            "Messages that no consumer can deal with",
            "admin",
            {200: DeadLettersView},
            errors=(*_WHO[:-1], BrokerUnavailable),
            description="Of all sales. Takes some seconds: that there are none is only known after a wait. They are left where "
            "they are; `fairdrop dead-letters` shows what they say.",
        )
    )
    def dead_letters() -> Response:
        api.seller()
        return json_response(letters_body(api.concurrency.run(api.dead_letters.look)))

    return views
