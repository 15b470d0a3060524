"""Where spans go, and what is said when nobody takes them."""

import logging
from collections.abc import Sequence
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from app.domain.trace_context import parse_traceparent
from app.local.collector import Collector, collecting
from app.settings import Settings
from app.tracing.export import SpansOut, start_traces
from app.tracing.spans import NO_TRACES, Traces

CALLER = parse_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")


class Scripted(SpanExporter):
    """Answers in turn; an exception is raised."""

    def __init__(self, *answers: SpanExportResult | Exception) -> None:
        self._answers = iter(answers)

    def export(self, _spans: Sequence[ReadableSpan]) -> SpanExportResult:
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        return answer


def a_span(traces: Traces) -> None:
    span = traces.request(CALLER, "order", {"fairdrop.sale.id": "phones"})
    assert span is not None
    span.end()


def test_an_outage_is_told_once_and_its_end_with_the_number_of_spans_lost(caplog: pytest.LogCaptureFixture) -> None:
    away, back = SpanExportResult.FAILURE, SpanExportResult.SUCCESS
    out = SpansOut(Scripted(away, OSError("collector"), away, back, back, away))
    page: Any = [object()] * 5
    with caplog.at_level(logging.INFO):
        for _ in range(6):
            out.export(page)
    said = [record.message for record in caplog.records]
    assert said == [
        "nobody takes our traces; they are dropped until somebody does",
        "traces are taken again; some 15 spans were lost",
        "nobody takes our traces; they are dropped until somebody does",
    ]


def test_a_process_that_ends_has_sent_its_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        traces, flush = start_traces(Settings(traces="otlp", traces_sample=0.0), "test")
        a_span(traces)
        flush()
        (seen,) = collector.spans
    assert (seen.name, seen.kind, seen.service) == ("order", "server", "fairdrop-test")
    assert (seen.trace_id, seen.parent_id) == ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")
    assert seen.attributes == {"fairdrop.sale.id": "phones"}


def test_on_the_console_a_span_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    traces, flush = start_traces(Settings(traces="console"), "test")
    a_span(traces)
    flush()
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line]
    assert '"name": "order"' in line


def test_off_is_nothing_at_all() -> None:
    traces, flush = start_traces(Settings(), "test")
    flush()
    assert traces is NO_TRACES


def test_the_collector_refuses_what_is_no_page_of_spans_and_goes_on() -> None:
    import urllib.error
    import urllib.request

    with collecting() as collector:
        for path, body in (("/v1/traces", b"\xff\xff"), ("/v1/logs", b"")):
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(collector.url + path, data=body, timeout=20)
            assert refused.value.code == 400
            refused.value.close()
        with urllib.request.urlopen(f"{collector.url}/v1/traces", data=b"", timeout=20) as answer:
            assert answer.status == 200
        assert collector.spans == []


def test_a_collector_keeps_only_the_latest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.local.collector.SPANS_KEPT", 2)
    collector = Collector()
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    for name in ("one", "two", "three"):
        request = ExportTraceServiceRequest()
        request.resource_spans.add().scope_spans.add().spans.add(name=name)
        collector.take(request.SerializeToString())
    assert [span.name for span in collector.spans] == ["two", "three"]
