"""What is due by the clock alone: holds that expire, captures to ask for, lotteries to draw, waitlists that nothing can serve.

Several processes share the work by leases on slices of it. Leases only spare double work: what is settled is judged again in
its transaction, by the database's clock, so two that look at the same order harm nobody.
"""

import logging
import time
from collections.abc import Collection, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Protocol

from app.domain.errors import StorageUnavailable
from app.domain.ids import OUTBOX_SHARD_COUNT, outbox_shard
from app.domain.sale import Phase, Sale
from app.domain.settlement import Moved, OrderKey, Settlement
from app.services.draw_keeper import DrawKeeper
from app.services.settlement import ORDERS_PER_STEP, Unsettled, settle
from app.storage.clock import DatabaseClock
from app.storage.database import RETRY_AFTER_SECONDS, Conflict, FairdropDatabase, snapshot, transact
from app.storage.deadlines import SaleShard, due_orders, has_deadlines, lapse_page
from app.storage.sales import sales_as_of
from app.storage.settlement import waiting_keys

_log = logging.getLogger(__name__)

ACTOR = "deadlines"
SLOTS = tuple(str(number) for number in range(OUTBOX_SHARD_COUNT))
"""The slices of the work: an order is in that of its stock shard's outbox shard."""

SALES_MAX_AGE_SECONDS = 5.0
"""Half of the shortest hold there is: a new sale is known before anything in it is due."""

SALES_PAGE = 1_000
RANGES_PER_READ = 500
"""Stock shards whose deadlines one read looks at: an idle look at a hundred small sales is one read."""

FAILING_SECONDS = 5.0
"""A sale that could not be settled is left alone for so long: its next tries must not hold up the other sales' deadlines. As
long as the longest pause of a worker whose database is away."""

RESTING_SECONDS = 60.0
"""A sale that is over and has neither holds nor a waitlist is looked at this seldom: for an order that a lane committed late."""


class Leases(Protocol):
    """Which slices are this process's."""

    def keep(self) -> frozenset[str]:
        """Those that are now; renewed when it is time. Raises StorageUnavailable."""


