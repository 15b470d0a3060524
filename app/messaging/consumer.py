"""Consuming a subscription in batches: pull, handle, and acknowledge only what is durably done."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from google.api_core import exceptions as google_errors
from google.pubsub_v1 import ReceivedMessage
from opentelemetry.trace import SpanKind

from app.messaging.broker import broker_errors, subscriber_client
from app.messaging.event_spans import event_spans
from app.messaging.events import TRACEPARENT, Event, Malformed, decode
from app.messaging.publisher import Publisher
from app.messaging.topics import Route, subscription_path, topics_made_again
from app.tracing.spans import NO_TRACES, OUTCOME, Attributes, Traces

log = logging.getLogger(__name__)

BATCH_LIMIT = 500
PULL_SECONDS = 3.0
"""How long a pull waits for a first message; a worker that is told to stop waits no longer than this."""
CALL_SECONDS = 5.0
RETRY_SECONDS = 2
"""When a message that is not done yet is delivered again."""
REASON_LIMIT = 200


@dataclass(frozen=True, slots=True)
class Done:
    """The event is durably dealt with, or was before."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Not yet: deliver it again soon."""


@dataclass(frozen=True, slots=True)
class Poison:
    """It can never be dealt with; a person must look."""

    reason: str


Verdict = Done | Retry | Poison
Handle = Callable[[Sequence[Event]], Sequence[Verdict]]


class Consumer:
    """One process's consumer of one subscription. Not thread-safe."""

    def __init__(self, project: str, route: Route, traces: Traces = NO_TRACES) -> None:
        """No call is made yet."""
        self._project = project
        self._traces = traces
        self._subscription = subscription_path(project, route.subscription)
        self._client = subscriber_client()
        self._dead = Publisher(project, route.dead_topic, "")
        self.handled = 0
        self.poisoned = 0

    def step(self, handle: Handle) -> int:
        """Pull a batch and deal with it; the number of messages. Raises BrokerUnavailable, and whatever `handle` raises:
        then nothing of the batch is acknowledged, and all of it comes again soon.
        """
        messages = self._pull()
        if not messages:
            return 0
        try:
            verdicts = self._judge(messages, handle)
        except BaseException:
            self._postpone([message.ack_id for message in messages])
            raise
        judged = list(zip(messages, verdicts, strict=True))
        self._acknowledge([message.ack_id for message, verdict in judged if isinstance(verdict, Done)])
        self._postpone([message.ack_id for message, verdict in judged if isinstance(verdict, Retry)])
        # Last: a dead letter that cannot be published must not keep what is done from being acknowledged, again and again.
        self._bury([(message, verdict.reason) for message, verdict in judged if isinstance(verdict, Poison)])
        return len(messages)

    def close(self) -> None:
        """Close the channels."""
        self._client.transport.close()
        self._dead.close()

    def _pull(self) -> list[ReceivedMessage]:
        """What is there, up to the limit of a batch; waits a while for a first message."""
        request = {"subscription": self._subscription, "max_messages": BATCH_LIMIT}
        with broker_errors(), topics_made_again(self._project):
            try:
                answer = self._client.pull(request=request, timeout=PULL_SECONDS, retry=None)
            except google_errors.DeadlineExceeded:
                return []
        return list(answer.received_messages)

    def _judge(self, messages: Sequence[ReceivedMessage], handle: Handle) -> list[Verdict]:
        events: list[Event] = []
        verdicts: list[Verdict | None] = []
        for message in messages:
            try:
                events.append(decode(message.message.data, message.message.attributes.get(TRACEPARENT)))
                verdicts.append(None)
            except Malformed as error:
                verdicts.append(Poison(f"unreadable: {error}"))
        said = iter(self._handle_traced(events, handle) if events else ())
        return [next(said) if verdict is None else verdict for verdict in verdicts]

    def _handle_traced(self, events: Sequence[Event], handle: Handle) -> Sequence[Verdict]:
        """Handle the events; those that continue a trace with a span each, which what they cause continues."""
        with event_spans(self._traces, "process", SpanKind.CONSUMER, events, self._details) as (continued, spans):
            verdicts = handle(continued)
            for place, span in spans.items():
                span.set_attribute(OUTCOME, type(verdicts[place]).__name__)
        return verdicts

    def _details(self, _event: Event) -> Attributes:
        return {
            "messaging.operation.type": "process",
            "messaging.destination.subscription.name": self._subscription.rpartition("/")[2],
        }

    def _acknowledge(self, ack_ids: Sequence[str]) -> None:
        if not ack_ids:
            return
        with broker_errors():
            self._client.acknowledge(
                request={"subscription": self._subscription, "ack_ids": list(ack_ids)}, timeout=CALL_SECONDS, retry=None
            )
        self.handled += len(ack_ids)

    def _bury(self, letters: Sequence[tuple[ReceivedMessage, str]]) -> None:
        """Raises BrokerUnavailable at the first that cannot be published; it and the rest come again."""
        buried: list[str] = []
        try:
            for message, reason in letters:
                self._publish_dead(message, reason)
                buried.append(message.ack_id)
        finally:
            self._acknowledge(buried)
            self._postpone([message.ack_id for message, _ in letters[len(buried) :]])

    def _publish_dead(self, message: ReceivedMessage, reason: str) -> None:
        self._dead.publish_raw(
            message.message.data,
            {
                **dict(message.message.attributes),
                "reason": reason[:REASON_LIMIT],
                "subscription": self._subscription.rpartition("/")[2],
            },
        )
        self.poisoned += 1
        log.error("message %s is a dead letter: %s", message.message.message_id, reason[:REASON_LIMIT])

    def _postpone(self, ack_ids: Sequence[str]) -> None:
        if not ack_ids:
            return
        try:
            self._client.modify_ack_deadline(
                request={
                    "subscription": self._subscription,
                    "ack_ids": list(ack_ids),
                    "ack_deadline_seconds": RETRY_SECONDS,
                },
                timeout=CALL_SECONDS,
                retry=None,
            )
        except google_errors.GoogleAPICallError:
            # They come again anyway, when their deadline passes.
            log.warning("%d messages could not be postponed", len(ack_ids))
