"""Where the microseconds of an order go: processor time of the worker, by servers that each do a step more than the one before.

Processor time and not elapsed time, so that what else runs on the machine matters less.
"""

from collections.abc import Iterator
from statistics import median
from typing import NamedTuple

from app.bench.measures import Figure, Say
from app.bench.stage import Stage

_MICROSECONDS = 1e6


class _Cost(NamedTuple):
    """Microseconds an order: of the thread that serves requests, and of all others (the lane's, gRPC's)."""

    requests: float
    others: float


def budget(stage: Stage, rounds: int, say: Say) -> Iterator[Figure]:
    """Microseconds of processor time an order, step by step."""
    bare: list[_Cost] = []
    token: list[_Cost] = []
    whole: list[_Cost] = []
    for number in range(rounds):
        for name, factory, costs in (
            ("bare handler", "app.bench.contenders:bare()", bare),
            ("with the token's check", "app.bench.contenders:bare_with_token()", token),
            ("group commit", "app.http.wsgi:create()", whole),
        ):
            say(f"budget: {name}, round {number + 1} of {rounds}")
            costs.append(_cost(stage, factory, number))
    http = median(cost.requests for cost in bare)
    with_token = median(cost.requests for cost in token)
    requests = median(cost.requests for cost in whole)
    lane = median(cost.others for cost in whole)
    yield Figure("gunicorn, Flask, JSON and its validation", http, "µs/order")
    yield Figure("the key's and the token's check", with_token - http, "µs/order")
    yield Figure("queueing, waiting, answering", requests - with_token, "µs/order")
    yield Figure("the lane: decision, protobufs, gRPC, two calls a batch", lane, "µs/order")
    yield Figure("a worker's processor time, all in all", requests + lane, "µs/order")


def _cost(stage: Stage, factory: str, seed: int) -> _Cost:
    ours = factory.startswith("app.http")
    sale_id = stage.new_sale() if ours else "bare"
    ready = "/healthz" if ours else f"/v1/sales/{sale_id}"
    played = stage.round(sale_id, factory=factory, ready=ready, seed=seed)
    scale = _MICROSECONDS / stage.buyers
    return _Cost(played.requests_cpu_seconds * scale, played.others_cpu_seconds * scale)
