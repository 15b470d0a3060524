"""An order's changes as server-sent events: the stream, and how it is taken up again (https://html.spec.whatwg.org, 9.2)."""

import random
import time
from collections.abc import Iterator

import orjson
from flask import Blueprint, Response, request

from app.domain import errors
from app.domain.orders import MAX_EVENT_SEQ, Order
from app.http.api import Api
from app.http.models import OrderView
from app.http.openapi import EVENT_STREAM, Operation, documented
from app.http.orders import order_body
from app.http.responses import NO_STORE, SECURITY_HEADERS
from app.http.tokens import IssuerUnavailable, Unauthenticated
from app.services.claim_keys import ClaimKeys
from app.services.waiting import Watch

HEARTBEAT_SECONDS = 15.0
"""Proxies give up on a silent connection after 30 s or more; and a client that is gone is noticed when we write to it."""

STREAM_SECONDS = 300.0
STREAM_JITTER_SHARE = 0.2
"""Then the client reconnects, to wherever there is room now. Streams of one rush end over the last fifth, not all at once."""

RECONNECT_MS = 2_000

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
        seconds = min(stream_seconds(), customer.expires_at - api.verifier.now())
        return _stream(watch, known, seconds, api.claims)

    return views


def _last_event_id() -> int | None:
    text = request.headers.get("Last-Event-ID", "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(MAX_EVENT_SEQ)) and int(text) <= MAX_EVENT_SEQ):
        raise errors.InvalidValue(field="Last-Event-ID", rule="must be the id of an event of this stream")
    return int(text)


def stream_seconds() -> float:
    """How long a stream lasts, of whatever: STREAM_SECONDS at most."""
    return STREAM_SECONDS * (1.0 - STREAM_JITTER_SHARE * random.random())  # noqa: S311  # jitter is no secret


def _stream(watch: Watch, known: int | None, seconds: float, claims: ClaimKeys) -> Response:
    # X-Accel-Buffering: nginx would keep the events until it has a page full of them.
    headers = [*SECURITY_HEADERS, NO_STORE, ("X-Accel-Buffering", "no")]
    response = Response(frames(watch, known, seconds, claims), headers=headers, content_type=EVENT_STREAM)
    # The generator's own end is not enough: one that was never begun has none.
    response.call_on_close(watch.close)
    if request.method == "HEAD":
        response.close()
    return response


def frames(watch: Watch, known: int | None, seconds: float, claims: ClaimKeys) -> Iterator[bytes]:
    """The stream, for so many seconds at most: each state that is not the known one, up to the final one, and heartbeats."""
    ends_at = time.monotonic() + seconds
    yield b"retry: %d\n\n" % RECONNECT_MS
    while not watch.is_over and (left := ends_at - time.monotonic()) > 0:
        try:
            order = watch.next(known, min(HEARTBEAT_SECONDS, left))
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
