"""What the clients do to the true code and to each mutant: small scripts, each made for the faults that it must show."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Step = dict[str, Any]
Clients = list[list[Step]]

OPENS_AT_MS = 900
"""After the start of the script, about: the sale is put up a moment before."""

METHOD = "tok_visa"


@dataclass(frozen=True, slots=True)
class Workload:
    """A script and the sale that it is about. Times after the start.

    `clock_ahead_seconds`: of the two servers' clocks. Behind by less than a call's deadline: gRPC counts that from the wall clock.
    """

    script: Callable[[], Clients]
    terms: Mapping[str, Any] = field(default_factory=dict)
    clock_ahead_seconds: tuple[float, float] = (3.0, -2.0)
    kill_first_at_ms: int | None = None
    broker_away_ms: tuple[int, int] | None = None
    with_money: bool = False


def place(customer: str, at_ms: int, url: int, units: int = 1, key: str = "one", **more: Any) -> Step:
    """A step that asks for an order."""
    step = {
        "op": "place",
        "customer": customer,
        "key": key,
        "units": units,
        "method": METHOD,
        "at_ms": at_ms,
        "url": url,
    }
    return {"tries": 8, **step, **more}


def counter() -> Clients:
    """Early ones, pairs of one customer at once, a rush for the last units, retries at the other server, other bodies, cancels."""
    clients: Clients = []
    for number in range(6):
        name, url = f"early-{number}", number % 2
        # One after the other, at the two servers in turn: real time tells them apart.
        steps = [place(name, 100 + 90 * number, url, tries=1), place(name, 1_200 + 60 * number, url)]
        # Again, at the other one, while there is stock for a second order; and for another number of units.
        steps += [place(name, 1_620 + 20 * number, 1 - url), place(name, 1_640 + 20 * number, url, units=2)]
        if number < 4:
            cancel = {"op": "cancel", "customer": name, "key": "one", "url": url, "tries": 8}
            steps += [cancel | {"at_ms": 3_000 + 120 * number}, cancel, cancel | {"op": "show"}]
        clients.append(steps)
    for number in range(8):
        for url, key in enumerate("ab"):
            clients.append([place(f"greedy-{number}", 1_800 + 40 * number, url, units=2, key=key)])
    for number in range(14):
        name, url = f"late-{number}", number % 2
        clients.append(
            [
                place(name, 2_250, url, hang_up=number % 5 == 4),
                place(name, 2_600, 1 - url),
                place(name, 2_600, url, units=2),
                {"op": "show", "customer": name, "key": "one", "at_ms": 3_600, "url": url},
            ]
        )
    return clients


def sold_out() -> Clients:
    """One server's memory that all is sold grows steady; then the other frees the units, and the first is asked again."""
    holder = [
        place("holder", 1_200, 0, units=2),
        {"op": "cancel", "customer": "holder", "key": "one", "url": 0, "at_ms": 2_900, "tries": 8},
    ]
    before = [place(f"before-{number}", 1_400 + 80 * number, 1, tries=1) for number in range(19)]
    after = [place(f"after-{number}", 3_100 + 100 * number, 1, units=2, tries=1) for number in range(12)]
    return [holder, *([step] for step in before + after)]


def killed() -> Clients:
    """Orders at a server that is killed soon after; each is asked for again at the other one."""
    clients: Clients = []
    for number in range(12):
        name = f"buyer-{number}"
        clients.append([place(name, 1_200 + 30 * number, 0), place(name, 3_200, 1)])
    return clients


def paid() -> Clients:
    """Buyers one after the other, of whom some cancel."""
    clients: Clients = []
    for number in range(14):
        name = f"payer-{number}"
        steps = [place(name, 1_200 + 40 * number, 0)]
        if number % 5 == 3:
            steps.append({"op": "cancel", "customer": name, "key": "one", "at_ms": 2_400 + 100 * number, "tries": 8})
        clients.append(steps)
    return clients


_COUNTER = {"stock": 24, "waitlist_limit": 8, "limit_per_customer": 2}
_PAID = {"stock": 6, "waitlist_limit": 10, "limit_per_customer": 2, "cancel_window_seconds": 1, "shard_count": 2}

WORKLOADS: Mapping[str, Workload] = {
    "one shard": Workload(counter, {**_COUNTER, "shard_count": 1}),
    "many shards": Workload(counter, {**_COUNTER, "shard_count": 3}),
    "one server late": Workload(counter, {**_COUNTER, "shard_count": 3}, clock_ahead_seconds=(0.0, -2.0)),
    "sold out": Workload(sold_out, {"stock": 2, "waitlist_limit": 0, "shard_count": 1}),
    "killed": Workload(killed, {"stock": 40, "shard_count": 2}, kill_first_at_ms=2_000),
    "broker away": Workload(
        paid, {**_PAID, "hold_seconds": 600}, (0.0, 0.0), broker_away_ms=(900, 2_300), with_money=True
    ),
    "late money": Workload(paid, {**_PAID, "hold_seconds": 2}, (0.0, 0.0), with_money=True),
}
