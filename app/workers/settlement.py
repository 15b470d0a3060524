"""The settlement worker: payment events in, orders moved on."""

import logging
import threading
from functools import partial

from app.messaging.consumer import Consumer
from app.messaging.topics import PAYMENT_EVENTS
from app.services.leases import holder_name
from app.services.payment_events import PaymentEvents
from app.settings import Settings
from app.storage.clock import DatabaseClock
from app.storage.database import connect
from app.tracing.spans import NO_TRACES, Traces
from app.workers.loop import keep_going
from app.workers.metrics import consumer_readings, serve_metrics
from app.workers.topics import TopicsFirst

log = logging.getLogger(__name__)

IDLE_SECONDS = 0.05
"""A pull waits for a first message by itself; this only keeps a broker that answers at once from being asked in a circle."""


def run(settings: Settings, stop: threading.Event, traces: Traces = NO_TRACES) -> None:
    """Settle payment events until told to stop; a batch that is in flight is finished."""
    events = PaymentEvents(connect(settings), DatabaseClock(), holder_name())
    consumer = Consumer(settings.broker_project, PAYMENT_EVENTS, traces)
    step = TopicsFirst(settings.broker_project).before(partial(consumer.step, events.handle))
    serve_metrics(settings, *consumer_readings(consumer))
    keep_going(step, stop, IDLE_SECONDS)
    consumer.close()
    log.info("settled %d events; %d are dead letters", consumer.handled, consumer.poisoned)
