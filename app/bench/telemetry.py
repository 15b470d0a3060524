"""What telemetry costs: orders with traces, figures, request tags and log lines as they are by default, against none of them."""

import logging
from collections.abc import Iterator
from statistics import median
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
    costs, costs_off = [_cost(stage, r) for r in with_all], [_cost(stage, r) for r in without]
    pairs = list(zip(with_all, without, strict=True))
    yield Figure("orders taken, no telemetry at all", median(r.per_second for r in without), "orders/s")
    yield Figure("orders taken, all telemetry as by default", median(r.per_second for r in with_all), "orders/s")
    yield Figure("a worker's processor time, no telemetry", median(costs_off), "µs/order")
    yield Figure("a worker's processor time, all telemetry", median(costs), "µs/order")
    for_the_same_time = median(off / on for on, off in zip(costs, costs_off, strict=True))
    yield Figure("orders for the same processor time, all / none", for_the_same_time, "x", at_least=0.95)
    a_second = median(on.per_second / off.per_second for on, off in pairs)
    yield Figure("orders a second, all / none", a_second, "x", at_least=0.95)
    share = Settings.model_fields["traces_sample"].default
    yield Figure(
        f"spans collected of 1,000 orders, {share:.0%} of them traced", 1_000 * spans / (rounds * stage.buyers), "spans"
    )


def _cost(stage: Stage, played: Round) -> float:
    return (played.requests_cpu_seconds + played.others_cpu_seconds) * _MICROSECONDS / stage.buyers
