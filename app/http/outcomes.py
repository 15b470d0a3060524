"""An order's changes as server-sent events: the stream, and how it is taken up again (https://html.spec.whatwg.org, 9.2)."""

import time
from collections.abc import Iterator

import orjson
from flask import Blueprint, Response, request

from app.domain import errors
from app.domain.orders import MAX_EVENT_SEQ, Order
from app.http import streams
from app.http.answer_models import OrderView
from app.http.api import Api
from app.http.openapi import EVENT_STREAM, Operation, documented
from app.http.orders import order_body
from app.http.responses import NO_STORE, SECURITY_HEADERS
from app.http.tokens import IssuerUnavailable, Unauthenticated
from app.services.claim_keys import ClaimKeys
from app.services.waiting import Watch

LAST_EVENT_ID = {
    "name": "Last-Event-ID",
    "in": "header",
    "required": False,
    "description": "The `id` of the last event that the client has: a state it knows is not told again.",
    "schema": {"type": "integer", "minimum": 0, "maximum": MAX_EVENT_SEQ},
}


def outcomes_blueprint(api: Api) -> Blueprint:
    """The stream's view."""
    views = Blueprint("outcomes", __name__)

    @views.get("/v1/sales/<sale_id>/orders/<order_id>/events")
    @documented(
        Operation(
            "Follow one's own order",
            "orders",
            {200: OrderView, 204: None},
            errors=(
                Unauthenticated,
                IssuerUnavailable,
                errors.InvalidValue,
                errors.OrderNotFound,
                errors.TooManyWaiting,
                errors.StorageUnavailable,
            ),
            parameters=(LAST_EVENT_ID,),
            description="Server-sent events: `event: order`, `id` its `event_seq`, `data` the order; first as it stands, "
            "then at every change. The stream ends when the status is final, and after five minutes at most: "
            "reconnect with Last-Event-ID. 204: the client knows the final state, and need not reconnect.",
            media_type=EVENT_STREAM,
        )
    )
    def follow(sale_id: str, order_id: str) -> Response:
        customer, known = api.customer(), _last_event_id()
        watch = api.outcomes.watch(customer.subject, sale_id, order_id)
        try:
            order = api.outcomes.first(watch)
        except errors.FairdropError:
            watch.close()
            raise
        if order.is_final and order.event_seq == known:
            watch.close()
            return Response(status=204, headers=[*SECURITY_HEADERS, NO_STORE])
        seconds = min(streams.stream_seconds(), customer.expires_at - api.verifier.now())
        return streams.event_stream(frames(watch, known, seconds, api.claims), watch.close)

    return views


def _last_event_id() -> int | None:
    text = request.headers.get("Last-Event-ID", "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(MAX_EVENT_SEQ)) and int(text) <= MAX_EVENT_SEQ):
        raise errors.InvalidValue(field="Last-Event-ID", rule="must be the id of an event of this stream")
    return int(text)


def frames(watch: Watch, known: int | None, seconds: float, claims: ClaimKeys) -> Iterator[bytes]:
    """The stream, for so many seconds at most: each state that is not the known one, up to the final one, and heartbeats."""
    ends_at = time.monotonic() + seconds
    yield b"retry: %d\n\n" % streams.RECONNECT_MS
    while not watch.is_over and (left := ends_at - time.monotonic()) > 0:
        try:
            order = watch.next(known, min(streams.HEARTBEAT_SECONDS, left))
        except errors.FairdropError:
            # It has begun well, and has no other way to say no: who reconnects is told why.
            return
        if order is None:
            yield b": no change\n\n"
            continue
        yield _frame(order, claims)
        known = order.event_seq
        if order.is_final:
            return


def _frame(order: Order, claims: ClaimKeys) -> bytes:
    return b"id: %d\nevent: order\ndata: %b\n\n" % (order.event_seq, orjson.dumps(order_body(order, claims)))
