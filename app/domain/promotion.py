"""Who of the waitlist gets freed units: strictly by queue position, an order too large for what is left letting others pass."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from app.domain.sale import Sale
from app.domain.states import Status, Trigger, transition
from app.domain.stock import StockBook

TOO_LARGE_IN_A_ROW = 50
"""After so many orders that want more than is left, only those that want no more are looked for: one unit that is left over must
not lead each transaction through a hundred thousand orders for two.
"""


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


Behind = Callable[[WaitingOrder, int], Iterable[WaitingOrder]]
"""Those behind an order in the line that want no more than so many units, in queue order."""


def promote(
    sale: Sale,
    book: StockBook,
    waiting: Iterable[WaitingOrder],
    new_units: int,
    at_most: int,
    behind: Behind | None = None,
) -> tuple[Promotion, int]:
    """Give units to the waitlist and write the stock side of it into the book; returns the promotion and the new units used.

    `waiting` comes in queue order, over all shards. Units on offer in the book and `new_units` serve the same line; at most
    `at_most` orders are promoted (a transaction has a mutation limit). With `behind`, a long run of orders that are too large is
    passed by; the same orders are promoted without it.
    """
    promoted: list[WaitingOrder] = []
    used = too_large = 0
    line = iter(waiting)
    while (order := next(line, None)) is not None:
        left = book.total_available + new_units - used
        if left == 0 or len(promoted) == at_most:
            break
        if order.units > left:
            too_large += 1
            if behind and too_large == TOO_LARGE_IN_A_ROW:
                # What is left becomes less only: those passed by fit never again. And each time there is less of it than the last.
                line, too_large = iter(behind(order, left)), 0
            continue
        too_large = 0
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
