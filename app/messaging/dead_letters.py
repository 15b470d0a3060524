"""Dead letters as a person reads them: each with its reason, left where it is or taken."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from google.api_core import exceptions as google_errors
from google.pubsub_v1 import PubsubMessage

from app.messaging.broker import broker_errors, subscriber_client
from app.messaging.topics import Route, subscription_path

PAGE = 100
CALL_SECONDS = 10.0
MORE_SECONDS = 1.5
"""How long to wait for one more; so long nobody else sees those that are held."""

FIRST_SECONDS = MORE_SECONDS + 2.5
"""How long to wait for the first: what somebody else holds comes back meanwhile, and is not taken for nothing."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that a consumer could not deal with. `text` is its data, as far as it is text."""

    message_id: str
    published_at: datetime
    reason: str
    event_type: str
    text: str


def read_dead_letters(project: str, route: Route, at_most: int, *, take: bool) -> Iterator[DeadLetter]:
    """Up to `at_most` dead letters of a route; taken ones are gone for good. Raises BrokerUnavailable."""
    client = subscriber_client()
    subscription = subscription_path(project, route.dead_subscription)
    held: list[str] = []
    try:
        while len(held) < at_most:
            request = {"subscription": subscription, "max_messages": min(PAGE, at_most - len(held))}
            wait_seconds = MORE_SECONDS if held else FIRST_SECONDS
            with broker_errors():
                try:
                    page = client.pull(request=request, timeout=wait_seconds, retry=None).received_messages
                except google_errors.DeadlineExceeded:
                    break
            if not page:
                break
            held.extend(message.ack_id for message in page)
            for message in page:
                told = message.message
                yield DeadLetter(
                    told.message_id,
                    PubsubMessage.pb(told).publish_time.ToDatetime(UTC),
                    told.attributes.get("reason", ""),
                    told.attributes.get("ce-type", ""),
                    told.data.decode(errors="replace"),
                )
    finally:
        with broker_errors():
            for first in range(0, len(held), PAGE):
                ids = held[first : first + PAGE]
                request = {"subscription": subscription, "ack_ids": ids}
                if take:
                    client.acknowledge(request=request, timeout=CALL_SECONDS, retry=None)
                else:
                    client.modify_ack_deadline(
                        request={**request, "ack_deadline_seconds": 0}, timeout=CALL_SECONDS, retry=None
                    )
        client.transport.close()
