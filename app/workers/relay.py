"""The relays of the two outboxes: the order service's, and the payment service's."""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from app.domain.errors import StorageUnavailable
from app.messaging.events import ORDERS_SOURCE, PAYMENTS_SOURCE
from app.messaging.publisher import Publisher
from app.messaging.topics import ORDER_EVENTS, PAYMENT_EVENTS
from app.services.leases import LeaseKeeper
from app.services.relay import SLOTS, Relay, order_event_id, payment_event_id
from app.settings import Settings
from app.storage.clock import DatabaseClock
from app.storage.database import FairdropDatabase, connect
from app.storage.outbox import OutboxRow
from app.tracing.spans import NO_TRACES, Traces
from app.workers.loop import keep_going
from app.workers.metrics import Reading, outbox_reading, serve_metrics
from app.workers.topics import TopicsFirst

log = logging.getLogger(__name__)

GROUP = "relay"
IDLE_SECONDS = 0.05
LONGEST_IDLE_SECONDS = 0.25
"""Between two looks at an outbox that has been quiet: four reads a second, and at most a quarter of a second of lag."""

SAY_EVERY_SECONDS = 60.0


def orders_relay(settings: Settings, stop: threading.Event, traces: Traces = NO_TRACES) -> None:
    """Publish the order service's events until told to stop."""
    publisher = Publisher(settings.broker_project, ORDER_EVENTS.topic, ORDERS_SOURCE)
    _run(settings, connect(settings), publisher, order_event_id, stop, traces)


def payments_relay(settings: Settings, stop: threading.Event, traces: Traces = NO_TRACES) -> None:
    """Publish the payment service's events until told to stop."""
    publisher = Publisher(settings.broker_project, PAYMENT_EVENTS.topic, PAYMENTS_SOURCE)
    _run(settings, connect(settings, settings.payments_database), publisher, payment_event_id, stop, traces)


def _run(
    settings: Settings,
    database: FairdropDatabase,
    publisher: Publisher,
    event_id: Callable[[OutboxRow], str],
    stop: threading.Event,
    traces: Traces,
) -> None:
    clock = DatabaseClock()
    leases = LeaseKeeper(database, clock, GROUP, SLOTS, settings.lease_seconds)
    relay = Relay(database, clock, leases, publisher, event_id, settings.relay_duplicate_share, traces)
    step = _Step(relay)
    serve_metrics(
        settings,
        Reading("events_published", "Events that the broker has acknowledged.", lambda: relay.stats.published),
        Reading("publish_lag_p99_seconds", "Commit to acknowledgement.", lambda: relay.stats.lag_p99, is_count=False),
        outbox_reading(settings, database, stop),
    )
    topics = TopicsFirst(settings.broker_project)
    keep_going(topics.before(step), stop, IDLE_SECONDS, LONGEST_IDLE_SECONDS)
    with suppress(StorageUnavailable):
        leases.give_up()
    publisher.close()
    step.say()


class _Step:
    """A page at a time, and now and then a line in the log."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._said = 0
        self._say_at = time.monotonic() + SAY_EVERY_SECONDS

    def __call__(self) -> int:
        rows = self._relay.step()
        if time.monotonic() >= self._say_at and self._relay.stats.published > self._said:
            self.say()
        return rows

    def say(self) -> None:
        """What the relay has done so far."""
        stats = self._relay.stats
        self._said, self._say_at = stats.published, time.monotonic() + SAY_EVERY_SECONDS
        log.info("published %d events; lag p50 %s s, p99 %s s", stats.published, stats.lag_p50, stats.lag_p99)
