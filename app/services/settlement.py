"""Settling orders in batches: the transaction, run until its outcome is known. Who settles what is for the callers to say."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

from app.domain.errors import StorageUnavailable
from app.domain.settlement import Outcome, Settlement
from app.storage.clock import DatabaseClock
from app.storage.database import (
    RETRY_AFTER_SECONDS,
    Conflict,
    FairdropDatabase,
    Rejected,
    snapshot,
    transact,
)
from app.storage.sales import sale_as_of
from app.storage.settlement import settle_batch

_log = logging.getLogger(__name__)

ORDERS_PER_STEP = 500
"""In one transaction; with all that they may free, some 68,000 of Spanner's 80,000 mutations."""

TRIES = 5
"""Of one transaction: all is read under lock, so a conflict needs a third party, and an unknown outcome a broken line."""

TRY_SECONDS = 4.0
"""No new try after so long: with one call's deadline, whoever waits is told within ten seconds, and a worker can stop."""

RETRY_PAUSE_SECONDS = 0.05
"""Before a batch of unknown outcome is run again."""


@dataclass(frozen=True, slots=True)
class Unsettled:
    """The database did not do it, or did not say so: settling the same again is safe."""

    error: StorageUnavailable


def settle(
    database: FairdropDatabase, clock: DatabaseClock, batch: Sequence[Settlement], writer: str
) -> list[Outcome | Unsettled]:
    """Settle orders of any sales, each sale's in the batch's order; one outcome each, in the batch's order.

    Never raises for what the database does: after a failure the rest of the sale's orders are Unsettled. Idempotent.
    """
    outcomes: dict[int, Outcome | Unsettled] = {}
    places: dict[str, list[int]] = {}
    for place, wish in enumerate(batch):
        places.setdefault(wish.order.sale_id, []).append(place)
    for sale_id, own in places.items():
        settled = _settle_sale(database, clock, sale_id, [batch[place] for place in own], writer)
        outcomes.update(zip(own, settled, strict=True))
    return [outcomes[place] for place in range(len(batch))]


def learn_time(database: FairdropDatabase, clock: DatabaseClock, sale_id: str) -> None:
    """See to it that the clock knows the database's time. Raises StorageUnavailable."""
    if not clock.is_set:
        with snapshot(database) as reads:
            _, now = sale_as_of(reads, sale_id)
        clock.observe(now)


def _settle_sale(
    database: FairdropDatabase, clock: DatabaseClock, sale_id: str, batch: Sequence[Settlement], writer: str
) -> list[Outcome | Unsettled]:
    """Step by step: the transaction takes as many orders as it can bear."""
    outcomes: list[Outcome | Unsettled] = []
    while len(outcomes) < len(batch):
        rest = batch[len(outcomes) : len(outcomes) + ORDERS_PER_STEP]
        try:
            outcomes += _step(database, clock, sale_id, rest, writer)
        except StorageUnavailable as error:
            outcomes += [Unsettled(error)] * (len(batch) - len(outcomes))
        except Rejected as error:
            outcomes += _apart(database, clock, sale_id, rest, writer, error)
    return outcomes


def _apart(
    database: FairdropDatabase,
    clock: DatabaseClock,
    sale_id: str,
    batch: Sequence[Settlement],
    writer: str,
    error: Rejected,
) -> list[Outcome | Unsettled]:
    """One bad order never fails its neighbours: halve the batch until the bad one stands alone."""
    if len(batch) == 1:
        _log.error("the database refused to settle order %s: %s", batch[0].order.order_id, error)
        return [Unsettled(StorageUnavailable(f"the database refused the order: {error}", RETRY_AFTER_SECONDS))]
    middle = len(batch) // 2
    return [
        *_settle_sale(database, clock, sale_id, batch[:middle], writer),
        *_settle_sale(database, clock, sale_id, batch[middle:], writer),
    ]


def _step(
    database: FairdropDatabase, clock: DatabaseClock, sale_id: str, batch: Sequence[Settlement], writer: str
) -> list[Outcome]:
    """One transaction, until its outcome is known. Raises StorageUnavailable or Rejected."""
    last: StorageUnavailable | None = None
    give_up_at = time.monotonic() + TRY_SECONDS
    for _ in range(TRIES):
        if last is not None:
            if time.monotonic() > give_up_at:
                break
            time.sleep(RETRY_PAUSE_SECONDS)
        try:
            learn_time(database, clock, sale_id)
            outcomes, committed = transact(database, "settle", settle_batch, sale_id, batch, clock.estimate, writer)
        except Conflict:
            last = StorageUnavailable("the stock changes too fast", RETRY_AFTER_SECONDS)
        except StorageUnavailable as error:
            # Also when the outcome is unknown: what was done is found done, and changes nothing again.
            last = error
        else:
            clock.observe(committed)
            return outcomes
    assert last is not None  # noqa: S101  # TRIES is not 0
    raise last
