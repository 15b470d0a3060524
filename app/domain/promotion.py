"""Who of the waitlist gets freed units: strictly by queue position, an order too large for what is left letting others pass."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from app.domain.sale import Sale
from app.domain.states import Status, Trigger, transition
from app.domain.stock import StockBook


@dataclass(frozen=True, slots=True)
class WaitingOrder:
    """A waitlisted order, as far as a promotion must know it."""

    customer_id: str
    order_id: str
    units: int
    shard_id: int
    waitlisted_at: datetime
    seq: int
    draw_place: int | None = None

    @property
    def position(self) -> tuple[int, datetime, int, int]:
        """The place in the line: that of the draw in a lottery, else the queue position."""
        return (self.draw_place or 0, self.waitlisted_at, self.shard_id, self.seq)


@dataclass(frozen=True, slots=True)
class Promotion:
    """The orders that are promoted, in queue order, and to what."""

    orders: list[WaitingOrder]
    trigger: Trigger
    status: Status
    event: str


def promote(
    sale: Sale, book: StockBook, waiting: Iterable[WaitingOrder], new_units: int, at_most: int
) -> tuple[Promotion, int]:
    """Give units to the waitlist and write the stock side of it into the book; returns the promotion and the new units used.

    `waiting` comes in queue order, over all shards. Units on offer in the book and `new_units` serve the same line; at most
    `at_most` orders are promoted (a transaction has a mutation limit).
    """
    promoted: list[WaitingOrder] = []
    used = 0
    for order in waiting:
        left = book.total_available + new_units - used
        if left == 0 or len(promoted) == at_most:
            break
        if order.units > left:
            continue
        fresh = min(order.units, new_units - used)
        book.allocate(order.shard_id, fresh)
        used += fresh
        book.gather(order.shard_id, order.units)
        book.hold(order.shard_id, order.units)
        book.wait(order.shard_id, -1)
        promoted.append(order)
    trigger = Trigger.PROMOTE_FREE if sale.is_free else Trigger.PROMOTE
    outcome = transition(Status.WAITLISTED, trigger)
    return Promotion(promoted, trigger, outcome.status, outcome.event), used


def spread_over(book: StockBook, shard_ids: Sequence[int], units: int) -> None:
    """Put new units that nobody waits for on offer, evenly over the shards."""
    share, rest = divmod(units, len(shard_ids))
    for place, shard_id in enumerate(shard_ids):
        book.allocate(shard_id, share + (1 if place < rest else 0))
