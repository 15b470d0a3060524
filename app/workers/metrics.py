"""A worker's figures for Prometheus, on a port of its own when FAIRDROP_METRICS_PORT names one.

Whoever counts keeps its count as a plain attribute; it is read when somebody scrapes, and costs nothing until then.
"""

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from app.messaging.consumer import Consumer
from app.services.outbox_age import OutboxAge
from app.settings import Settings
from app.storage.database import FairdropDatabase

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reading:
    """One figure: a count that only grows, or a gauge. `read` gives None while there is nothing to tell."""

    name: str
    meaning: str
    read: Callable[[], float | None]
    is_count: bool = True


class _Readings(Collector):
    def __init__(self, readings: Iterable[Reading]) -> None:
        self._readings = tuple(readings)

    def collect(self) -> Iterable[Metric]:
        for reading in self._readings:
            value = reading.read()
            if value is not None:
                family = CounterMetricFamily if reading.is_count else GaugeMetricFamily
                yield family(f"fairdrop_{reading.name}", reading.meaning, value=value)


def consumer_readings(*consumers: Consumer) -> tuple[Reading, ...]:
    """What a worker's consumers have handled, and what of it became dead letters."""
    return (
        Reading("messages_handled", "Messages acknowledged.", lambda: sum(c.handled for c in consumers)),
        Reading("dead_letters", "Messages that could not be dealt with.", lambda: sum(c.poisoned for c in consumers)),
    )


def outbox_reading(settings: Settings, database: FairdropDatabase, stop: threading.Event) -> Reading:
    """How long the oldest event of a database's outbox has waited, looked at until told to stop.

    Shown by the relay and by another worker of the same database: so it is told while the broker is away, and while the relay is.
    """
    age = OutboxAge(database)
    if settings.metrics_port:
        age.start(stop)
    return Reading("outbox_oldest_seconds", "Age of the oldest unpublished event.", age.seconds, is_count=False)


def serve_metrics(settings: Settings, *readings: Reading) -> None:
    """Show the readings at /metrics until the process ends; nothing without a port. Raises OSError when the port is taken."""
    if not settings.metrics_port:
        return
    registry = CollectorRegistry()
    registry.register(_Readings(readings))
    start_http_server(settings.metrics_port, settings.metrics_host, registry)
    log.info("metrics at http://%s:%d/metrics", settings.metrics_host, settings.metrics_port)
