"""The topics and subscriptions, by name; on an emulator they are made here, in a project of Google Cloud by Terraform."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

from google.api_core import exceptions as google_errors

from app.messaging.broker import EMULATOR_VARIABLE, broker_errors, publisher_client, subscriber_client

ACK_DEADLINE_SECONDS = 60
"""A batch, its transactions and its gateway calls end within it; past it, it is delivered again."""

CALL_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Route:
    """A topic, the one subscription that consumes it, and where what cannot be consumed goes."""

    topic: str
    subscription: str

    @property
    def dead_topic(self) -> str:
        """The dead-letter topic."""
        return f"{self.topic}.dead"

    @property
    def dead_subscription(self) -> str:
        """Where dead letters wait for a person."""
        return f"{self.topic}.dead.inbox"


ORDER_EVENTS = Route("order-events", "payments.order-events")
PAYMENT_EVENTS = Route("payment-events", "settlement.payment-events")
ROUTES = (ORDER_EVENTS, PAYMENT_EVENTS)


def topic_path(project: str, topic: str) -> str:
    """The full name of a topic."""
    return f"projects/{project}/topics/{topic}"


def subscription_path(project: str, subscription: str) -> str:
    """The full name of a subscription."""
    return f"projects/{project}/subscriptions/{subscription}"


@contextlib.contextmanager
def topics_made_again(project: str) -> Iterator[None]:
    """When a call finds its topic or subscription gone, make them again (an emulator that was restarted keeps nothing)."""
    try:
        yield
    except google_errors.NotFound:
        ensure_topics(project)
        raise


def ensure_topics(project: str, ack_deadline_seconds: int = ACK_DEADLINE_SECONDS) -> None:
    """Make what is missing, on an emulator only. Safe to call by every process at once. Raises BrokerUnavailable."""
    if not os.environ.get(EMULATOR_VARIABLE):
        return
    with publisher_client() as publisher, subscriber_client() as subscriber, broker_errors():
        for route in ROUTES:
            pairs = ((route.topic, route.subscription, True), (route.dead_topic, route.dead_subscription, False))
            for topic, subscription, is_ordered in pairs:
                # No retry: the library's own goes on for minutes, deaf to a worker's stop.
                with contextlib.suppress(google_errors.AlreadyExists):
                    publisher.create_topic(
                        request={"name": topic_path(project, topic)}, timeout=CALL_SECONDS, retry=None
                    )
                with contextlib.suppress(google_errors.AlreadyExists):
                    subscriber.create_subscription(
                        request={
                            "name": subscription_path(project, subscription),
                            "topic": topic_path(project, topic),
                            "enable_message_ordering": is_ordered,
                            "ack_deadline_seconds": ack_deadline_seconds,
                        },
                        timeout=CALL_SECONDS,
                        retry=None,
                    )
