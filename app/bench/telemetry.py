"""What telemetry costs: orders with traces, figures, request tags and log lines as they are by default, against none of them."""

import logging
from collections.abc import Iterator
from typing import Any

from flask import Flask

from app.bench.measures import Figure, Say
from app.bench.stage import Round, Stage
from app.http import wsgi
from app.local.collector import collecting
from app.services.figures import Figures
from app.services.shared_figures import SharedFigures
from app.settings import Settings
from app.storage import database as storage

_MICROSECONDS = 1e6

_ON = {"FAIRDROP_TRACES": "otlp", "FAIRDROP_LOG_FORMAT": "json"}
_OFF = {"FAIRDROP_TRACES": "off"}


def silent() -> Flask:
    """The service with nothing to say: no traces, no figures, no request tags, no log lines. In a process of its own."""

    def nothing(*_args: Any, **_kwargs: Any) -> None:
        """Instead of counting, telling or tagging."""

    for owner, name in (
        (Figures, "answered"),
        (Figures, "committed"),
        (SharedFigures, "start"),
        (SharedFigures, "tell"),
        (storage, "give_tag"),
    ):
        setattr(owner, name, nothing)
    app = wsgi.create()
    logging.disable(logging.CRITICAL)
    return app


def telemetry(stage: Stage, rounds: int, say: Say) -> Iterator[Figure]:
    """Orders a second, and a worker's processor time an order, with all telemetry at its defaults over none; by turns."""
    with_all: list[Round] = []
    without: list[Round] = []
    with collecting() as collector:
        on = {**_ON, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
        for number in range(rounds):
            # Whoever comes second finds the emulator larger: so each is the first in turn.
            for is_on in (True, False) if number % 2 else (False, True):
                say(f"telemetry {'as it is by default' if is_on else 'off'}, round {number + 1} of {rounds}")
                sale_id = stage.new_sale()
                if is_on:
                    with_all.append(stage.round(sale_id, environment=on, seed=number))
                else:
                    factory = "app.bench.telemetry:silent()"
                    without.append(stage.round(sale_id, factory=factory, environment=_OFF, seed=number))
        spans = len(collector.spans)
    # The best round of each, and not the median: what else runs on the machine only ever takes, and by more than telemetry does.
    quickest, quickest_off = max(r.per_second for r in with_all), max(r.per_second for r in without)
    least, least_off = min(_cost(stage, r) for r in with_all), min(_cost(stage, r) for r in without)
    yield Figure("orders taken, no telemetry at all (best round)", quickest_off, "orders/s")
    yield Figure("orders taken, all telemetry as by default (best round)", quickest, "orders/s")
    yield Figure("a worker's processor time, no telemetry (best round)", least_off, "µs/order")
    yield Figure("a worker's processor time, all telemetry (best round)", least, "µs/order")
    yield Figure("orders for the same processor time, all / none", least_off / least, "x", at_least=0.95)
    yield Figure("orders a second, all / none", quickest / quickest_off, "x", at_least=0.95)
    share = Settings.model_fields["traces_sample"].default
    yield Figure(
        f"spans collected of 1,000 orders, {share:.0%} of them traced", 1_000 * spans / (rounds * stage.buyers), "spans"
    )


def _cost(stage: Stage, played: Round) -> float:
    return (played.requests_cpu_seconds + played.others_cpu_seconds) * _MICROSECONDS / stage.buyers
