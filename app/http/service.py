"""The service's own addresses: alive, ready, and the documents about the interface."""

from functools import cache
from typing import Any

import orjson
from flask import Blueprint, Flask, Response, current_app, render_template

from app.domain.errors import StorageUnavailable
from app.http.answer_models import Health
from app.http.api import Api
from app.http.openapi import Operation, build_document, documented
from app.http.problems import HTTP_PROBLEMS, PROBLEMS, TYPE_PREFIX
from app.http.responses import SECURITY_HEADERS, json_response
from app.services.readiness import check_database


def service_blueprint(api: Api) -> Blueprint:
    """The service's views."""
    views = Blueprint("service", __name__, template_folder="templates")

    @views.get("/healthz")
    @documented(Operation("Is the process alive?", "service", {200: Health}, secured=False, limited=False))
    def healthz() -> Response:
        return json_response({"status": "alive"})

    @views.get("/readyz")
    @documented(
        Operation(
            "Can it take orders?",
            "service",
            {200: Health},
            errors=(StorageUnavailable,),
            secured=False,
            limited=False,
            description="503 while the database does not answer or lacks the schema.",
        )
    )
    def readyz() -> Response:
        api.concurrency.run(check_database, api.database, api.placement.clock)
        return json_response({"status": "ready"})

    @views.get("/openapi.json")
    @documented(Operation("This document", "service", {200: None}, secured=False))
    def openapi() -> Response:
        return json_response(_document(_app()))

    @views.get("/docs")
    @documented(Operation("This document as a page", "service", {200: None}, secured=False))
    def docs() -> Response:
        problems = [(TYPE_PREFIX + kind.name, kind.status, kind.title) for kind in PROBLEMS.values()]
        problems += [(TYPE_PREFIX + name, status, title) for status, (name, title) in HTTP_PROBLEMS.items()]
        page = render_template("docs.html", document=_document(_app()), problems=sorted(problems))
        return Response(page, headers=[*SECURITY_HEADERS], content_type="text/html; charset=utf-8")

    @views.get("/docs.css")
    def style() -> Response:
        return Response(render_template("docs.css"), headers=[*SECURITY_HEADERS], content_type="text/css")

    views.add_app_template_filter(_rule_text, "rule_text")
    return views


def _rule_text(rule: dict[str, Any]) -> str:
    """A field's schema without what stands beside it anyway."""
    return orjson.dumps({key: value for key, value in rule.items() if key not in ("description", "title")}).decode()


def _app() -> Flask:
    app: Any = current_app
    real: Flask = app._get_current_object()  # Flask's documented way to the app behind the proxy
    return real


@cache
def _document(app: Flask) -> dict[str, Any]:
    return build_document(app)
