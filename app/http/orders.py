"""The buyer's addresses: place an order, look at one's own, cancel it."""

import time
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, request

from app.domain import errors
from app.domain.orders import MAX_EVENT_SEQ, Order
from app.domain.states import Status
from app.domain.timestamps import rfc3339
from app.http.answer_models import OrderPage, OrderView
from app.http.api import Api
from app.http.openapi import IDEMPOTENCY_KEY, PAGE_PARAMETERS, Operation, documented, query
from app.http.problems import PROBLEMS, error_response, problem_name
from app.http.request_models import PlaceOrder
from app.http.requests import as_page_token, idempotency_key, page_size, page_token, query_number, read_body
from app.http.responses import json_response
from app.http.tokens import IssuerUnavailable, Unauthenticated
from app.http.traces import current_span
from app.services.claim_keys import ClaimKeys
from app.services.orders import own_order, own_orders

MAX_WAIT_SECONDS = 30
"""Shorter than what proxies and phones' networks cut off without an answer, which is mostly 60."""

_SOLD_OUT = PROBLEMS[errors.SoldOut].name

_WHO = (Unauthenticated, IssuerUnavailable, errors.StorageUnavailable)


def order_body(order: Order, claims: ClaimKeys) -> dict[str, Any]:
    """An order as OrderView describes it."""
    return {
        "order_id": order.order_id,
        "sale_id": order.sale_id,
        "status": order.status.value,
        "units": order.units,
        "unit_price_minor": order.unit_price_minor,
        "currency": order.currency,
        "position": {"placed_at": rfc3339(order.placed_at), "shard_id": order.shard_id, "seq": order.seq},
        "draw_place": order.draw_place,
        "due_at": rfc3339(order.due_at) if order.due_at and order.status is Status.PENDING else None,
        "cancellable": order.is_cancellable,
        "cancellable_until": rfc3339(order.cancellable_until) if order.cancellable_until else None,
        "event_seq": order.event_seq,
        "is_final": order.is_final,
        "claim_code": claims.code_of(order),
    }


