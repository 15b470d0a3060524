"""The payment worker: order events in, gateway calls and payment events out."""

import logging
import threading
import time

from app.messaging.consumer import Consumer
from app.messaging.topics import ORDER_EVENTS, ensure_topics
from app.payments.gateways.choice import gateway_of
from app.payments.service import PaymentService
from app.payments.store import SpannerBooks
from app.settings import Settings
from app.storage.database import connect
from app.workers.loop import keep_going
from app.workers.metrics import consumer_readings, serve_metrics

log = logging.getLogger(__name__)

SWEEP_EVERY_SECONDS = 60.0
BATCHES_AT_ONCE = 4
"""A batch lasts as long as its slowest answer, which may be a time-out or two; meanwhile the next ones go on."""


def run(settings: Settings, stop: threading.Event) -> None:
    """Handle order events until told to stop. Raises GatewayMisconfigured before anything is taken."""
    gateway = gateway_of(settings)
    books = SpannerBooks(connect(settings, settings.payments_database))
    service = PaymentService(books, gateway, concurrency=settings.gateway_concurrency, stop=stop)
    consumers = [Consumer(settings.broker_project, ORDER_EVENTS) for _ in range(BATCHES_AT_ONCE)]
    steps = [_Step(settings, consumer, service, sweeps=place == 0) for place, consumer in enumerate(consumers)]
    serve_metrics(settings, *consumer_readings(*consumers))
    # A pull waits for messages by itself.
    loops = [threading.Thread(target=keep_going, args=(step, stop, 0.0), name="payments") for step in steps]
    for loop in loops:
        loop.start()
    for loop in loops:
        loop.join()
    service.close()
    for consumer in consumers:
        consumer.close()
    handled, poisoned = sum(c.handled for c in consumers), sum(c.poisoned for c in consumers)
    log.info("handled %d messages, %d of them poison", handled, poisoned)


class _Step:
    """The topics once, then a batch at a time, and, in one of the loops, a sweep now and then."""

    def __init__(self, settings: Settings, consumer: Consumer, service: PaymentService, *, sweeps: bool) -> None:
        self._project = settings.broker_project
        self._consumer = consumer
        self._service = service
        self._sweeps = sweeps
        self._has_topics = False
        self._sweep_at = time.monotonic()

    def __call__(self) -> int:
        if not self._has_topics:
            ensure_topics(self._project)
            self._has_topics = True
        if self._sweeps and time.monotonic() >= self._sweep_at:
            self._sweep_at = time.monotonic() + SWEEP_EVERY_SECONDS
            self._service.sweep()
        return self._consumer.step(self._service.handle)
