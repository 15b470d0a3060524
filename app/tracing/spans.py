"""One process's spans. A context is always handed on by hand: requests are greenlets, lanes are threads.

Whoever is not traced pays one comparison: without a parent there is no span, and no object is made.
"""

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    Tracer,
    set_span_in_context,
)

from app.domain.errors import FairdropError, Overloaded, StorageUnavailable
from app.domain.trace_context import Sampling, TraceContext, parse_traceparent

Attributes = Mapping[str, str | int | float | bool]

ORDER_ID = "fairdrop.order.id"
SALE_ID = "fairdrop.sale.id"
OUTCOME = "fairdrop.outcome"

_ROOT = Context()


class Traces:
    """Makes spans, or none at all without a tracer. Thread-safe."""

    def __init__(self, tracer: Tracer | None = None, sampling: Sampling | None = None) -> None:
        """`sampling` decides about requests; what stems from a traced request is traced wherever it goes."""
        self._tracer = tracer
        self._sampling = sampling

    @property
    def is_on(self) -> bool:
        """Whether there may be spans."""
        return self._tracer is not None

    def request(self, caller: TraceContext | None, name: str, attributes: Attributes) -> Span | None:
        """The span of a request, when it is one that is traced."""
        tracer, sampling = self._tracer, self._sampling
        if tracer is None or sampling is None or not sampling.wants(caller, random.random, time.monotonic()):
            return None
        parent = _context_of(caller) if caller is not None else _ROOT
        return tracer.start_span(name, parent, SpanKind.SERVER, attributes)

    def under(
        self, parent: Span | None, name: str, attributes: Attributes | None = None, kind: SpanKind = SpanKind.INTERNAL
    ) -> Span | None:
        """A child of a span of this process; None of none."""
        if parent is None or self._tracer is None:
            return None
        return self._tracer.start_span(name, set_span_in_context(parent, _ROOT), kind, attributes)

    def ended(self, parent: Span | None, name: str, started_ns: int, ended_ns: int) -> None:
        """Record what a child of a span was doing from one moment of the epoch to another: a call to the database."""
        if parent is not None and self._tracer is not None:
            context = set_span_in_context(parent, _ROOT)
            child = self._tracer.start_span(name, context, SpanKind.CLIENT, start_time=started_ns)
            child.end(ended_ns)

    def after(self, traceparent: str | None, name: str, kind: SpanKind, attributes: Attributes) -> Span | None:
        """A child of a span of another process, as its event names it; None of none, and of what is no traceparent."""
        if traceparent is None or self._tracer is None:
            return None
        cause = parse_traceparent(traceparent)
        if cause is None:
            return None
        return self._tracer.start_span(name, _context_of(cause), kind, attributes)

    def of_many(self, causes: Sequence[Span], name: str, attributes: Attributes) -> Span | None:
        """A span that no one of its causes owns: it has a trace of its own, linked to theirs, and they to it; None of none."""
        if not causes or self._tracer is None:
            return None
        links = [Link(cause.get_span_context()) for cause in causes]
        span = self._tracer.start_span(name, _ROOT, SpanKind.INTERNAL, attributes, links)
        for cause in causes:
            cause.add_link(span.get_span_context())
        return span


NO_TRACES = Traces()
"""For whoever is not told to trace."""

NOT_TRACED: Mapping[str, str] = {}
"""The traceparents, by order id, of orders of which none is traced."""


@contextmanager
def ending(span: Span | None) -> Iterator[None]:
    """End the span with the block. An error is named, and no more of it told: its text may have what no trace may have. That
    somebody is refused is no failure.
    """
    if span is None:
        yield
        return
    try:
        yield
    except BaseException as error:
        name = type(error).__name__
        span.set_attribute(OUTCOME, name)
        if not isinstance(error, FairdropError) or isinstance(error, (Overloaded, StorageUnavailable)):
            failed(span, name)
        raise
    finally:
        span.end()


def failed(span: Span, reason: str) -> None:
    """Mark the span as failed; `reason` names the kind of error."""
    span.set_status(StatusCode.ERROR, reason)


def traceparent_of(span: Span | None) -> str | None:
    """By what an event names the span; None of none."""
    if span is None:
        return None
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-01"


def _context_of(cause: TraceContext) -> Context:
    flags = TraceFlags(TraceFlags.SAMPLED)
    remote = SpanContext(int(cause.trace_id, 16), int(cause.span_id, 16), is_remote=True, trace_flags=flags)
    return set_span_in_context(NonRecordingSpan(remote), _ROOT)
