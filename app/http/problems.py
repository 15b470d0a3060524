"""Errors as RFC 9457 problem details: one table from what went wrong to type and status, the only such place."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Flask, Response
from werkzeug.exceptions import HTTPException, default_exceptions

from app.domain import errors
from app.domain.timestamps import rfc3339
from app.http.responses import json_response
from app.http.tokens import Forbidden, IssuerUnavailable, Unauthenticated
from app.messaging.broker import BrokerUnavailable

TYPE_PREFIX = "urn:fairdrop:problem:"
PAUSED_RETRY_SECONDS = 5


@dataclass(frozen=True, slots=True)
class ProblemType:
    """A kind of problem: its stable name, its status, and what it says of one error."""

    name: str
    status: int
    title: str
    detail: Callable[[Any], str]
    members: Callable[[Any], Mapping[str, Any]] = lambda _error: {}
    retry_after_seconds: Callable[[Any], int] | None = None
    headers: Callable[[Any], tuple[tuple[str, str], ...]] | None = None


def _rate_limit_headers(error: errors.RateLimited) -> tuple[tuple[str, str], ...]:
    """The limit and what is left of it, as draft-ietf-httpapi-ratelimit-headers writes them."""
    window_seconds = max(1, round(error.burst / error.per_second))
    return (
        ("RateLimit-Policy", f'"{error.limited_by}";q={error.burst};w={window_seconds}'),
        ("RateLimit", f'"{error.limited_by}";r=0;t={math.ceil(error.wait_seconds)}'),
    )


PROBLEMS: Mapping[type[Exception], ProblemType] = {
    errors.InvalidValue: ProblemType(
        "invalid-request", 400, "The request breaks a rule", str, lambda e: {"field": e.field, "rule": e.rule}
    ),
    errors.PaymentMethodRequired: ProblemType(
        "payment-method-required",
        422,
        "A payment method is needed",
        lambda _: "the sale has a price: payment_method must be the gateway's token of a payment method",
        lambda _: {"field": "payment_method", "rule": "is required when the sale has a price"},
    ),
    errors.IdempotencyKeyReused: ProblemType(
        "idempotency-key-reused",
        422,
        "The key belongs to another request",
        lambda _: "this Idempotency-Key was used with another body: use a new key for a new order",
        lambda e: {"order_id": e.order_id},
    ),
    errors.RestockReused: ProblemType(
        "restock-key-reused",
        422,
        "The key belongs to another restock",
        lambda _: "this Idempotency-Key was used to restock another number of units",
    ),
    errors.SaleNotFound: ProblemType(
        "sale-not-found", 404, "No such sale", lambda e: f"there is no sale {e.sale_id!r}"
    ),
    errors.OrderNotFound: ProblemType("order-not-found", 404, "No such order", lambda _: "you have no such order"),
    errors.SaleExists: ProblemType(
        "sale-exists", 409, "The sale exists", lambda e: f"sale {e.sale_id!r} exists already, with other terms"
    ),
    errors.SaleStateRefused: ProblemType(
        "sale-state-refused",
        409,
        "Not in this phase",
        lambda e: f"cannot {e.action} a sale that is {e.phase}",
        lambda e: {"phase": e.phase},
    ),
    errors.SaleNotOpen: ProblemType(
        "sale-not-open",
        409,
        "The sale is not open yet",
        lambda e: f"the sale opens at {rfc3339(e.opens_at)}",
        lambda e: {"opens_at": rfc3339(e.opens_at), "opens_in_ms": math.ceil(1_000 * e.seconds_left)},
        lambda e: max(1, math.ceil(e.seconds_left)),
    ),
    errors.SalePaused: ProblemType(
        "sale-paused",
        409,
        "The sale is paused",
        lambda _: "the seller has paused the sale: try again soon",
        retry_after_seconds=lambda _: PAUSED_RETRY_SECONDS,
    ),
    errors.SaleClosed: ProblemType("sale-closed", 409, "The sale is over", lambda _: "the sale takes no more orders"),
    errors.SoldOut: ProblemType(
        "sold-out",
        409,
        "Sold out",
        lambda _: "every unit is taken and the waitlist is full",
        lambda e: {"as_of": rfc3339(e.as_of) if e.as_of else None, "age_ms": round(e.age_ms, 3)},
    ),
    errors.LimitExceeded: ProblemType(
        "limit-exceeded",
        409,
        "The limit per customer",
        lambda e: (
            f"at most {e.limit} units a customer; your live orders have {e.live_units}, this one asks for {e.units}"
        ),
        lambda e: {"limit": e.limit, "live_units": e.live_units, "units": e.units},
    ),
    errors.AlreadyEntered: ProblemType(
        "already-entered",
        409,
        "Entered already",
        lambda _: "one entry a customer: you have one in this lottery",
        lambda e: {"order_id": e.order_id},
    ),
    errors.WithdrawalClosed: ProblemType(
        "withdrawal-closed",
        409,
        "The entries are closed",
        lambda e: f"entries could be withdrawn until {rfc3339(e.closed_at)}; the draw decides what comes next",
        lambda e: {"closed_at": rfc3339(e.closed_at)},
    ),
    errors.NotALottery: ProblemType("not-a-lottery", 409, "Not a lottery", lambda e: f"sale {e.sale_id!r} has no draw"),
    errors.ReportNotMade: ProblemType(
        "report-not-made",
        404,
        "No such report yet",
        lambda e: f"no fairness report of sale {e.sale_id!r} is kept: make one when the sale is over",
    ),
    errors.ReportTooLarge: ProblemType(
        "report-too-large",
        409,
        "Too many orders",
        lambda e: (
            f"a report of more than {e.orders_at_most:,} orders is no work for a process that serves buyers: "
            f"run fairdrop fairness {e.sale_id}, and it is here"
        ),
        lambda e: {"orders_at_most": e.orders_at_most},
    ),
    errors.TransitionRefused: ProblemType(
        "transition-refused", 409, "Not in this state", lambda e: f"an order that is {e.status} cannot {e.trigger}"
    ),
    errors.CancelWindowClosed: ProblemType(
        "cancel-window-closed",
        409,
        "Too late to cancel",
        lambda e: f"the order could be cancelled until {rfc3339(e.closed_at)}; its payment is being captured",
        lambda e: {"closed_at": rfc3339(e.closed_at)},
    ),
    errors.ClaimCodeInvalid: ProblemType(
        "claim-code-invalid",
        422,
        "Not a valid claim code",
        lambda e: f"this is no claim code of ours: {e.reason}",
        lambda e: {"reason": e.reason},
    ),
    errors.ClaimNotRedeemable: ProblemType(
        "claim-not-redeemable",
        409,
        "Nothing to hand over",
        lambda e: f"the order of this code is {e.status}" if e.status else "there is no such order as this code says",
        lambda e: {"order_status": e.status},
    ),
    errors.AlreadyRedeemed: ProblemType(
        "already-redeemed",
        409,
        "Redeemed before",
        lambda e: f"this code was redeemed at {rfc3339(e.redeemed_at)}, at till {e.till_id}",
        lambda e: {"redeemed_at": rfc3339(e.redeemed_at), "till_id": e.till_id},
    ),
    errors.Overloaded: ProblemType(
        "overloaded",
        503,
        "Too many at once",
        lambda _: "repeat the same request, with its Idempotency-Key if it has one: what was done after all is found",
        retry_after_seconds=lambda e: int(e.retry_after_seconds),
    ),
    errors.TooManyWaiting: ProblemType(
        "too-many-waiting",
        503,
        "Too many wait",
        lambda _: "too many requests wait for a change here: ask without waiting, or come again",
        retry_after_seconds=lambda e: int(e.retry_after_seconds),
    ),
    errors.WaitSuperseded: ProblemType(
        "wait-superseded",
        429,
        "Newer requests of yours wait",
        lambda e: f"at most {e.limit} of your requests wait for a change at once, and newer ones took this one's place",
        lambda e: {"limit": e.limit},
        lambda e: int(e.retry_after_seconds),
    ),
    errors.RateLimited: ProblemType(
        "rate-limited",
        429,
        "Too many requests",
        lambda e: (
            f"more requests than this {e.limited_by} may send: wait, and repeat the same one, which then has its place"
        ),
        lambda e: {"limited_by": e.limited_by},
        lambda e: math.ceil(e.wait_seconds),
        _rate_limit_headers,
    ),
    errors.StorageUnavailable: ProblemType(
        "storage-unavailable",
        503,
        "The database does not answer",
        lambda e: (
            f"{e.detail}; repeat the same request, with its Idempotency-Key if it has one: what was done after all is found"
        ),
        retry_after_seconds=lambda e: int(e.retry_after_seconds),
    ),
    BrokerUnavailable: ProblemType(
        "broker-unavailable",
        503,
        "Pub/Sub does not answer",
        lambda _: "the dead letters are kept by Pub/Sub, which does not answer; orders do not need it",
        retry_after_seconds=lambda _: 5,
    ),
    Unauthenticated: ProblemType("unauthenticated", 401, "Who is asking?", lambda e: str(e.reason)),
    Forbidden: ProblemType("forbidden", 403, "Not yours to do", lambda e: f"this needs the role {e.role}"),
    IssuerUnavailable: ProblemType(
        "issuer-unavailable",
        503,
        "Tokens cannot be verified",
        lambda _: "the token issuer's keys cannot be fetched",
        retry_after_seconds=lambda _: 5,
    ),
}

HTTP_PROBLEMS: Mapping[int, tuple[str, str]] = {
    400: ("bad-request", "The request cannot be understood"),
    404: ("not-found", "No such address"),
    405: ("method-not-allowed", "Not with this method"),
    408: ("request-timeout", "The request came too slowly"),
    413: ("body-too-large", "The body is too large"),
    414: ("address-too-long", "The address is too long"),
    415: ("unsupported-media-type", "Not this media type"),
    431: ("headers-too-large", "The headers are too large"),
}
"""What the framework itself refuses, by status."""

INTERNAL = ("internal", "Our fault")


def problem_response(
    name: str, status: int, title: str, detail: str, members: Mapping[str, Any] | None = None, *headers: tuple[str, str]
) -> Response:
    """A problem as a response."""
    body = {"type": TYPE_PREFIX + name, "title": title, "status": status, "detail": detail, **(members or {})}
    return json_response(body, status, *headers, content_type="application/problem+json")


def problem_name(error: Exception) -> str:
    """The stable name of an error of the table."""
    return next(PROBLEMS[cls] for cls in type(error).__mro__ if cls in PROBLEMS).name


def error_response(error: Exception) -> Response:
    """The response to an error of the table; its class must be there, itself or a base of it."""
    kind = next(PROBLEMS[cls] for cls in type(error).__mro__ if cls in PROBLEMS)
    headers = []
    if kind.retry_after_seconds is not None:
        headers.append(("Retry-After", str(kind.retry_after_seconds(error))))
    if kind.headers is not None:
        headers += kind.headers(error)
    if kind.status == 401:  # noqa: PLR2004  # the one status that must name its challenge (RFC 9110, 11.6.1)
        headers.append(("WWW-Authenticate", "Bearer"))
    return problem_response(kind.name, kind.status, kind.title, kind.detail(error), kind.members(error), *headers)


def _framework_error(error: HTTPException) -> Response:
    status = error.code or 500
    name, title = HTTP_PROBLEMS.get(status, ("http-error", error.name))
    allow = [(header, value) for header, value in error.get_headers() if header == "Allow"]
    return problem_response(name, status, title, error.description or error.name, None, *allow)


def protocol_problem(status: int) -> Response:
    """The response to what is no request, by its status; 500 is our own fault."""
    if status == 500:  # noqa: PLR2004  # the one that is never the client's
        return problem_response(INTERNAL[0], 500, INTERNAL[1], "something that we did not foresee; it is in our log")
    return _framework_error(default_exceptions[status]())


def install(app: Flask) -> None:
    """Make every error of the app a problem, the unforeseen included."""
    for kind in PROBLEMS:
        app.register_error_handler(kind, error_response)
    app.register_error_handler(HTTPException, _framework_error)

    def unforeseen(error: Exception) -> Response:
        app.logger.exception("unforeseen: %s", type(error).__name__)
        return protocol_problem(500)

    app.register_error_handler(Exception, unforeseen)
