"""The buyer's addresses: place an order, look at one's own."""

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, request

from app.domain import errors
from app.domain.orders import Order
from app.domain.timestamps import rfc3339
from app.http.api import Api
from app.http.models import OrderPage, OrderView, PlaceOrder
from app.http.openapi import IDEMPOTENCY_KEY, Operation, documented, query
from app.http.problems import error_response
from app.http.requests import as_page_token, idempotency_key, page_size, page_token, read_body
from app.http.responses import json_response
from app.http.tokens import IssuerUnavailable, Unauthenticated
from app.services.orders import own_order, own_orders

_WHO = (Unauthenticated, IssuerUnavailable, errors.StorageUnavailable)


def order_body(order: Order) -> dict[str, Any]:
    """An order as OrderView describes it."""
    return {
        "order_id": order.order_id,
        "sale_id": order.sale_id,
        "status": order.status.value,
        "units": order.units,
        "unit_price_minor": order.unit_price_minor,
        "currency": order.currency,
        "position": {"placed_at": rfc3339(order.placed_at), "shard_id": order.shard_id, "seq": order.seq},
        "due_at": rfc3339(order.due_at) if order.due_at else None,
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
                errors.Overloaded,
            ),
            parameters=(IDEMPOTENCY_KEY,),
            description="201: the order is taken (PENDING, PLACED) or waits (WAITLISTED). 200, with Idempotent-Replayed: "
            "true: this key's order was there already. A 503 may hide a taken order: the same key finds it.",
        )
    )
    def place(sale_id: str) -> Response:
        try:
            return _answer(api, sale_id)
        except errors.FairdropError as error:
            # As the app's handler would, without the framework's way there: in a sold-out crowd this is the common answer.
            return error_response(error)

    @views.get("/v1/sales/<sale_id>/orders/<order_id>")
    @documented(Operation("Show one's own order", "orders", {200: OrderView}, errors=(*_WHO, errors.OrderNotFound)))
    def show(sale_id: str, order_id: str) -> Response:
        customer = api.customer()
        return json_response(
            order_body(api.concurrency.run(own_order, api.database, customer.subject, sale_id, order_id))
        )

    @views.get("/v1/orders")
    @documented(
        Operation(
            "List one's own orders",
            "orders",
            {200: OrderPage},
            errors=(*_WHO, errors.InvalidValue),
            parameters=(
                query("sale_id", "Only those of this sale.", {"type": "string"}),
                query(
                    "page_size", "At most so many.", {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}
                ),
                query("page_token", "Where an earlier page ended.", {"type": "string"}),
            ),
        )
    )
    def index() -> Response:
        customer = api.customer()
        sale_id = request.args.get("sale_id") or None
        token = page_token(parts=2)
        after = (token[0], token[1]) if token is not None else None
        orders, following = api.concurrency.run(own_orders, api.database, customer.subject, sale_id, after, page_size())
        return json_response({"orders": [order_body(o) for o in orders], "next_page_token": as_page_token(following)})

    return views


def _answer(api: Api, sale_id: str) -> Response:
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
        return error_response(refusal)
    customer = api.verifier.verify(authorization)
    taken = api.placement.place(customer.subject, sale_id, body.units, key, body.payment_method, received_at)
    location = ("Location", f"/v1/sales/{sale_id}/orders/{taken.order.order_id}")
    if taken.replayed:
        return json_response(order_body(taken.order), 200, location, ("Idempotent-Replayed", "true"))
    return json_response(order_body(taken.order), 201, location)
