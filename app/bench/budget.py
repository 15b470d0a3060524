"""Where the microseconds of an order go: processor time of the worker, by servers that each do a step more than the one before.

Processor time and not elapsed time, so that what else runs on the machine matters less.
"""

from collections.abc import Iterator
from statistics import median
from typing import NamedTuple

from app.bench.measures import Figure, Say
from app.bench.stage import Stage

_MICROSECONDS = 1e6


WHOLE = "group commit"
_STEPS = {
    "bare handler": "app.bench.contenders:bare()",
    "by the service's own request and answer": "app.bench.contenders:lean()",
    "with the token's check": "app.bench.contenders:lean_with_token()",
    WHOLE: "app.http.wsgi:create()",
}


REFUSED_CONNECTIONS = (64, 512, 3_500)
"""The more there are, the more have something to say at each look at them, and the less of its cost is one request's; but they do
not stay in the processor's caches."""


class _Cost(NamedTuple):
    """Microseconds an order: of the thread that serves requests, and of all others (the lane's, gRPC's)."""

    requests: float
    others: float


def budget(stage: Stage, rounds: int, say: Say) -> Iterator[Figure]:
    """Microseconds of processor time an order, step by step; and of one that is too many."""
    costs: dict[str, list[_Cost]] = {name: [] for name in _STEPS}
    for number in range(rounds):
        for name, factory in _STEPS.items():
            say(f"budget: {name}, round {number + 1} of {rounds}")
            costs[name].append(_cost(stage, factory, number))
    bare, lean, token, whole = (median(cost.requests for cost in costs[name]) for name in _STEPS)
    lane = median(cost.others for cost in costs[WHOLE])
    yield Figure("gunicorn, Flask, JSON and its validation", bare, "µs/order")
    yield Figure("what the service leaves out of Flask's work", lean - bare, "µs/order")
    yield Figure("the key's and the token's check", token - lean, "µs/order")
    yield Figure("queueing, waiting, answering", whole - token, "µs/order")
    yield Figure("the lane: decision, protobufs, gRPC, two calls a batch", lane, "µs/order")
    yield Figure("a worker's processor time, all in all", whole + lane, "µs/order")
    for connections in REFUSED_CONNECTIONS:
        say(f"budget: refused unread, {connections:,} connections")
        refused = median(_refusal_us(stage, connections, number) for number in range(rounds))
        yield Figure(f"an order refused unread, {connections:,} connections", refused, "µs/order")


def _cost(stage: Stage, factory: str, seed: int) -> _Cost:
    ours = factory.startswith("app.http")
    if ours:
        stage.empty_database()
    sale_id = stage.new_sale() if ours else "bare"
    ready = "/healthz" if ours else f"/v1/sales/{sale_id}"
    played = stage.round(sale_id, factory=factory, ready=ready, seed=seed)
    scale = _MICROSECONDS / stage.buyers
    return _Cost(played.requests_cpu_seconds * scale, played.others_cpu_seconds * scale)


def _refusal_us(stage: Stage, connections: int, seed: int) -> float:
    played = stage.round(
        stage.new_sale(), factory="app.bench.full:create()", connections=connections, tries_limit=1, seed=seed
    )
    return played.requests_cpu_seconds * _MICROSECONDS / stage.buyers
