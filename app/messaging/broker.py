"""The clients of Pub/Sub, bounded, and its errors under our own name."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from google.api_core import exceptions as google_errors
from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport
from grpc import insecure_channel

EMULATOR_VARIABLE = "PUBSUB_EMULATOR_HOST"
MAX_MESSAGE_BYTES = 10 * 1024 * 1024 + 65_536
"""Pub/Sub's bound of a request; gRPC's own default, 4 MB, would refuse a full page of a pull."""


class BrokerUnavailable(Exception):
    """Pub/Sub does not answer, or refused: nothing is lost, try again."""


def publisher_client() -> PublisherClient:
    """The low-level publisher: one call a page, which returns when the broker has it. No batching thread behind our back."""
    if not os.environ.get(EMULATOR_VARIABLE):
        return PublisherClient()
    return PublisherClient(transport=PublisherGrpcTransport(channel=_emulator_channel()))


def subscriber_client() -> SubscriberClient:
    """The low-level subscriber: a pull returns a page to work on, and acknowledging is ours to do."""
    if not os.environ.get(EMULATOR_VARIABLE):
        return SubscriberClient()
    return SubscriberClient(transport=SubscriberGrpcTransport(channel=_emulator_channel()))


def _emulator_channel() -> Any:
    # A restarted emulator is looked for at once, and not after gRPC's usual back-off of up to two minutes.
    options = [
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_reconnect_backoff_ms", 1_000),
    ]
    return insecure_channel(os.environ[EMULATOR_VARIABLE], options=options)


@contextmanager
def broker_errors() -> Iterator[None]:
    """Turn the client library's errors into ours."""
    try:
        yield
    except google_errors.GoogleAPICallError as error:
        raise BrokerUnavailable(f"Pub/Sub: {type(error).__name__}: {error.message}"[:300]) from error
