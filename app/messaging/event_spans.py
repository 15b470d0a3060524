"""Spans of events that continue a trace: published by a relay, handled by a consumer. The events of others cost a look."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from opentelemetry.trace import Span, SpanKind

from app.messaging.events import Event
from app.tracing.spans import ORDER_ID, Attributes, Traces, ending, traceparent_of

Details = Callable[[Event], Attributes]


@contextmanager
def event_spans(
    traces: Traces, verb: str, kind: SpanKind, events: Sequence[Event], details: Details
) -> Iterator[tuple[Sequence[Event], Mapping[int, Span]]]:
    """A span named by `verb` and the event's type for each event of a trace, for the length of a block: the events, those with a
    span naming it as what they continue now, and the spans by the events' places. `details` gives an event's own attributes.
    """
    continued, spans = list(events), {}
    with ExitStack() as ends:
        for place, event in enumerate(events):
            if event.traceparent is None:
                continue
            attributes: Attributes = {
                "messaging.system": "gcp_pubsub",
                "messaging.message.id": event.id,
                ORDER_ID: event.order_id,
                **details(event),
            }
            span = traces.after(event.traceparent, f"{verb} {event.type}", kind, attributes)
            if span is not None:
                ends.enter_context(ending(span))
                spans[place] = span
                continued[place] = replace(event, traceparent=traceparent_of(span))
        yield continued, spans
