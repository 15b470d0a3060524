"""Ask a service for a sale over many connections at once, so that instances start, connect and know the sale before the crowd."""

import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import urllib3

from app.rush.report import Latency, latency_of

MAX_CONNECTIONS = 512
"""Threads of this process; a service that needs more is warmed from several machines."""

TIMEOUT_SECONDS = 10.0
NO_ANSWER = "no answer"
QUARTERS = 4


@dataclass(frozen=True, slots=True)
class Answered:
    """One request: when it began (seconds from the start), how long it took, and its status or NO_ANSWER."""

    began_seconds: float
    took_ms: float
    status: str


@dataclass(frozen=True, slots=True)
class Warmth:
    """How the service answered in the first quarter of the time, cold, and in the last."""

    answers: dict[str, int]
    cold: Latency
    warm: Latency
    warm_failures: int


def warm_up(url: str, sale_id: str, connections: int, seconds: float) -> Warmth:
    """Ask for the sale over so many connections, each one request after another, for so long."""
    address = f"{url.rstrip('/')}/v1/sales/{sale_id}"
    until = time.monotonic() + seconds
    with (
        urllib3.PoolManager(num_pools=1, maxsize=connections, retries=False, timeout=TIMEOUT_SECONDS) as pool,
        ThreadPoolExecutor(connections) as threads,
    ):
        ask = partial(_ask, pool, address, time.monotonic(), until)
        return judged([one for many in threads.map(lambda _: ask(), range(connections)) for one in many], seconds)


def _ask(pool: urllib3.PoolManager, address: str, start: float, until: float) -> list[Answered]:
    answers = []
    while (began := time.monotonic()) < until:
        try:
            # Past a CDN, which would answer for all instances.
            response = pool.request("GET", address, headers={"Cache-Control": "no-cache"})
            status = str(response.status)
        except urllib3.exceptions.HTTPError:
            status = NO_ANSWER
        answers.append(Answered(began - start, 1_000 * (time.monotonic() - began), status))
    return answers


def judged(answers: Sequence[Answered], seconds: float) -> Warmth:
    """What the first quarter of the time says against the last."""
    cold = [one for one in answers if one.began_seconds < seconds / QUARTERS]
    warm = [one for one in answers if one.began_seconds >= seconds * (QUARTERS - 1) / QUARTERS]
    return Warmth(
        dict(Counter(one.status for one in answers).most_common()),
        latency_of(one.took_ms for one in cold),
        latency_of(one.took_ms for one in warm),
        sum(one.status != "200" for one in warm),
    )