class Deadlines:
    """One process's share of what is due. Not thread-safe: one loop owns it. `moved` counts the orders that went on; `overdue` are
    those that the last look left as they were, because they failed or a page was full (then a page stands for the rest).
    """

    def __init__(self, database: FairdropDatabase, clock: DatabaseClock, leases: Leases, writer: str) -> None:
        """No call is made yet."""
        self._database = database
        self._clock = clock
        self._leases = leases
        self._writer = writer
        self._sales: list[Sale] = []
        self._sales_known_at: float | None = None
        self._resting: dict[str, float] = {}
        self._draws = DrawKeeper(database, writer)
        self._error: StorageUnavailable | None = None
        self.moved = 0
        self.overdue = 0

    def step(self) -> int:
        """Settle about a page of each sale; how many orders went on. Raises StorageUnavailable.

        0: nothing is due, or others are at it. A sale that cannot be settled is passed over, and logged; only when nothing else
        went on either is its error raised.
        """
        self._learn_sales()
        mine = {int(slot) for slot in self._leases.keep()}
        if not mine:
            return 0
        now = time.monotonic()
        sales = [sale for sale in self._sales if self._resting.get(sale.sale_id, 0.0) <= now]
        self._error = None
        moved = self._settle_due(sales, mine) + sum(self._end(sale, mine) for sale in self._closed(sales))
        self.moved += moved
        if self._error is not None and not moved:
            raise self._error
        return moved

    def _learn_sales(self) -> None:
        """All sales, by id."""
        now = time.monotonic()
        if self._sales_known_at is not None and now - self._sales_known_at < SALES_MAX_AGE_SECONDS:
            return
        sales: list[Sale] = []
        while True:
            with snapshot(self._database) as reads:
                page, as_of = sales_as_of(reads, sales[-1].sale_id if sales else "", SALES_PAGE)
            self._clock.observe(as_of)
            sales += page
            if len(page) < SALES_PAGE:
                break
        self._sales, self._sales_known_at = sales, now
        self._resting = {sale_id: until for sale_id, until in self._resting.items() if until > now}

    def _settle_due(self, sales: Sequence[Sale], mine: Collection[int]) -> int:
        shards = [
            SaleShard(sale.sale_id, shard_id)
            for sale in sales
            for shard_id, slot in enumerate(_slots(sale.sale_id, sale.shard_count))
            if slot in mine
        ]
        moved, self.overdue = 0, 0
        while shards:
            part = shards[:RANGES_PER_READ]
            with snapshot(self._database) as reads:
                due = due_orders(reads, part, self._clock.estimate, ORDERS_PER_STEP)
            for sale_id, keys in groupby(due, key=lambda key: key.sale_id):
                moved += self._settle(sale_id, list(keys))
            if len(due) < ORDERS_PER_STEP:
                shards = shards[len(part) :]
            else:
                self.overdue += ORDERS_PER_STEP
                # A crowd of holds of one sale must not keep those of the next sales waiting: its rest comes with the next step.
                shards = [shard for shard in shards if shard.sale_id > due[-1].sale_id]
        return moved

    def _settle(self, sale_id: str, due: Sequence[OrderKey]) -> int:
        wishes = [Settlement(key, None, ACTOR) for key in due]
        try:
            outcomes = settle(self._database, self._clock, wishes, self._writer)
        except Exception as error:
            return self._pass_over(sale_id, error)
        failures = [outcome.error for outcome in outcomes if isinstance(outcome, Unsettled)]
        self.overdue += len(failures)
        if failures and len(failures) == len(outcomes):
            return self._pass_over(sale_id, failures[0])
        if failures:
            _log.warning("%d of %d due orders are not settled: %s", len(failures), len(due), failures[0].detail)
        return sum(isinstance(outcome, Moved) for outcome in outcomes)

    def _pass_over(self, sale_id: str, error: Exception) -> int:
        """Leave a sale alone for a while; 0, for nothing went on."""
        is_ours = not isinstance(error, StorageUnavailable)
        _log.error(
            "sale %s is not settled, and passed over for %g s: %s", sale_id, FAILING_SECONDS, error, exc_info=is_ours
        )
        self._resting[sale_id] = time.monotonic() + FAILING_SECONDS
        failed = StorageUnavailable("the order service failed", RETRY_AFTER_SECONDS)
        self._error = error if isinstance(error, StorageUnavailable) else failed
        return 0

    def _closed(self, sales: Sequence[Sale]) -> list[Sale]:
        now = self._clock.estimate
        return [sale for sale in sales if sale.phase(now) is Phase.CLOSED]

    def _end(self, sale: Sale, mine: Collection[int]) -> int:
        """Lapse a page of the waitlist of a sale that is over, once no hold is left; how many orders it was.

        A lottery is drawn first.
        """
        if sale.is_lottery and not self._draws.is_drawn(sale.sale_id):
            if _slots(sale.sale_id, sale.shard_count)[0] in mine:
                self._draws.begin(sale.sale_id)
            return 0
        with snapshot(self._database) as reads:
            if has_deadlines(reads, sale.sale_id):
                return 0
            if not waiting_keys(reads, sale.sale_id, 1):
                self._resting[sale.sale_id] = time.monotonic() + RESTING_SECONDS
                return 0
        return self._lapse(sale.sale_id) if _slots(sale.sale_id, sale.shard_count)[0] in mine else 0

    def _lapse(self, sale_id: str) -> int:
        try:
            lapsed, committed = transact(
                self._database,
                "lapse",
                lapse_page,
                sale_id,
                ORDERS_PER_STEP,
                self._clock.estimate,
                self._writer,
            )
        except Conflict:
            return 0
        except Exception as error:
            return self._pass_over(sale_id, error)
        self._clock.observe(committed)
        return lapsed


@lru_cache(maxsize=10_000)
def _slots(sale_id: str, shard_count: int) -> tuple[int, ...]:
    """The slice of each stock shard."""
    return tuple(outbox_shard(sale_id, shard_id) for shard_id in range(shard_count))
