"""The sharded counter as values: what a shard holds, and a book in which one transaction's changes to shards add up."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Cause(StrEnum):
    """Why a shard changed, as the stock ledger records it."""

    CREATED = "created"
    PLACED = "placed"
    MOVED = "moved"
    RESTOCKED = "restocked"
    SALE_CHANGED = "sale_changed"
    SETTLED = "settled"
    DRAWN = "drawn"


@dataclass(frozen=True, slots=True)
class ShardState:
    """One shard at one version. Units for `allocated` and `available`, orders for `waiting`."""

    shard_id: int
    version: int
    allocated: int
    available: int
    waiting: int

    @property
    def is_touched(self) -> bool:
        """Whether live orders hold units of it or wait at it."""
        return self.available < self.allocated or self.waiting > 0


@dataclass(slots=True)
class _Open:
    before: ShardState
    allocated: int
    available: int
    waiting: int
    is_touched: bool = False


class StockBook:
    """The shards that a transaction knows, and what it does to them. The totals speak of these shards only."""

    def __init__(self, shards: Iterable[ShardState]) -> None:
        """Open the book on the shards as they were read."""
        self._open = {s.shard_id: _Open(s, s.allocated, s.available, s.waiting) for s in shards}

    def available(self, shard_id: int) -> int:
        """Units on offer in one shard."""
        return self._open[shard_id].available

    @property
    def total_available(self) -> int:
        """Units on offer in all the shards."""
        return sum(s.available for s in self._open.values())

    @property
    def total_waiting(self) -> int:
        """Waitlisted orders of all the shards."""
        return sum(s.waiting for s in self._open.values())

    def hold(self, shard_id: int, units: int) -> None:
        """Take units out of a shard for an order."""
        shard = self._open[shard_id]
        if units > shard.available:
            raise AssertionError(f"hold of {units} from shard {shard_id} with {shard.available} available")
        shard.available -= units

    def release(self, shard_id: int, units: int) -> None:
        """Put a hold's units back on offer in the shard they came from."""
        shard = self._open[shard_id]
        if shard.available + units > shard.allocated:
            raise AssertionError(f"release of {units} to shard {shard_id}, {shard.allocated - shard.available} are out")
        shard.available += units

    def wait(self, shard_id: int, orders: int) -> None:
        """Count orders into the shard's waitlist, or out of it when negative."""
        self._open[shard_id].waiting += orders

    def touch(self, shard_id: int) -> None:
        """Give the shard a new version though it holds the same: what was built on the old one is stale from then on."""
        self._open[shard_id].is_touched = True

    def allocate(self, shard_id: int, units: int) -> None:
        """Add new units to a shard, on offer."""
        shard = self._open[shard_id]
        shard.allocated += units
        shard.available += units

    def gather(self, shard_id: int, units: int) -> bool:
        """Take stock over from the richest shards until this one has `units` on offer; False, and no change, if it cannot.

        Half of what the richest has comes along, so that the next orders need not ask again.
        """
        if self.total_available < units:
            return False
        taker = self._open[shard_id]
        while taker.available < units:
            richest = max(
                (s for s in self._open.values() if s is not taker), key=lambda s: (s.available, -s.before.shard_id)
            )
            moved = min(richest.available, max(units - taker.available, richest.available // 2))
            richest.allocated -= moved
            richest.available -= moved
            taker.allocated += moved
            taker.available += moved
        return True

    def changes(self) -> list[ShardState]:
        """The shards that differ from what was read, or were touched, each at its next version."""
        return [
            ShardState(s.before.shard_id, s.before.version + 1, s.allocated, s.available, s.waiting)
            for s in self._open.values()
            if s.is_touched
            or (s.allocated, s.available, s.waiting) != (s.before.allocated, s.before.available, s.before.waiting)
        ]
