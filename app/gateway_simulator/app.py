"""The simulator's HTTP interface. Answers: 201 done, 402 declined, 409 the key was used otherwise, 422 the request is wrong.

`POST /authorizations`, `POST /authorizations/ID/capture|void|refund`, each with an `Idempotency-Key`; `GET /book`, a JSON line
an authorization; `PUT /behaviour`, JSON of how it behaves from now on, and an empty object for how it was started.
"""

import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Annotated, Any

import orjson
from flask import Flask, Response, request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.gateway_simulator.book import Book, Instruction, Reply
from app.gateway_simulator.options import Behaviour, Fate, Options, decline_reason, fate

MAX_BODY_BYTES = 4_096
MAX_KEY_LENGTH = 255
MAX_AMOUNT_MINOR = 10**15


class _Money(BaseModel):
    """What every operation says: how much, of what."""

    model_config = ConfigDict(strict=True, extra="forbid")

    amount_minor: Annotated[int, Field(ge=1, le=MAX_AMOUNT_MINOR)]
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]


class _Authorization(_Money):
    """What an authorization says besides."""

    order_id: Annotated[str, Field(min_length=1, max_length=64)]
    payment_method: Annotated[str, Field(min_length=1, max_length=256)]


class _Desk:
    """What one process has at hand: its options, its book, and how it behaves now. Every process has its own."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.book = Book(options.book)
        self.behaviour: Behaviour = options


def create(options_json: str) -> Flask:
    """The app of one process, for gunicorn; `options_json` is an Options."""
    desk = _Desk(Options.model_validate_json(options_json))
    app = Flask("gateway_simulator", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES

    @app.get("/healthz")
    def healthz() -> Response:
        return _response(Reply(200, {"status": "alive"}))

    @app.get("/book")
    def entries() -> Response:
        return Response(_lines(desk.book), content_type="application/jsonl")

    @app.put("/behaviour")
    def behave() -> Response:
        told = request.get_data()
        try:
            desk.behaviour = Behaviour.model_validate_json(told) if told != b"{}" else desk.options
        except ValidationError as error:
            return _response(Reply(422, {"reason": f"invalid_{_first_field(error)}"}))
        return _response(Reply(200, {"status": "understood"}))

    @app.post("/authorizations")
    def authorize() -> Response:
        return _take(desk, "authorize", "", _Authorization)

    @app.post("/authorizations/<authorization_id>/<any(capture, void, refund):operation>")
    def operate(authorization_id: str, operation: str) -> Response:
        return _take(desk, operation, authorization_id, _Money)

    return app


def _take(desk: _Desk, operation: str, authorization_id: str, shape: type[_Money]) -> Response:
    book, options, behaviour = desk.book, desk.options, desk.behaviour
    key = request.headers.get("Idempotency-Key", "")
    if not 1 <= len(key) <= MAX_KEY_LENGTH:
        return _response(Reply(422, {"reason": "idempotency_key_missing"}))
    try:
        fields = shape.model_validate_json(request.get_data()).model_dump()
    except ValidationError as error:
        return _response(Reply(422, {"reason": f"invalid_{_first_field(error)}"}))
    kind, delay_seconds = fate(behaviour, options.seed, key, book.count_try(key))
    time.sleep(delay_seconds)
    if kind is Fate.FAILED:
        return _response(Reply(503, {"reason": "out_of_order"}))
    reply = book.perform(
        key,
        Instruction(operation, authorization_id, fields),
        lambda payment_method: decline_reason(options, operation, key, payment_method),
    )
    if kind is Fate.HELD:
        time.sleep(behaviour.hold_seconds)
    if kind is Fate.LOST:
        _hang_up()
    if kind is Fate.GARBLED:
        return Response("<html>thank you for your payment</html>", reply.status, content_type="text/html")
    return _response(reply)


def _first_field(error: ValidationError) -> str:
    return ".".join(map(str, error.errors()[0]["loc"])) or "body"


def _hang_up() -> None:
    """Close the connection under the answer that is about to be written; gunicorn takes that for a client's leaving."""
    connection: socket.socket = request.environ["gunicorn.socket"]
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _response(reply: Reply) -> Response:
    return Response(orjson.dumps(reply.body), reply.status, content_type="application/json")


def _lines(book: Book) -> Iterator[bytes]:
    entry: dict[str, Any]
    for entry in book.entries():
        yield orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE)
