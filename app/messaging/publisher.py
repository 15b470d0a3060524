"""Publishing a page of events: returns when the broker has all of them."""

from collections.abc import Mapping, Sequence
from itertools import islice

from google.pubsub_v1 import PubsubMessage

from app.messaging.broker import broker_errors, publisher_client
from app.messaging.events import Event, encode
from app.messaging.topics import topic_path

MAX_MESSAGES = 1_000
"""Pub/Sub's bound of one publish call."""

CALL_SECONDS = 10.0


class Publisher:
    """Publishes to one topic, in order for each order (its id is the ordering key). Thread-safe."""

    def __init__(self, project: str, topic: str, source: str) -> None:
        """No call is made yet."""
        self._topic = topic_path(project, topic)
        self._source = source
        self._client = publisher_client()

    def publish(self, events: Sequence[Event]) -> None:
        """Publish in this order; after BrokerUnavailable some may have been published, and all must be published again."""
        rest = iter(events)
        while page := list(islice(rest, MAX_MESSAGES)):
            messages = [
                PubsubMessage(
                    data=encode(event, self._source),
                    ordering_key=event.order_id,
                    attributes={"ce-id": event.id, "ce-type": event.type},
                )
                for event in page
            ]
            self._send(messages)

    def publish_raw(self, data: bytes, attributes: Mapping[str, str]) -> None:
        """Publish bytes as they are, without an ordering key. Raises BrokerUnavailable."""
        self._send([PubsubMessage(data=data, attributes=dict(attributes))])

    def _send(self, messages: Sequence[PubsubMessage]) -> None:
        with broker_errors():
            self._client.publish(request={"topic": self._topic, "messages": messages}, timeout=CALL_SECONDS, retry=None)

    def close(self) -> None:
        """Close the channel."""
        self._client.transport.close()
