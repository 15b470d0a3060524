"""What the seller's console asks for beside the seller's actions: a sale live, orders found, and all of them as a table."""

import csv
import io
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

import orjson
from flask import Blueprint, Response, request

from app.domain import errors
from app.domain.orders import MAX_CUSTOMER_ID_LENGTH, Order
from app.domain.timestamps import rfc3339
from app.http import streams
from app.http.admin import details_body
from app.http.api import Api
from app.http.console_models import FoundOrders, SaleLive
from app.http.openapi import EVENT_STREAM, Operation, documented, query
from app.http.orders import order_body
from app.http.responses import NO_STORE, SECURITY_HEADERS, json_response
from app.http.tokens import Forbidden, IssuerUnavailable, Unauthenticated
from app.services import sales
from app.services.console import MAX_SALES, SaleSight, Watcher
from app.services.order_search import Export, begin_export, export_pages, order_by_id, orders_of_customer

_WHO = (Unauthenticated, Forbidden, IssuerUnavailable, errors.StorageUnavailable)

CSV_COLUMNS = (
    "order_id",
    "customer_id",
    "status",
    "units",
    "unit_price_minor",
    "currency",
    "placed_at",
    "shard_id",
    "seq",
    "received_at",
    "due_at",
    "event_seq",
)

_FORMULA_MARKS = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet reads a text that begins so as a formula; a customer's id is whatever the issuer says."""


def live_body(sight: SaleSight) -> dict[str, Any]:
    """A sale as SaleLive describes it."""
    counts = sight.counts
    view = sales.SaleView(sight.sale, sight.phase, sight.as_of, list(sight.shards), sight.draw)
    return {
        **details_body(view),
        "counts": {
            "is_complete": sight.is_counted,
            "orders": counts.orders,
            "commits": counts.commits,
            "by_status": counts.by_status and {status.value: count for status, count in counts.by_status.items()},
            "events": counts.events,
            "payments_failed": counts.failed,
            "expired": counts.expired,
        },
        "seconds": [
            {"at": s.at, "taken": s.taken, "waitlisted": s.waitlisted, "commits": s.commits} for s in counts.seconds
        ],
        "server": [
            {"at": t.at, "taken": t.taken, "refused": t.refused, "p50_ms": t.p50_ms, "p99_ms": t.p99_ms}
            for t in sight.traffic
        ],
        "lane_depth": sight.lane_depth,
        "unpublished_events": sight.unpublished,
        "oldest_unpublished_at": rfc3339(sight.oldest_unpublished_at) if sight.oldest_unpublished_at else None,
        "overdue_orders": sight.overdue,
    }


@lru_cache(maxsize=2 * MAX_SALES)
def _frame(sight: SaleSight) -> bytes:
    """Made once for all who watch."""
    return b"event: sale\ndata: %b\n\n" % orjson.dumps(live_body(sight))


def console_blueprint(api: Api) -> Blueprint:
    """The console's views."""
    views = Blueprint("console", __name__, url_prefix="/v1/admin")

    @views.get("/sales/<sale_id>/live")
    @documented(
        Operation(
            "Watch a sale",
            "admin",
            {200: SaleLive},
            errors=(*_WHO, errors.SaleNotFound, errors.TooManyWaiting),
            description="Server-sent events: `event: sale`, `data` the sale in numbers, about once a second, from one look for "
            "all who watch at this process. The stream ends after five minutes at most: reconnect.",
            media_type=EVENT_STREAM,
            event="sale",
        )
    )
    def live(sale_id: str) -> Response:
        seller = api.seller()
        api.concurrency.run(sales.show, api.database, sale_id)
        watcher = api.console_feed.watch(sale_id)
        seconds = min(streams.stream_seconds(), seller.expires_at - api.verifier.now())
        return streams.event_stream(_frames(watcher, seconds), watcher.close)

    @views.get("/sales/<sale_id>/orders")
    @documented(
        Operation(
            "Find orders of a sale, with their history",
            "admin",
            {200: FoundOrders},
            errors=(*_WHO, errors.InvalidValue),
            parameters=(
                query("customer_id", "Whose orders; quick.", {"type": "string"}),
                query("order_id", "Which order; walks through all of the sale's.", {"type": "string"}),
            ),
            description="By one of the two.",
        )
    )
    def find(sale_id: str) -> Response:
        api.seller()
        customer_id, order_id = request.args.get("customer_id", ""), request.args.get("order_id", "")
        if bool(customer_id) == bool(order_id):
            raise errors.InvalidValue(field="customer_id", rule="give either this or order_id")
        if len(customer_id) > MAX_CUSTOMER_ID_LENGTH or not (customer_id + sale_id).isprintable():
            raise errors.InvalidValue(field="customer_id", rule=f"must have 1 to {MAX_CUSTOMER_ID_LENGTH} characters")
        if customer_id:
            found = api.concurrency.run(orders_of_customer, api.database, sale_id, customer_id)
        else:
            found = api.concurrency.run(order_by_id, api.database, sale_id, order_id)
        bodies = [
            {
                **order_body(each.order, api.claims),
                "customer_id": each.order.customer_id,
                "events": [
                    {
                        "event_seq": event.event_seq,
                        "status": event.status,
                        "trigger": event.trigger,
                        "actor": event.actor,
                        "reason": event.reason,
                        "committed_at": rfc3339(event.committed_at),
                    }
                    for event in each.events
                ],
            }
            for each in found
        ]
        return json_response({"orders": bodies})

    @views.get("/sales/<sale_id>/orders.csv")
    @documented(
        Operation(
            "All orders of a sale as a table",
            "admin",
            {200: None},
            errors=(*_WHO, errors.SaleNotFound),
            description="CSV with a head, streamed, as of one database timestamp; by shard and place in the line. A customer's "
            "id that a spreadsheet would read as a formula has an apostrophe before it.",
        )
    )
    def export(sale_id: str) -> Response:
        api.seller()
        begun = api.concurrency.run(begin_export, api.database, sale_id)
        name = ("Content-Disposition", f'attachment; filename="{begun.sale_id}-orders.csv"')
        headers = [*SECURITY_HEADERS, NO_STORE, name]
        return Response(_table(api, begun), headers=headers, content_type="text/csv; charset=utf-8")

    return views


def _frames(watcher: Watcher, seconds: float) -> Iterator[bytes]:
    ends_at = time.monotonic() + seconds
    yield b"retry: %d\n\n" % streams.RECONNECT_MS
    while (left := ends_at - time.monotonic()) > 0 and not watcher.is_over:
        sight = watcher.next(min(streams.HEARTBEAT_SECONDS, left))
        yield b": nothing yet\n\n" if sight is None else _frame(sight)


def _table(api: Api, export: Export) -> Iterator[bytes]:
    yield _csv([CSV_COLUMNS])
    pages = export_pages(api.database, export)
    # A failure in the middle cuts the connection, so that nobody takes half a table for a whole one.
    while (page := api.concurrency.run(next, pages, None)) is not None:
        yield _csv([_csv_row(order, received_at) for order, received_at in page])


def _csv(rows: Sequence[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _csv_row(order: Order, received_at: datetime) -> Sequence[Any]:
    customer = order.customer_id
    return (
        order.order_id,
        f"'{customer}" if customer.startswith(_FORMULA_MARKS) else customer,
        order.status.value,
        order.units,
        order.unit_price_minor,
        order.currency,
        rfc3339(order.placed_at),
        order.shard_id,
        order.seq,
        rfc3339(received_at),
        rfc3339(order.due_at) if order.due_at else "",
        order.event_seq,
    )
