"""Reading a request: the body by its model, the key, the page, each refused with the field and the rule."""

import base64
import binascii
from typing import TypeVar

import orjson
from flask import current_app, request
from pydantic import BaseModel, ValidationError
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge, UnsupportedMediaType

from app.domain.errors import InvalidValue
from app.domain.orders import MAX_IDEMPOTENCY_KEY_LENGTH

Model = TypeVar("Model", bound=BaseModel)

_JSON = "application/json"

MAX_PAGE_SIZE = 100
DEFAULT_PAGE_SIZE = 20


def read_body(model: type[Model]) -> Model:
    """The body as a model. Raises InvalidValue for the first rule broken, UnsupportedMediaType for anything but JSON, and
    RequestEntityTooLarge.
    """
    environ = request.environ
    length = environ.get("CONTENT_LENGTH", "")
    if (
        environ.get("CONTENT_TYPE") == _JSON
        and length.isdecimal()
        and int(length) <= current_app.config["MAX_CONTENT_LENGTH"]
    ):
        body = environ["wsgi.input"].read(int(length))
        if len(body) == int(length):
            return parse_body(model, body)
        raise ClientDisconnected
    return parse_body(model, _body_by_the_framework())


def _body_by_the_framework() -> bytes:
    """The body of a request that is not as our clients send it, or too large."""
    if request.mimetype != _JSON:
        raise UnsupportedMediaType("the body must be application/json")
    body = request.get_data(cache=False)
    # Of a body in chunks the framework reads as much as is allowed, and does not say that there is more.
    in_chunks = request.content_length is None and request.environ.get("wsgi.input_terminated")
    if in_chunks and request.environ["wsgi.input"].read(1):
        raise RequestEntityTooLarge
    return body


def parse_body(model: type[Model], body: bytes) -> Model:
    """JSON text as a model; raises InvalidValue for the first rule broken."""
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "body"
        raise InvalidValue(field=field, rule=first["msg"]) from None


def idempotency_key() -> str:
    """The Idempotency-Key header: 1 to 255 visible ASCII characters. Raises InvalidValue."""
    key: str = request.environ.get("HTTP_IDEMPOTENCY_KEY", "")
    if not key:
        raise InvalidValue(
            field="Idempotency-Key", rule="is required: a new one for each order, the same for its retries"
        )
    if len(key) > MAX_IDEMPOTENCY_KEY_LENGTH:
        raise InvalidValue(field="Idempotency-Key", rule=f"must have at most {MAX_IDEMPOTENCY_KEY_LENGTH} characters")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise InvalidValue(field="Idempotency-Key", rule="must be visible ASCII characters without spaces")
    return key


def page_size() -> int:
    """`page_size` of the query, 1 to 100. Raises InvalidValue."""
    return query_number("page_size", 1, MAX_PAGE_SIZE) or DEFAULT_PAGE_SIZE


def query_number(name: str, minimum: int, maximum: int) -> int | None:
    """A whole number of the query, or None when it is left out. Raises InvalidValue."""
    text = request.args.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(maximum)) and minimum <= int(text) <= maximum):
        raise InvalidValue(field=name, rule=f"must be from {minimum} to {maximum}")
    return int(text)


def page_token(parts: int) -> tuple[str, ...] | None:
    """`page_token` of the query as so many texts, or None when it is left out. Raises InvalidValue."""
    token = request.args.get("page_token")
    if not token:
        return None
    try:
        values = orjson.loads(base64.urlsafe_b64decode(token.encode()))
    except (binascii.Error, ValueError):
        values = None
    if not (isinstance(values, list) and len(values) == parts and all(isinstance(v, str) for v in values)):
        raise InvalidValue(field="page_token", rule="must be a next_page_token of an earlier answer")
    return tuple(values)


def as_page_token(values: tuple[str, ...] | None) -> str | None:
    """Where the next page begins, for the client to send back; None when there is none."""
    return base64.urlsafe_b64encode(orjson.dumps(list(values))).decode() if values is not None else None
