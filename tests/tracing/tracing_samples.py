"""Traces whose spans stay in memory."""

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from app.domain.trace_context import Sampling
from app.tracing.spans import Traces


class MemoryTraces(Traces):
    """Traces, and the spans that have ended."""

    def __init__(self, share: float = 1.0) -> None:
        self._kept = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._kept))
        super().__init__(provider.get_tracer("test"), Sampling(share, per_second=1_000))

    @property
    def by_name(self) -> dict[str, ReadableSpan]:
        """The spans that have ended."""
        return {span.name: span for span in self._kept.get_finished_spans()}
