"""The relays of the two outboxes: the order service's, and the payment service's."""

import logging
import threading
from collections.abc import Callable
from contextlib import suppress

from app.domain.errors import StorageUnavailable
from app.messaging.events import ORDERS_SOURCE, PAYMENTS_SOURCE
from app.messaging.publisher import Publisher
from app.messaging.topics import ORDER_EVENTS, PAYMENT_EVENTS, ensure_topics
from app.services.leases import LeaseKeeper
from app.services.relay import SLOTS, Relay, order_event_id, payment_event_id
from app.settings import Settings
from app.storage.clock import DatabaseClock
from app.storage.database import FairdropDatabase, connect
from app.storage.outbox import OutboxRow
from app.workers.loop import keep_going

log = logging.getLogger(__name__)

GROUP = "relay"
IDLE_SECONDS = 0.1
"""Between two looks at a quiet outbox: a read of a few milliseconds, and a tenth of a second of lag."""
SAY_EVERY_ROWS = 5_000


def orders_relay(settings: Settings, stop: threading.Event) -> None:
    """Publish the order service's events until told to stop."""
    publisher = Publisher(settings.broker_project, ORDER_EVENTS.topic, ORDERS_SOURCE)
    _run(settings, connect(settings), publisher, order_event_id, stop)


def payments_relay(settings: Settings, stop: threading.Event) -> None:
    """Publish the payment service's events until told to stop."""
    publisher = Publisher(settings.broker_project, PAYMENT_EVENTS.topic, PAYMENTS_SOURCE)
    _run(settings, connect(settings, settings.payments_database), publisher, payment_event_id, stop)


def _run(
    settings: Settings,
    database: FairdropDatabase,
    publisher: Publisher,
    event_id: Callable[[OutboxRow], str],
    stop: threading.Event,
) -> None:
    clock = DatabaseClock()
    leases = LeaseKeeper(database, clock, GROUP, SLOTS, settings.lease_seconds)
    relay = Relay(database, clock, leases, publisher, event_id, settings.relay_duplicate_share)

    def make_topics() -> int:
        ensure_topics(settings.broker_project)
        ready.set()
        return 1

    ready = threading.Event()
    # Until the topics are there, or the worker is told to stop.
    keep_going(make_topics, _Either(stop, ready), IDLE_SECONDS)
    keep_going(relay.step, stop, IDLE_SECONDS)
    with suppress(StorageUnavailable):
        leases.give_up()
    publisher.close()
    stats = relay.stats
    log.info("published %d events; lag p50 %s s, p99 %s s", stats.published, stats.lag_p50, stats.lag_p99)


class _Either(threading.Event):
    """Set when either of two events is."""

    def __init__(self, one: threading.Event, other: threading.Event) -> None:
        super().__init__()
        self._both = (one, other)

    def is_set(self) -> bool:
        return any(event.is_set() for event in self._both)

    def wait(self, timeout: float | None = None) -> bool:
        return self._both[0].wait(timeout)
