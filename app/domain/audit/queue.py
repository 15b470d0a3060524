"""Invariants 2 and 3 over the whole history: nobody waits, or waited, whom the stock could have served; nobody is passed over.

A commit is one moment: what it frees and what it gives away counts as done at once, in queue order.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from operator import attrgetter

from app.domain.audit.findings import Violation, at, order_name
from app.domain.audit.rows import Moment, Promoted, Start, StoredOrder, Waiter
from app.domain.states import HOLDING, Status


class Line:
    """The waitlisted orders of one size, in queue order, looked at while time goes on.

    Of orders of one size only the first can be the first to be wronged, so one look at the head is enough; and whoever has
    left never comes back, so nothing but the head is kept.
    """

    def __init__(self, waiters: Iterable[Waiter]) -> None:
        """Begin at the head."""
        self._rest = iter(waiters)
        self._head = next(self._rest, None)
        self._reported: Waiter | None = None

    def head(self, moment: int) -> Waiter | None:
        """Whoever is first in this line after the commits of `moment`, which must never be earlier than the last one asked."""
        while self._head is not None and self._head.left_at is not None and self._head.left_at <= moment:
            self._head = next(self._rest, None)
        head = self._head
        return head if head is not None and head.placed_at <= moment else None

    def is_news(self, waiter: Waiter) -> bool:
        """Whether this head is reported for the first time: a wrong that lasts is one wrong."""
        is_new = waiter is not self._reported
        self._reported = waiter
        return is_new


def waits_though_it_fits(available: int, waiting: Iterable[StoredOrder]) -> Iterator[Violation]:
    """Waiting orders that the available units of all shards could fill."""
    for order in waiting:
        if order.units <= available:
            yield Violation(
                order_name(order.customer_id, order.order_id),
                f"waits for {order.units} units, {available} are available",
            )


def waited_though_it_fitted(moments: Iterable[Moment], lines: Mapping[int, Iterable[Waiter]]) -> Iterator[Violation]:
    """Moments at which a freed unit was on offer while somebody waited whom it could serve.

    `moments` by commit; `lines` by size in units, each in queue order. Each order is named once.
    """
    queue = {units: Line(waiters) for units, waiters in sorted(lines.items())}
    for moment in moments:
        for units, line in queue.items():
            if units > moment.available:
                break
            head = line.head(moment.committed_at)
            if head is not None and line.is_news(head):
                yield Violation(
                    order_name(head.customer_id, head.order_id),
                    f"waited for {units} units at {at(moment.committed_at)}, when {moment.available} were available",
                )


def waitlisted_though_it_fitted(moments: Iterable[Moment], starts: Iterable[Start]) -> Iterator[Violation]:
    """Orders that were sent to the waitlist though stock was left for them at their turn in their commit.

    `moments` by commit, `starts` by queue position. A transaction that waitlists has read every shard, so it stands alone
    at its commit timestamp: what was there before it, less what its earlier orders took, was left for the next.
    """
    stock = _Stock(moments)
    for placed_at, batch in groupby(starts, attrgetter("placed_at")):
        left = stock.before(placed_at)
        if left is None:
            continue
        for start in batch:
            if start.status in HOLDING:
                left -= start.units
            elif start.status == Status.WAITLISTED and start.units <= left:
                yield Violation(
                    order_name(start.customer_id, start.order_id),
                    f"was waitlisted at {at(placed_at)} for {start.units} units, when {left} were left",
                )


def passed_over(
    moments: Iterable[Moment], promotions: Iterable[Promoted], lines: Mapping[int, Iterable[Waiter]]
) -> Iterator[Violation]:
    """Orders left waiting by a commit that promoted somebody behind them, with units that would have been enough for them.

    `promotions` come by commit and queue position. At an order's turn there was at least what the commit gave to those
    behind it and what it left on offer: if the order is no larger, it should have been served.
    """
    stock = _Stock(moments)
    queue = {units: Line(waiters) for units, waiters in lines.items()}
    for committed_at, group in groupby(promotions, attrgetter("committed_at")):
        promoted = list(group)
        remaining = stock.after(committed_at) or 0
        for units, line in queue.items():
            head = line.head(committed_at)
            if head is None or head.placed_at == committed_at:
                continue
            behind = sum(p.units for p in promoted if p.position > head.position)
            if behind and units <= behind + remaining and line.is_news(head):
                yield Violation(
                    order_name(head.customer_id, head.order_id),
                    f"was passed over at {at(committed_at)}: it waited for {units} units, "
                    f"and orders behind it were given {behind}",
                )


class _Stock:
    """The available units just before and just after a moment, asked in the order of time."""

    def __init__(self, moments: Iterable[Moment]) -> None:
        self._rest = iter(moments)
        self._next = next(self._rest, None)
        self._available: int | None = None

    def before(self, time: int) -> int | None:
        """What was available before the commits of `time`; None when that is not recorded."""
        while self._next is not None and self._next.committed_at < time:
            self._available = self._next.available
            self._next = next(self._rest, None)
        return self._available

    def after(self, time: int) -> int | None:
        """What was available after the commits of `time`."""
        return self.before(time + 1)
