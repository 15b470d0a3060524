"""The shell of every worker: signals, logs, and a step that is repeated, with patience when the world does not answer."""

import logging
import random
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType

from app.domain.errors import StorageUnavailable
from app.logs import start_logging
from app.messaging.broker import BrokerUnavailable
from app.settings import Settings, load_settings
from app.storage.database import Conflict
from app.tracing.export import start_traces
from app.tracing.spans import Traces

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0
"""A worker looks again at least so often, so that it is back within seconds of the database or the broker."""

SAY_EVERY_SECONDS = 30.0

Body = Callable[[Settings, threading.Event, Traces], None]


def run_worker(name: str, body: Body) -> None:
    """Run a worker until SIGTERM or SIGINT; then `body` finishes what is in flight, within ten seconds."""
    settings = load_settings()
    start_logging(settings)
    logging.getLogger("google").setLevel(logging.WARNING)
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    log.info("%s: started", name)
    traces, flush = start_traces(settings, name)
    try:
        body(settings, stop, traces)
    finally:
        flush()
    log.info("%s: stopped", name)


def keep_going(
    step: Callable[[], int], stop: threading.Event, idle_seconds: float, longest_idle_seconds: float = 0.0
) -> None:
    """Repeat a step until told to stop. It returns how much it did; after nothing there is a pause of `idle_seconds`, which doubles
    up to `longest_idle_seconds` while there is nothing to do.

    When database or broker do not answer, the pause doubles from 0.1 to 5 s; any other error is logged and paused for, too:
    a worker must live on, and what it did not finish is found again.
    """
    pause, idle = FIRST_PAUSE_SECONDS, idle_seconds
    said_at = -SAY_EVERY_SECONDS
    while not stop.is_set():
        try:
            done = step()
        except (StorageUnavailable, BrokerUnavailable, Conflict) as error:
            if time.monotonic() - said_at > SAY_EVERY_SECONDS:
                said_at = time.monotonic()
                log.warning("no answer, trying again: %s", error)
        except Exception:
            log.exception("a step failed, trying again")
        else:
            pause, said_at = FIRST_PAUSE_SECONDS, -SAY_EVERY_SECONDS
            if done:
                idle = idle_seconds
            else:
                stop.wait(idle)
                idle = max(idle_seconds, min(idle * 2, longest_idle_seconds))
            continue
        stop.wait(pause * random.uniform(0.5, 1.0))  # noqa: S311  # jitter is no secret
        pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
