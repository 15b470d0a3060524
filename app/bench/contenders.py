"""The servers that a bench compares, each loaded by gunicorn in the same worker, with the same settings, interpreter and answers.

`bare` does nothing but validate the JSON, by Flask's own request and response: what a service on Flask has before it does
anything. The `order_by_order` ones are what one would write
without group commit; they share the order service's storage code, so that the transaction is the only difference.
"""

import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from typing import Any

import orjson
from flask import Flask, Response, request
from gevent import get_hub
from google.cloud.spanner_v1.transaction import Transaction

from app.domain.errors import FairdropError, StorageUnavailable
from app.domain.ids import fingerprint, order_id
from app.domain.orders import OrderRequest
from app.domain.placement import Decision, NewOrder, decide
from app.domain.sale import Sale
from app.domain.stock import ShardState
from app.http import greenlets
from app.http.framework import LeanFlask
from app.http.orders import order_body
from app.http.problems import error_response
from app.http.request_models import PlaceOrder
from app.http.requests import idempotency_key, parse_body, read_body
from app.http.responses import NO_STORE, SECURITY_HEADERS, json_response
from app.http.sales import stock_left
from app.http.tokens import TokenVerifier
from app.http.wsgi import tune_interpreter
from app.services.claim_keys import DEVELOPMENT_KEY, ClaimKeys
from app.services.lane import as_order
from app.settings import load_settings
from app.storage import database as storage
from app.storage.orders import insert_orders, orders_of_customers
from app.storage.placement import HomeView
from app.storage.sales import find_sale
from app.storage.stock import read_shard, write_shards

BACKOFF_MS_VARIABLE = "FAIRDROP_BENCH_BACKOFF_MS"
THREADS_VARIABLE = "FAIRDROP_BENCH_THREADS"
SALE_VARIABLE = "FAIRDROP_BENCH_SALE"

_ANSWER = {
    "order_id": "00000000-0000-5000-8000-000000000000",
    "sale_id": "bare",
    "status": "PENDING",
    "units": 1,
    "unit_price_minor": 49900,
    "currency": "EUR",
    "position": {"placed_at": "2026-11-27T12:00:00.000000Z", "shard_id": 0, "seq": 0},
    "due_at": "2026-11-27T12:10:00.000000Z",
}


