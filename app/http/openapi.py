"""The OpenAPI 3.1 document, made from the models that validate, and a page that reads it out.

Each view carries an Operation; the document is built once from them. The libraries for this parse and check requests in their
own way (docs/dependencies.md), so here they would be slower and would answer with something else than our problems.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from flask import Flask
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from app import __version__
from app.domain.errors import RateLimited
from app.domain.orders import MAX_IDEMPOTENCY_KEY_LENGTH
from app.http.answer_models import Problem
from app.http.problems import HTTP_PROBLEMS, PROBLEMS
from app.http.requests import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE

View = TypeVar("View", bound=Callable[..., Any])

IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "Made by the client, once for each order it wants; a retry sends the same one and finds the same order.",
    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_IDEMPOTENCY_KEY_LENGTH, "pattern": "^[!-~]+$"},
}


EVENT_STREAM = "text/event-stream"

_OF_A_BODY = (413, 415)
"""What the framework refuses of a body."""


def query(name: str, description: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """A query parameter that may be left out."""
    return {"name": name, "in": "query", "required": False, "description": description, "schema": dict(schema)}


PAGE_PARAMETERS = (
    query(
        "page_size",
        "At most so many.",
        {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE, "default": DEFAULT_PAGE_SIZE},
    ),
    query("page_token", "Where an earlier page ended.", {"type": "string"}),
)
"""Of every list."""


@dataclass(frozen=True, slots=True)
class Operation:
    """What a view promises: its body, its answers by status and their type, the errors it may answer with, its parameters.

    `links`: ids of operations that take this one's path parameters, and the `order_id` of its answer.
    `limited`: whether it may be asked too often (app/http/rate_limits.py).
    """

    summary: str
    tag: str
    answers: Mapping[int, type[BaseModel] | None]
    body: type[BaseModel] | None = None
    errors: tuple[type[Exception], ...] = ()
    parameters: tuple[Mapping[str, Any], ...] = ()
    secured: bool = True
    limited: bool = True
    description: str = ""
    media_type: str = "application/json"
    event: str = "order"  # of a stream: the name of its events
    links: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)


def documented(operation: Operation) -> Callable[[View], View]:
    """Attach an operation to a view."""

    def attach(view: View) -> View:
        view.__operation__ = operation  # type: ignore[attr-defined]  # functions take attributes
        return view

    return attach


def _operations(app: Flask) -> list[tuple[str, str, str, Operation]]:
    """(path template, method, operation id, operation) of each documented view, in the order of the addresses."""
    found: list[tuple[str, str, str, Operation]] = []
    for rule in app.url_map.iter_rules():
        operation = getattr(app.view_functions[rule.endpoint], "__operation__", None)
        if operation is not None:
            path = re.sub(r"<(?:[^:<>]+:)?([^<>]+)>", r"{\1}", rule.rule)
            found.extend(
                (path, method.lower(), rule.endpoint.replace(".", "_"), operation)
                for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
            )
    return sorted(found, key=lambda row: (row[0], row[1]))


def _problem_answers(operation: Operation, references: Mapping[Any, Any]) -> dict[str, Any]:
    by_status: dict[int, list[str]] = {}
    if operation.limited:
        by_status[429] = [PROBLEMS[RateLimited].name]
    for error in operation.errors:
        kind = PROBLEMS[error]
        by_status.setdefault(kind.status, []).append(kind.name)
    if operation.body is not None:
        for status in _OF_A_BODY:
            by_status.setdefault(status, []).append(HTTP_PROBLEMS[status][0])
    answers = {str(status): "Problem: " + ", ".join(sorted(names)) for status, names in sorted(by_status.items())}
    answers["default"] = "Any other problem: of the protocol (docs/errors.md), or 500, internal."
    content = {"application/problem+json": {"schema": references[Problem]}}
    return {status: {"description": description, "content": content} for status, description in answers.items()}


def _event_of(data: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Each server-sent event, with its data (as OpenAPI 3.2 describes them, section 4.14.4)."""
    text = {"type": "string", "contentMediaType": "application/json", "contentSchema": dict(data)}
    fields = {"id": {"type": "string"}, "event": {"type": "string", "const": name}, "data": text}
    return {"type": "object", "properties": fields}


def _link(name: str, path_parameters: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """From an answer that is an order to an operation on it."""
    same = {parameter["name"]: f"$request.path.{parameter['name']}" for parameter in path_parameters}
    return {"operationId": name, "parameters": {**same, "order_id": "$response.body#/order_id"}}


def _operation_object(path: str, name: str, operation: Operation, references: Mapping[Any, Any]) -> dict[str, Any]:
    path_parameters = [
        {"name": parameter, "in": "path", "required": True, "schema": {"type": "string"}}
        for parameter in re.findall(r"{([^}]+)}", path)
    ]
    answers: dict[str, Any] = {}
    for status, model in operation.answers.items():
        answer: dict[str, Any] = {"description": (model.__doc__ or "").strip() if model else "Done."}
        if model is not None:
            schema = (
                references[model]
                if operation.media_type != EVENT_STREAM
                else _event_of(references[model], operation.event)
            )
            answer["content"] = {operation.media_type: {"schema": schema}}
        if operation.links:
            answer["links"] = {name: _link(name, path_parameters) for name in operation.links}
        answers[str(status)] = answer
    described: dict[str, Any] = {
        "operationId": name,
        "summary": operation.summary,
        "tags": [operation.tag],
        "parameters": [*path_parameters, *operation.parameters],
        "responses": {**answers, **_problem_answers(operation, references)},
        **operation.extra,
    }
    if operation.description:
        described["description"] = operation.description
    if operation.body is not None:
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": references[operation.body]}},
        }
    if operation.secured:
        described["security"] = [{"bearer": []}]
    return described


def build_document(app: Flask) -> dict[str, Any]:
    """The document of all documented views of the app."""
    operations = _operations(app)
    requests = {op.body for *_, op in operations if op.body is not None}
    answers = {model for *_, op in operations for model in op.answers.values() if model is not None} | {Problem}
    wanted = [(model, "validation") for model in sorted(requests, key=lambda m: m.__name__)]
    wanted += [(model, "serialization") for model in sorted(answers, key=lambda m: m.__name__)]
    schemas, definitions = models_json_schema(wanted, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
    references: dict[Any, Any] = {model: reference for (model, _mode), reference in schemas.items()}
    paths: dict[str, Any] = {}
    for path, method, name, operation in operations:
        paths.setdefault(path, {})[method] = _operation_object(path, name, operation, references)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Fairdrop",
            "version": __version__,
            "description": "A flash-sale order service: first come, first served, never a unit too many, never one unsold.",
        },
        "paths": paths,
        "components": {
            "schemas": definitions.get("$defs", {}),
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }
