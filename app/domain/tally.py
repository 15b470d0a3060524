"""A sale in numbers, counted from its events as they were committed: pure, and as cheap as one step an event.

The events are those of the outbox: each order's in their order, the status it has from then on with each.
"""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from app.domain.states import FINAL, Status

MAX_LIVE_ORDERS = 200_000
"""Orders whose status may still change are remembered one by one, some 150 bytes each. Past this, how many have which status is
not told any more; everything else still is."""

SECONDS_KEPT = 180
"""Of what happened second by second."""

_LATE = "order.released"
"""Said again of an order that has ended, for money that came too late."""


@dataclass(frozen=True, slots=True)
class SaleEvent:
    """One event of an order. `outbox_shard` and `committed_at` together name the commit, but for a coincidence."""

    outbox_shard: int
    committed_at: datetime
    order_id: str
    event_seq: int
    event_type: str
    status: Status


@dataclass(slots=True)
class Second:
    """What was committed in one second of the database's clock: orders taken, those of them that wait, and their commits."""

    at: int
    taken: int = 0
    waitlisted: int = 0
    commits: int = 0


@dataclass(frozen=True, slots=True)
class Counts:
    """What a tally had counted at one moment. `by_status` is None when too many orders are live to tell."""

    by_status: Mapping[Status, int] | None
    events: Mapping[str, int]
    failed: int
    expired: int
    orders: int
    commits: int
    seconds: tuple[Second, ...]


@dataclass
class Tally:
    """The counts of one sale. `events` counts by type; `orders` and `commits` are of orders taken."""

    by_status: Counter[Status] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    failed: int = 0
    expired: int = 0
    orders: int = 0
    commits: int = 0
    is_by_status: bool = True
    seconds: deque[Second] = field(default_factory=deque)
    _live: dict[int, Status] = field(default_factory=dict)
    _last_commit: dict[int, datetime] = field(default_factory=dict)

    def count(self, event: SaleEvent) -> None:
        """One event more. Each shard's in commit order; none twice."""
        self.events[event.event_type] += 1
        is_new = event.event_seq == 1
        if is_new:
            self._count_taken(event)
        order = int(event.order_id.replace("-", ""), 16)
        before = self._live.pop(order, None)
        if before is None and not is_new and event.event_type == _LATE:
            return
        if before is not event.status:
            self.failed += event.status is Status.PAYMENT_FAILED
            self.expired += event.status is Status.EXPIRED
        if before is not None:
            self.by_status[before] -= 1
        self.by_status[event.status] += 1
        if event.status in FINAL or not self.is_by_status:
            return
        self._live[order] = event.status
        if len(self._live) > MAX_LIVE_ORDERS:
            self.is_by_status = False
            self._live.clear()

    def counts(self) -> Counts:
        """As it stands; later events do not change it."""
        return Counts(
            dict(self.by_status) if self.is_by_status else None,
            dict(self.events),
            self.failed,
            self.expired,
            self.orders,
            self.commits,
            tuple(replace(second) for second in self.seconds),
        )

    def _count_taken(self, event: SaleEvent) -> None:
        self.orders += 1
        second = self._second(int(event.committed_at.timestamp()))
        if second is not None:
            second.taken += 1
            second.waitlisted += event.status is Status.WAITLISTED
        if self._last_commit.get(event.outbox_shard) != event.committed_at:
            self._last_commit[event.outbox_shard] = event.committed_at
            self.commits += 1
            if second is not None:
                second.commits += 1

    def _second(self, at: int) -> Second | None:
        """That second; None when it is too long ago. Shards are read one after the other, so it need not be the newest."""
        if not self.seconds or at > self.seconds[-1].at:
            self.seconds.append(Second(at))
            while self.seconds[0].at <= at - SECONDS_KEPT:
                self.seconds.popleft()
            return self.seconds[-1]
        for index in range(len(self.seconds) - 1, -1, -1):
            if self.seconds[index].at == at:
                return self.seconds[index]
            if self.seconds[index].at < at:
                self.seconds.insert(index + 1, Second(at))
                return self.seconds[index + 1]
        if at > self.seconds[-1].at - SECONDS_KEPT:
            self.seconds.appendleft(Second(at))
            return self.seconds[0]
        return None
