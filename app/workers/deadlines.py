"""The deadlines worker: holds expire, captures are asked for, and waitlists lapse, each within a second of its time."""

import logging
import threading
from contextlib import suppress

from app.domain.errors import StorageUnavailable
from app.services.deadlines import SLOTS, Deadlines
from app.services.leases import LeaseKeeper
from app.settings import Settings
from app.storage.clock import DatabaseClock
from app.storage.database import connect
from app.tracing.spans import NO_TRACES, Traces
from app.workers.loop import keep_going
from app.workers.metrics import Reading, outbox_reading, serve_metrics

log = logging.getLogger(__name__)

GROUP = "deadlines"
IDLE_SECONDS = 0.5
"""Between two looks when nothing is due: one read for some hundred stock shards."""


def run(settings: Settings, stop: threading.Event, _traces: Traces = NO_TRACES) -> None:
    """Settle what is due until told to stop; then others take over at once."""
    database, clock = connect(settings), DatabaseClock()
    leases = LeaseKeeper(database, clock, GROUP, SLOTS, settings.lease_seconds)
    deadlines = Deadlines(database, clock, leases, leases.holder)
    serve_metrics(
        settings,
        Reading("orders_due_moved", "Orders whose deadline has moved them.", lambda: deadlines.moved),
        Reading("orders_overdue", "Due orders that the last look left.", lambda: deadlines.overdue, is_count=False),
        outbox_reading(settings, database, stop),
    )
    keep_going(deadlines.step, stop, IDLE_SECONDS)
    with suppress(StorageUnavailable):
        leases.give_up()
    log.info("moved %d orders whose time had come", deadlines.moved)
