"""What gunicorn loads in each worker: logging, and the app with requests as greenlets."""

import gc
import sys

from flask import Flask

from app.http import AT_THE_END, protocol_errors
from app.http.app import create_app
from app.http.greenlets import Greenlets
from app.http.traces import current_trace
from app.logs import start_logging
from app.services import turns
from app.settings import load_settings
from app.tracing.export import start_traces

SWITCH_INTERVAL_SECONDS = 0.001
"""How long a busy thread keeps the interpreter from another: the default, 5 ms, would be most of a commit's time."""

COLLECT_AFTER_OBJECTS = 50_000
"""The default, 700, walks through hundreds of waiting requests for every few that come (measured: 45 µs an order)."""


def create() -> Flask:
    """The app of this worker process."""
    settings = load_settings()
    start_logging(settings, current_trace)
    traces, flush = start_traces(settings, "api")
    app = create_app(settings, Greenlets(turns.inherited()), traces)
    app.extensions[AT_THE_END] = flush
    protocol_errors.install(app)
    tune_interpreter()
    return app


def tune_interpreter() -> None:
    """Set up a worker's interpreter for many requests at once, when all that stays has been made."""
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER_OBJECTS, 20, 50)
