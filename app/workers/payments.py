"""The payment worker: order events in, gateway calls and payment events out."""

import logging
import threading
import time
from functools import partial

from app.messaging.consumer import Consumer
from app.messaging.topics import ORDER_EVENTS
from app.payments.gateways.choice import gateway_of
from app.payments.service import PaymentService
from app.payments.store import SpannerBooks
from app.settings import Settings
from app.storage.database import connect
from app.tracing.spans import NO_TRACES, Traces
from app.workers.loop import keep_going
from app.workers.metrics import consumer_readings, outbox_reading, serve_metrics
from app.workers.topics import Step, TopicsFirst

log = logging.getLogger(__name__)

SWEEP_EVERY_SECONDS = 60.0
BATCHES_AT_ONCE = 4
"""A batch lasts as long as its slowest answer, which may be a time-out or two; meanwhile the next ones go on."""


def run(settings: Settings, stop: threading.Event, traces: Traces = NO_TRACES) -> None:
    """Handle order events until told to stop. Raises GatewayMisconfigured before anything is taken."""
    gateway = gateway_of(settings)
    database = connect(settings, settings.payments_database)
    books = SpannerBooks(database)
    service = PaymentService(books, gateway, concurrency=settings.gateway_concurrency, stop=stop, traces=traces)
    consumers = [Consumer(settings.broker_project, ORDER_EVENTS, traces) for _ in range(BATCHES_AT_ONCE)]
    topics = TopicsFirst(settings.broker_project)
    steps: list[Step] = [partial(consumer.step, service.handle) for consumer in consumers]
    steps[0] = _sweeping_too(steps[0], service)
    serve_metrics(settings, *consumer_readings(*consumers), outbox_reading(settings, database, stop))
    # A pull waits for messages by itself.
    loops = [
        threading.Thread(target=keep_going, args=(topics.before(step), stop, 0.0), name="payments") for step in steps
    ]
    for loop in loops:
        loop.start()
    for loop in loops:
        loop.join()
    service.close()
    for consumer in consumers:
        consumer.close()
    handled, poisoned = sum(c.handled for c in consumers), sum(c.poisoned for c in consumers)
    log.info("handled %d messages, %d of them poison", handled, poisoned)


def _sweeping_too(step: Step, service: PaymentService) -> Step:
    """The step, with a sweep now and then before it."""
    sweep_at = time.monotonic()

    def sweep_then_step() -> int:
        nonlocal sweep_at
        if time.monotonic() >= sweep_at:
            sweep_at = time.monotonic() + SWEEP_EVERY_SECONDS
            service.sweep()
        return step()

    return sweep_then_step
