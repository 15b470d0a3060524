"""Spans: who stems from whom, what an error may say, and that nothing is made for who is not traced."""

import pytest
from opentelemetry.trace import SpanKind, StatusCode
from tracing_samples import MemoryTraces

from app.domain.errors import Overloaded, SoldOut
from app.domain.trace_context import parse_traceparent
from app.tracing.spans import NO_TRACES, ending, traceparent_of

CAUSE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
REFUSALS = [
    (SoldOut(as_of=None, age_ms=0.0), False),
    (Overloaded(retry_after_seconds=1), True),
    (OSError("anna"), True),
]


def test_without_a_cause_there_is_no_span() -> None:
    traces = MemoryTraces()
    assert traces.under(None, "child") is None
    assert traces.after(None, "later", SpanKind.CONSUMER, {}) is None
    assert traces.after("nonsense", "later", SpanKind.CONSUMER, {}) is None
    assert traces.of_many([], "batch", {}) is None
    traces.ended(None, "call", 1, 2)
    with ending(None):
        pass
    assert traceparent_of(None) is None
    assert traces.by_name == {}


def test_traces_that_are_off_make_nothing_of_anybody() -> None:
    assert not NO_TRACES.is_on
    assert NO_TRACES.request(parse_traceparent(CAUSE), "GET", {}) is None
    assert NO_TRACES.after(CAUSE, "later", SpanKind.CONSUMER, {}) is None


def test_what_an_event_names_is_the_parent_of_what_it_causes() -> None:
    traces = MemoryTraces()
    with ending(later := traces.after(CAUSE, "later", SpanKind.CONSUMER, {})):
        onward = traceparent_of(later)
    assert onward is not None
    assert onward[:36] == CAUSE[:36]
    assert onward[36:52] != CAUSE[36:52]
    parent = traces.by_name["later"].parent
    assert parent is not None
    assert f"{parent.span_id:016x}" == CAUSE[36:52]


def test_a_batch_and_its_members_are_linked_both_ways_and_share_no_trace() -> None:
    traces = MemoryTraces()
    members = [traces.request(None, f"member {number}", {}) for number in range(3)]
    causes = [member for member in members if member is not None]
    batch = traces.of_many(causes, "batch", {})
    assert batch is not None
    for span in (batch, *causes):
        span.end()
    spans = traces.by_name
    links = [link.context.trace_id for link in spans["batch"].links]
    assert links == [cause.get_span_context().trace_id for cause in causes]
    assert [link.context for link in spans["member 1"].links] == [batch.get_span_context()]
    assert spans["batch"].parent is None


@pytest.mark.parametrize(("error", "is_failure"), REFUSALS)
def test_an_error_is_named_and_not_told_and_a_refusal_is_no_failure(error: Exception, is_failure: bool) -> None:
    traces = MemoryTraces()
    with pytest.raises(type(error)), ending(traces.request(None, "order", {})):
        raise error
    span = traces.by_name["order"]
    assert span.attributes == {"fairdrop.outcome": type(error).__name__}
    assert (span.status.status_code is StatusCode.ERROR) == is_failure
    assert not span.events