def app_with_sale(name: str, framework: type[Flask] = Flask) -> Flask:
    """An app that answers what a rush asks before it starts."""
    app = framework(name, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = load_settings().max_body_bytes

    @app.get("/v1/sales/<sale_id>")
    def show(sale_id: str) -> Response:
        return json_response(
            {
                "sale_id": sale_id,
                "phase": "open",
                "limit_per_customer": 1,
                "unit_price_minor": _ANSWER["unit_price_minor"],
                "stock_left": stock_left(1, 1),
            }
        )

    return app


def _answer(sale_id: str) -> Response:
    """The service's answer, headers and all, as Flask's own response."""
    headers = (*SECURITY_HEADERS, NO_STORE)
    return Response(orjson.dumps({**_ANSWER, "sale_id": sale_id}), 201, headers, content_type="application/json")


def bare() -> Flask:
    """Validates the JSON of an order, and answers with one that never was."""
    app = app_with_sale("bare")

    @app.post("/v1/sales/<sale_id>/orders")
    def place(sale_id: str) -> Response:
        parse_body(PlaceOrder, request.get_data(cache=False))
        return _answer(sale_id)

    tune_interpreter()
    return app


def lean() -> Flask:
    """What `bare` does, by the service's own framework, request and answer: a step of the budget."""
    app = app_with_sale("lean", LeanFlask)

    @app.post("/v1/sales/<sale_id>/orders")
    def place(sale_id: str) -> Response:
        read_body(PlaceOrder)
        return json_response({**_ANSWER, "sale_id": sale_id}, 201)

    tune_interpreter()
    return app


def lean_with_token() -> Flask:
    """What `lean` does, and the checks of the key and the token: the next step."""
    verifier = TokenVerifier(load_settings())
    app = app_with_sale("lean-with-token", LeanFlask)

    @app.post("/v1/sales/<sale_id>/orders")
    def place(sale_id: str) -> Response:
        idempotency_key()
        read_body(PlaceOrder)
        verifier.verify(request.environ.get("HTTP_AUTHORIZATION"))
        return json_response({**_ANSWER, "sale_id": sale_id}, 201)

    tune_interpreter()
    return app


def order_by_order() -> Flask:
    """A transaction an order, all at once, with a tuned first wait after an abort."""
    storage.ABORT_DELAY_SECONDS = float(os.environ[BACKOFF_MS_VARIABLE]) / 1000
    return _order_by_order(nullcontext())


def order_by_order_in_turn() -> Flask:
    """A transaction an order, one at a time in this process: no aborts."""
    return _order_by_order(threading.Lock())


def _order_by_order(turn: AbstractContextManager[Any]) -> Flask:
    settings = load_settings()
    database = storage.connect(settings)
    verifier = TokenVerifier(settings)
    app = app_with_sale("order-by-order")
    pool: Any = get_hub().threadpool
    pool.maxsize = int(os.environ[THREADS_VARIABLE])
    run = greenlets.Greenlets().run
    with storage.snapshot(database) as reads:
        sale = find_sale(reads, os.environ[SALE_VARIABLE])
    if sale is None:
        raise SystemExit("the bench's sale is missing")

    def place_one(wanted: OrderRequest) -> Any:
        with turn:
            return storage.transact(database, "place-one", _place_one, sale, wanted)

    app.post("/v1/sales/<sale_id>/orders")(_view(verifier, sale, run, place_one))
    tune_interpreter()
    return app


def _view(verifier: TokenVerifier, sale: Sale, run: Any, place_one: Callable[[OrderRequest], Any]) -> Any:
    claims = ClaimKeys(DEVELOPMENT_KEY)

    def place(sale_id: str) -> Response:
        wanted = asked_for(verifier, sale_id)
        try:
            (decision, shard), committed = run(place_one, wanted)
        except FairdropError as error:
            return error_response(error)
        outcome = decision.outcomes[0]
        if not isinstance(outcome, NewOrder):
            return error_response(StorageUnavailable("the bench's sale has run out", 1))
        order = as_order(outcome, HomeView(sale, shard), wanted.received_at, committed)
        return json_response(order_body(order, claims), 201)

    return place


def asked_for(verifier: TokenVerifier, sale_id: str) -> OrderRequest:
    """What this request asks for, its token, key and body checked as the service checks them."""
    received_at = datetime.now(UTC)
    key, body = idempotency_key(), read_body(PlaceOrder)
    customer = verifier.verify(request.environ.get("HTTP_AUTHORIZATION")).subject
    return OrderRequest(
        customer,
        order_id(sale_id, customer, key),
        body.units,
        fingerprint(body.units, body.payment_method),
        body.payment_method,
        received_at,
    )


def _place_one(transaction: Transaction, sale: Sale, wanted: OrderRequest) -> tuple[Decision, ShardState]:
    """One order in one read-write transaction: its customer's orders and one shard are read, then written."""
    shard_id = int(wanted.order_id[:4], 16) % sale.shard_count
    existing = orders_of_customers(transaction, sale.sale_id, [wanted.customer_id])
    shard = read_shard(transaction, sale.sale_id, shard_id)
    if shard is None:
        raise StorageUnavailable("the bench's sale is missing", 1)
    decision = decide(sale, shard, [], existing, [wanted])
    if not isinstance(decision, Decision):
        raise AssertionError("a decision over one shard asked for more")
    insert_orders(transaction, sale, shard_id, decision.new_orders, wanted.received_at)
    write_shards(transaction, sale.sale_id, decision.shards, decision.cause, "bench")
    return decision, shard
