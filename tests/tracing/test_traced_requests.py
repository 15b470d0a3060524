"""A request that is traced has a span by its rule and its answer, and its log lines name that span."""

from typing import Any

import pytest
from flask import Flask
from opentelemetry.trace import SpanKind, StatusCode
from tracing_samples import MemoryTraces
from werkzeug.test import TestResponse

from app.http.traces import current_span, current_trace, trace_requests
from app.tracing.spans import NO_TRACES, Traces

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACED = {"traceparent": f"00-{TRACE}-{CALLER}-01"}
PATH = "/v1/orders/of-anna?token=eyJhbGciOi"


def app_with(traces: Traces) -> tuple[Flask, list[Any]]:
    app, seen = Flask("traced"), []

    @app.get("/v1/orders/<order_id>")
    @app.get("/healthz")
    def show(order_id: str = "") -> str:
        seen.extend((current_span(), current_trace()))
        return order_id

    @app.get("/v1/fault")
    def fault() -> str:
        raise RuntimeError("anna")

    trace_requests(app, traces)
    return app, seen


def get(app: Flask, path: str, headers: dict[str, str]) -> TestResponse:
    return app.test_client().get(path, headers=headers)


def test_a_span_says_the_rule_and_not_the_address() -> None:
    traces = MemoryTraces(share=0.0)
    app, seen = app_with(traces)
    assert get(app, PATH, TRACED).status_code == 200
    (span,) = traces.by_name.values()
    assert (span.name, span.kind) == ("GET /v1/orders/<order_id>", SpanKind.SERVER)
    assert span.attributes == {
        "http.request.method": "GET",
        "http.route": "/v1/orders/<order_id>",
        "http.response.status_code": 200,
    }
    assert span.parent is not None
    assert (f"{span.parent.trace_id:032x}", f"{span.parent.span_id:016x}") == (TRACE, CALLER)
    logged = seen[1]
    assert (logged.trace_id, int(logged.span_id, 16), logged.is_sampled) == (TRACE, span.context.span_id, True)


@pytest.mark.parametrize(
    ("path", "headers", "share"),
    [
        (PATH, {}, 0.0),
        (PATH, {"traceparent": f"00-{TRACE}-{CALLER}-00"}, 0.0),
        ("/healthz", TRACED, 1.0),
    ],
)
def test_what_is_not_traced_has_no_span_and_its_log_lines_the_caller_s_trace(
    path: str, headers: dict[str, str], share: float
) -> None:
    traces = MemoryTraces(share)
    app, seen = app_with(traces)
    assert get(app, path, headers).status_code == 200
    assert traces.by_name == {}
    assert seen[0] is None
    assert (seen[1].span_id if headers else seen[1]) == (CALLER if headers else None)


def test_a_fault_is_marked_and_its_text_is_not_told() -> None:
    traces = MemoryTraces()
    app, _ = app_with(traces)
    assert get(app, "/v1/fault", {}).status_code == 500
    span = traces.by_name["GET /v1/fault"]
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "status 500")
    assert not span.events


def test_an_address_that_does_not_exist_is_not_repeated() -> None:
    traces = MemoryTraces()
    app, _ = app_with(traces)
    assert get(app, "/v1/anna@example.com", {}).status_code == 404
    assert list(traces.by_name) == ["GET"]
    assert "anna" not in repr(traces.by_name["GET"].to_json())


def test_what_stands_where_a_method_should_is_not_repeated() -> None:
    traces = MemoryTraces()
    app, _ = app_with(traces)
    assert app.test_client().open("/v1/orders/1", method="ANNA").status_code == 405
    assert list(traces.by_name) == ["_OTHER"]
    assert "ANNA" not in traces.by_name["_OTHER"].to_json()


def test_without_traces_the_app_is_as_it_was() -> None:
    app = Flask("plain")
    before = app.wsgi_app
    trace_requests(app, NO_TRACES)
    assert app.wsgi_app == before
