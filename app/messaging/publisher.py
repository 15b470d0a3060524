"""Publishing a page of events: returns when the broker has all of them."""

import os
import zlib
from collections.abc import Mapping, Sequence
from itertools import islice

from google.pubsub_v1 import PubsubMessage

from app.messaging.broker import EMULATOR_VARIABLE, broker_errors, publisher_client
from app.messaging.events import Event, encode
from app.messaging.topics import topic_path, topics_made_again

MAX_MESSAGES = 1_000
"""Pub/Sub's bound of one publish call."""

CALL_SECONDS = 5.0
"""A worker that is told to stop while the broker hangs still ends within ten seconds."""

KEYS_ON_EMULATOR = 1_024
"""The emulator (0.8.20) starts a thread for every ordering key it sees and never ends it. Measured with 20,000 orders: 191 events a
second with a key each, and a load of 16,000; with this many keys, 22,000 a second.
"""


class Publisher:
    """Publishes to one topic, in order for each order. Thread-safe."""

    def __init__(self, project: str, topic: str, source: str) -> None:
        """No call is made yet."""
        self._project = project
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
                    ordering_key=ordering_key(event.order_id),
                    attributes={"ce-id": event.id, "ce-type": event.type},
                )
                for event in page
            ]
            self._send(messages)

    def publish_raw(self, data: bytes, attributes: Mapping[str, str]) -> None:
        """Publish bytes as they are, without an ordering key. Raises BrokerUnavailable."""
        self._send([PubsubMessage(data=data, attributes=dict(attributes))])

    def _send(self, messages: Sequence[PubsubMessage]) -> None:
        with broker_errors(), topics_made_again(self._project):
            self._client.publish(request={"topic": self._topic, "messages": messages}, timeout=CALL_SECONDS, retry=None)

    def close(self) -> None:
        """Close the channel."""
        self._client.transport.close()


def ordering_key(order_id: str) -> str:
    """What keeps an order's events in order: its id; on an emulator one of a few keys, always the same for the same order."""
    if not os.environ.get(EMULATOR_VARIABLE):
        return order_id
    return str(zlib.crc32(order_id.encode()) % KEYS_ON_EMULATOR)
