"""A collector for one machine: takes spans by OTLP over HTTP and keeps the latest, for tests, benches and `fairdrop traces`."""

import gzip
import threading
import zlib
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage
from opentelemetry.proto.trace.v1.trace_pb2 import Status

PATH = "/v1/traces"
SPANS_KEPT = 100_000
MAX_BODY_BYTES = 16 * 1024 * 1024
"""Of a page of spans: ours have 512 at most, and each less than a kilobyte and its links."""


@dataclass(frozen=True, slots=True)
class SeenSpan:
    """A span as it came. Ids in small hex digits; `parent_id` is empty for a root; times in nanoseconds of the epoch. `links` are
    (trace id, span id).
    """

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: str
    service: str
    started_ns: int
    ended_ns: int
    attributes: Mapping[str, Any]
    links: tuple[tuple[str, str], ...]
    is_failed: bool


class Collector:
    """The latest SPANS_KEPT spans that came. Thread-safe."""

    def __init__(self) -> None:
        """Nothing has come yet."""
        self._lock = threading.Lock()
        self._spans: deque[SeenSpan] = deque(maxlen=SPANS_KEPT)
        self.url = ""

    @property
    def spans(self) -> list[SeenSpan]:
        """What there is."""
        with self._lock:
            return list(self._spans)

    def take(self, body: bytes) -> None:
        """A request's body. Raises DecodeError."""
        request = ExportTraceServiceRequest.FromString(body)
        came = list(_spans(request))
        with self._lock:
            self._spans.extend(came)


def _spans(request: ExportTraceServiceRequest) -> Iterator[SeenSpan]:
    for resource_spans in request.resource_spans:
        service = str(_attributes(resource_spans.resource.attributes).get("service.name", "unknown"))
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                yield SeenSpan(
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    span.name,
                    SpanMessage.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
                    service,
                    span.start_time_unix_nano,
                    span.end_time_unix_nano,
                    _attributes(span.attributes),
                    tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
                    span.status.code == Status.STATUS_CODE_ERROR,
                )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair) for pair in pairs}


def _value(pair: KeyValue) -> Any:
    value: AnyValue = pair.value
    kind = value.WhichOneof("value")
    return getattr(value, kind) if kind is not None else None


@contextmanager
def collecting(port: int = 0, host: str = "127.0.0.1") -> Iterator[Collector]:
    """A collector that listens for the length of a block; port 0: any that is free. Raises OSError when the port is taken."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:  # the name is the standard library's
            status = self._take()
            body = ExportTraceServiceResponse().SerializeToString()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _take(self) -> int:
            length = self.headers.get("Content-Length", "")
            if self.path != PATH or not length.isdigit() or int(length) > MAX_BODY_BYTES:
                self.close_connection = True
                return 400
            body = self.rfile.read(int(length))
            try:
                collector.take(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
            except (DecodeError, OSError, EOFError, zlib.error):
                return 400
            return 200

        def log_message(self, *_: Any) -> None:
            """Not a line for every page."""

    server = ThreadingHTTPServer((host, port), Handler)
    server.daemon_threads = True
    collector.url = f"http://{host}:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="collector", daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
