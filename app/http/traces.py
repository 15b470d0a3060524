"""The trace that the request at hand belongs to, for its log lines; and the span of a request that is traced."""

from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask, has_request_context, request
from opentelemetry.trace import Span

from app.domain.trace_context import TraceContext, parse_cloud_trace, parse_traceparent
from app.logs import Trace
from app.tracing.spans import Traces, failed

TRACED_PATHS = "/v1/"
"""Health checks and pages tell nobody anything by a trace."""

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"})
OTHER_METHOD = "_OTHER"
"""As OpenTelemetry calls whatever else a client puts in a method's place."""

_SPAN = "fairdrop.span"
_FAULT = 500

_Environ = dict[str, Any]
_StartResponse = Callable[..., Any]


def caller(environ: _Environ) -> TraceContext | None:
    """By `traceparent` (W3C), else by `X-Cloud-Trace-Context` (Google); None without such a header."""
    text = environ.get("HTTP_TRACEPARENT")
    context = parse_traceparent(text) if text else None
    if context is None:
        text = environ.get("HTTP_X_CLOUD_TRACE_CONTEXT")
        context = parse_cloud_trace(text) if text else None
    return context


def current_span() -> Span | None:
    """The span of the request at hand; None when it is not traced."""
    span: Span | None = request.environ.get(_SPAN)
    return span


def current_trace() -> Trace | None:
    """The request's own span, else what its headers name. Asked for only when a log line is written; None without a request."""
    if not has_request_context():
        return None
    span = current_span()
    if span is not None:
        own = span.get_span_context()
        return Trace(f"{own.trace_id:032x}", f"{own.span_id:016x}", is_sampled=True)
    context = caller(request.environ)
    return Trace(context.trace_id, context.span_id) if context is not None else None


def trace_requests(app: Flask, traces: Traces) -> None:
    """Give each request that is traced a span, until its answer begins. Costs the others a look at two headers and a random number;
    and nothing while no traces are wanted.
    """
    if traces.is_on:
        app.wsgi_app = _Traced(app.wsgi_app, traces)  # type: ignore[method-assign]  # Flask's documented way


class _Traced:
    """The app, with spans around it."""

    def __init__(self, inner: Callable[[_Environ, _StartResponse], Iterable[bytes]], traces: Traces) -> None:
        self._inner = inner
        self._traces = traces

    def __call__(self, environ: _Environ, start_response: _StartResponse) -> Iterable[bytes]:
        if not environ["PATH_INFO"].startswith(TRACED_PATHS):
            return self._inner(environ, start_response)
        sent: str = environ["REQUEST_METHOD"]
        method = sent if sent in METHODS else OTHER_METHOD
        span = self._traces.request(caller(environ), method, {"http.request.method": method})
        if span is None:
            return self._inner(environ, start_response)
        environ[_SPAN] = span

        def answer(status: str, *args: Any, **kwargs: Any) -> Any:
            # Here, where the framework still knows the request.
            _name(span, method, environ)
            code = int(status[:3])
            span.set_attribute("http.response.status_code", code)
            if code >= _FAULT:
                failed(span, f"status {code}")
            return start_response(status, *args, **kwargs)

        try:
            return self._inner(environ, answer)
        finally:
            span.end()


def _name(span: Span, method: str, environ: _Environ) -> None:
    """By the rule that the address met, which says no more than it may: an address has ids, and whatever a client puts there."""
    rule = getattr(environ.get("werkzeug.request"), "url_rule", None)
    if rule is not None:
        span.set_attribute("http.route", rule.rule)
        span.update_name(f"{method} {rule.rule}")
