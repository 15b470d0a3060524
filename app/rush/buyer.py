"""A buyer during the rush, and the rule of what their app does after each answer. No I/O, no clock."""

from dataclasses import dataclass

from app.rush.plan import BuyerPlan

RETRIED_STATUSES = frozenset({502, 503, 504})
"""Answers that say "come back": from an overloaded service (503), or from a proxy that does not know what became of it."""

RETRY_AFTER_DEFAULT_SECONDS = 0.2
RETRY_AFTER_LIMIT_SECONDS = 30.0
"""A service that asks for a longer wait is asked again after this."""

OPENING_PAUSE_LEAST_SECONDS = 0.001
"""Who is told that it opens now asks again after this."""

BACKOFF_FIRST_SECONDS = 0.05
BACKOFF_LIMIT_SECONDS = 2.0
"""Twenty tries with this back-off last about 25 seconds: longer than a server needs to restart."""


@dataclass(slots=True, eq=False)
class Buyer:
    """One buyer. `request` is the whole HTTP request, the same bytes at every attempt."""

    plan: BuyerPlan
    customer_id: str
    request: bytes
    attempts: int = 0
    open_errands: int = 1
    repeated: bool = False


@dataclass(slots=True, eq=False)
class Errand:
    """One sending of a buyer's request, tried until an answer settles it. A double buyer has two at a time.

    `due_ns` is when it should have been sent (open loop only); `drop` says that the next try hangs up before the answer.
    """

    buyer: Buyer
    due_ns: int | None
    drop: bool = False
    tries: int = 0


def next_step(
    errand: Errand,
    status: int | None,
    retry_after_seconds: float | None,
    tries_limit: int,
    jitter: float,
    opens_in_seconds: float | None = None,
) -> int | None:
    """Nanoseconds until the errand is sent again (0: at once), or None when it is over.

    `status` is None when no usable answer came; `jitter` in 0..1 spreads the returning crowd. With `opens_in_seconds` the buyer
    was told that the sale is not open yet, and is there again when it opens, not spread at all: it is a race.
    """
    if opens_in_seconds is not None:
        wait_seconds = max(OPENING_PAUSE_LEAST_SECONDS, opens_in_seconds)
        return int(1e9 * wait_seconds) if errand.tries < tries_limit else None
    if status is None or status in RETRIED_STATUSES:
        if errand.tries >= tries_limit:
            return None
        return _pause_ns(errand.tries, status, retry_after_seconds, jitter)
    buyer = errand.buyer
    if buyer.plan.kind == "retry" and not buyer.repeated:
        buyer.repeated = True
        errand.tries = 0
        return 0
    return None


def _pause_ns(tries: int, status: int | None, retry_after_seconds: float | None, jitter: float) -> int:
    if status is None:
        # The exponent is bounded before the power: `tries` is the caller's choice.
        backoff = min(BACKOFF_LIMIT_SECONDS, BACKOFF_FIRST_SECONDS * 2 ** min(tries - 1, 16))
        return int(1e9 * backoff * (1 + jitter) / 2)
    base = RETRY_AFTER_DEFAULT_SECONDS if retry_after_seconds is None else retry_after_seconds
    base = min(base, RETRY_AFTER_LIMIT_SECONDS)
    return int(1e9 * (base + jitter * max(base, RETRY_AFTER_DEFAULT_SECONDS)))