def orders_blueprint(api: Api) -> Blueprint:
    """The buyer's views."""
    views = Blueprint("orders", __name__)

    @views.post("/v1/sales/<sale_id>/orders")
    @documented(
        Operation(
            "Place an order",
            "orders",
            {201: OrderView, 200: OrderView},
            body=PlaceOrder,
            errors=(
                *_WHO,
                errors.InvalidValue,
                errors.PaymentMethodRequired,
                errors.IdempotencyKeyReused,
                errors.SaleNotFound,
                errors.SaleNotOpen,
                errors.SalePaused,
                errors.SaleClosed,
                errors.SoldOut,
                errors.LimitExceeded,
                errors.AlreadyEntered,
                errors.Overloaded,
            ),
            parameters=(IDEMPOTENCY_KEY,),
            links=("orders_show", "orders_cancel", "outcomes_follow"),
            description="201: the order is taken (PENDING, PLACED), waits (WAITLISTED), or takes "
            "part in a lottery's draw (ENTERED). 200, with Idempotent-Replayed: "
            "true: this key's order was there already. A 503 may hide a taken order: the same key finds it.",
        )
    )
    def place(sale_id: str) -> Response:
        started = time.perf_counter()
        outcome = "other"
        try:
            outcome, response = _answer(api, sale_id)
        except errors.FairdropError as error:
            # As the app's handler would, without the framework's way there: in a sold-out crowd this is the common answer.
            outcome = problem_name(error)
            return error_response(error)
        except (Unauthenticated, IssuerUnavailable) as error:
            outcome = problem_name(error)
            raise
        else:
            return response
        finally:
            api.placement.figures.answered(outcome, time.perf_counter() - started)

    @views.get("/v1/sales/<sale_id>/orders/<order_id>")
    @documented(
        Operation(
            "Show one's own order, or wait for its next change",
            "orders",
            {200: OrderView},
            errors=(
                *_WHO,
                errors.InvalidValue,
                errors.OrderNotFound,
                errors.WaitSuperseded,
                errors.TooManyWaiting,
            ),
            parameters=(
                query(
                    "wait",
                    "Answer when the order changes, or after so many seconds with the order as it stands; one that is "
                    "final is answered at once.",
                    {"type": "integer", "minimum": 0, "maximum": MAX_WAIT_SECONDS, "default": 0},
                ),
                query(
                    "after",
                    "The `event_seq` of the state that the client knows: a later one is answered at once. Left out, the "
                    "order must change after the request has come.",
                    {"type": "integer", "minimum": 0, "maximum": MAX_EVENT_SEQ},
                ),
            ),
        )
    )
    def show(sale_id: str, order_id: str) -> Response:
        customer = api.customer()
        wait_seconds, after = query_number("wait", 0, MAX_WAIT_SECONDS), query_number("after", 0, MAX_EVENT_SEQ)
        if wait_seconds:
            order = api.outcomes.wait_for_change(customer.subject, sale_id, order_id, after, wait_seconds)
        else:
            order = api.concurrency.run(own_order, api.database, customer.subject, sale_id, order_id)
        return json_response(order_body(order, api.claims))

    @views.post("/v1/sales/<sale_id>/orders/<order_id>/cancel")
    @documented(
        Operation(
            "Cancel one's own order",
            "orders",
            {200: OrderView},
            errors=(
                *_WHO,
                errors.OrderNotFound,
                errors.CancelWindowClosed,
                errors.WithdrawalClosed,
                errors.TransitionRefused,
                errors.Overloaded,
            ),
            description="Without a body. A waiting order, and one whose payment is not authorized yet, may always be "
            "cancelled; an authorized one until `cancellable_until`; an entry in a lottery until the sale "
            "closes. Repeating it is safe: a cancelled order stays "
            "cancelled, and the answer is 200. After a 503 it may have been cancelled: repeat it.",
        )
    )
    def cancel(sale_id: str, order_id: str) -> Response:
        customer = api.customer()
        return json_response(order_body(api.cancelling.cancel(customer.subject, sale_id, order_id), api.claims))

    @views.get("/v1/orders")
    @documented(
        Operation(
            "List one's own orders",
            "orders",
            {200: OrderPage},
            errors=(*_WHO, errors.InvalidValue),
            parameters=(
                query("sale_id", "Only those of this sale.", {"type": "string"}),
                *PAGE_PARAMETERS,
            ),
        )
    )
    def index() -> Response:
        customer = api.customer()
        sale_id = request.args.get("sale_id") or None
        token = page_token(parts=2)
        after = (token[0], token[1]) if token is not None else None
        orders, following = api.concurrency.run(own_orders, api.database, customer.subject, sale_id, after, page_size())
        return json_response(
            {"orders": [order_body(o, api.claims) for o in orders], "next_page_token": as_page_token(following)}
        )

    return views


def _answer(api: Api, sale_id: str) -> tuple[str, Response]:
    """The answer to a request for an order, and its name among the figures."""
    api.placement.refuse_when_full(sale_id)
    received_at = datetime.now(UTC)
    authorization = request.environ.get("HTTP_AUTHORIZATION")
    key = idempotency_key()
    body = read_body(PlaceOrder)
    # That a sale is sold out is public, so a crowd is told without the cost of verifying each signature. The claim only
    # serves to ask whether this key may have an order already; if so, all is verified first.
    refusal = api.placement.refusal_from_memory(
        lambda: api.verifier.claimed_subject(authorization), sale_id, body.units, key
    )
    if refusal is not None:
        api.placement.figures.refused_from_memory += 1
        return _SOLD_OUT, error_response(refusal)
    customer = api.customer()
    taken = api.placement.place(
        customer.subject, sale_id, body.units, key, body.payment_method, received_at, current_span()
    )
    location = ("Location", f"/v1/sales/{sale_id}/orders/{taken.order.order_id}")
    shown = order_body(taken.order, api.claims)
    if taken.replayed:
        return "replayed", json_response(shown, 200, location, ("Idempotent-Replayed", "true"))
    return taken.order.status.value, json_response(shown, 201, location)
