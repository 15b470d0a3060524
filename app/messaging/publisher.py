"""Publishing a page of events: returns when the broker has all of them."""

import os
import threading
import zlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import islice

from google.pubsub_v1 import PubsubMessage

from app.messaging.broker import EMULATOR_VARIABLE, BrokerUnavailable, broker_errors, publisher_client
from app.messaging.events import Event, attributes, encode
from app.messaging.topics import ensure_topics, topic_path, topics_made_again

MAX_MESSAGES = 1_000
"""Pub/Sub's bound of one publish call."""

CALL_SECONDS = 5.0
"""A worker that is told to stop while the broker hangs still ends within ten seconds."""

CALLS_AT_ONCE = 32
"""Pub/Sub takes one ordering key a request, so a page of many orders is many requests; the emulator takes any."""

KEYS_ON_EMULATOR = 1_024
"""The emulator (0.8.20) starts a thread for every ordering key it sees and never ends it. Measured with 20,000 orders: 191 events a
second with a key each, and a load of 16,000; with this many keys, 22,000 a second.
"""


class Publisher:
    """Publishes to one topic, in order for each order. Thread-safe."""

    def __init__(self, project: str, topic: str, source: str, *, one_key_a_request: bool | None = None) -> None:
        """No call is made yet. `one_key_a_request`: as Pub/Sub demands; only an emulator may do without, and does by default."""
        self._is_emulator = EMULATOR_VARIABLE in os.environ
        self._one_key = not self._is_emulator if one_key_a_request is None else one_key_a_request
        self._calls = ThreadPoolExecutor(CALLS_AT_ONCE, thread_name_prefix="publish")
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
                    attributes=attributes(event),
                )
                for event in page
            ]
            self._send_all(_by_key(messages) if self._one_key else [messages])

    def publish_raw(self, data: bytes, attributes: Mapping[str, str]) -> None:
        """Publish bytes as they are, without an ordering key. Raises BrokerUnavailable."""
        self._send([PubsubMessage(data=data, attributes=dict(attributes))])

    def _send_all(self, requests: Sequence[Sequence[PubsubMessage]]) -> None:
        """After one that fails no other is begun, and those that run are waited for: nothing is sent behind a retry's back."""
        if len(requests) == 1:
            self._send(requests[0])
            return
        has_failed = threading.Event()

        def send(request: Sequence[PubsubMessage]) -> None:
            if has_failed.is_set():
                return
            try:
                self._send(request)
            except BrokerUnavailable:
                has_failed.set()
                raise

        calls = [self._calls.submit(send, request) for request in requests]
        wait(calls)
        for call in calls:
            call.result()

    def _send(self, messages: Sequence[PubsubMessage]) -> None:
        with broker_errors(), topics_made_again(self._project):
            if self._is_emulator and not self._is_heard():
                ensure_topics(self._project)
            self._client.publish(request={"topic": self._topic, "messages": messages}, timeout=CALL_SECONDS, retry=None)

    def _is_heard(self) -> bool:
        """Whether the topic has a subscription. Of an emulator that came back empty another process may have made the topic again,
        and not yet its subscription: what is published there now is acknowledged, and reaches nobody.
        """
        request = {"topic": self._topic, "page_size": 1}
        return any(self._client.list_topic_subscriptions(request=request, timeout=CALL_SECONDS, retry=None))

    def close(self) -> None:
        """Close the channel."""
        self._calls.shutdown()
        self._client.transport.close()


def _by_key(messages: Sequence[PubsubMessage]) -> list[list[PubsubMessage]]:
    """A request for each ordering key, its messages in their order."""
    requests: dict[str, list[PubsubMessage]] = {}
    for message in messages:
        requests.setdefault(message.ordering_key, []).append(message)
    return list(requests.values())


def ordering_key(order_id: str) -> str:
    """What keeps an order's events in order: its id; on an emulator one of a few keys, always the same for the same order."""
    if not os.environ.get(EMULATOR_VARIABLE):
        return order_id
    return str(zlib.crc32(order_id.encode()) % KEYS_ON_EMULATOR)
