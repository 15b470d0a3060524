"""Where spans go: nowhere, to stdout, to a collector by OTLP, or to Cloud Trace. A thread of their own sends them.

Under gunicorn that thread is a plain one beside the hub, like the lanes': a collector that hangs holds up nothing but spans.
"""

import logging
import os
import socket
import sys
import threading
from collections.abc import Callable, Sequence

import google.auth
from google.auth.transport.requests import AuthorizedSession
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from app.domain.trace_context import Sampling
from app.settings import Settings
from app.tracing.spans import NO_TRACES, Traces

_log = logging.getLogger(__name__)

CLOUD_TRACE_URL = "https://telemetry.googleapis.com/v1/traces"
"""Google's own OTLP endpoint: what they advise instead of their older exporter, whose format knows less."""

CLOUD_SCOPE = "https://www.googleapis.com/auth/trace.append"

QUEUE_SPANS = 4_096
"""Spans kept while the collector does not answer, some 8 MB; past it the oldest are dropped."""

PAGE_SPANS = 512
EVERY_MS = 1_000
CALL_SECONDS = 5.0
FLUSH_SECONDS = 2.0
"""How long a process that ends waits for its last spans to be taken: a part of the ten seconds it has."""

MAX_LINKS = 500
"""A batch has one to each of its traced orders, and no batch has more (FAIRDROP_BATCH_LIMIT)."""


class SpansOut(SpanExporter):
    """Another exporter, whose failures are told once, and once more when it is over: not at every page, for as long as it lasts."""

    def __init__(self, inner: SpanExporter) -> None:
        """Take the place of the other's own log lines."""
        self._inner = inner
        self._lost = 0
        # Both say at every try that they failed, and the queue at every span that it is full.
        for name in ("opentelemetry.exporter", "opentelemetry.sdk"):
            logging.getLogger(name).setLevel(logging.CRITICAL)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Hand the spans over; those that nobody takes are gone."""
        try:
            result = self._inner.export(spans)
        except (
            Exception
        ) as error:  # whatever a collector or its credentials do: spans are never worth more than this line
            _log.debug("spans could not be sent: %s", error)
            result = SpanExportResult.FAILURE
        if result is SpanExportResult.SUCCESS:
            if self._lost:
                _log.info("traces are taken again; some %d spans were lost", self._lost)
            self._lost = 0
        else:
            if not self._lost:
                _log.warning("nobody takes our traces; they are dropped until somebody does")
            self._lost += len(spans)
        return result

    def shutdown(self) -> None:
        """No more will come."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing is kept here."""
        return self._inner.force_flush(timeout_millis)


def start_traces(settings: Settings, role: str) -> tuple[Traces, Callable[[], None]]:
    """The traces of one process, and what to call before it ends, which takes FLUSH_SECONDS at most. After the fork.

    `role` is what the spans' service is called by. Raises google.auth's DefaultCredentialsError when Cloud Trace is wanted and
    nobody is signed in.
    """
    exporter = _exporter(settings)
    if exporter is None:
        return NO_TRACES, lambda: None
    resource = Resource.create(
        {
            "service.namespace": "fairdrop",
            "service.name": f"fairdrop-{role}",
            "service.instance.id": f"{socket.gethostname()}:{os.getpid()}",
            "gcp.project_id": settings.spanner_project,
        }
    )
    # Not the global provider: Spanner's and Pub/Sub's clients would make spans of every call, for every order.
    provider = TracerProvider(
        ALWAYS_ON, resource, shutdown_on_exit=False, span_limits=SpanLimits(max_span_attributes=32, max_links=MAX_LINKS)
    )
    provider.add_span_processor(BatchSpanProcessor(SpansOut(exporter), QUEUE_SPANS, EVERY_MS, PAGE_SPANS))
    sampling = Sampling(settings.traces_sample, settings.traces_per_second)
    return Traces(provider.get_tracer("fairdrop"), sampling), lambda: _flush(provider)


def _exporter(settings: Settings) -> SpanExporter | None:
    match settings.traces:
        case "console":
            return ConsoleSpanExporter(out=sys.stdout, formatter=lambda span: f"{span.to_json(indent=None)}\n")
        case "otlp":
            return OTLPSpanExporter(timeout=CALL_SECONDS)
        case "cloud":
            credentials, _ = google.auth.default(scopes=[CLOUD_SCOPE])
            return OTLPSpanExporter(CLOUD_TRACE_URL, timeout=CALL_SECONDS, session=AuthorizedSession(credentials))
    return None


def _flush(provider: TracerProvider) -> None:
    """Not the provider's own flush, which waits for as long as the collector likes."""
    last = threading.Thread(target=provider.shutdown, name="last-spans", daemon=True)
    last.start()
    last.join(FLUSH_SECONDS)
