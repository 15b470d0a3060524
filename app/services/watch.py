"""What one process knows of a sale without asking: its terms, its stock, and which orders exist, all at one database timestamp.

It serves the public page, the gates, and the refusals from memory. It is refreshed only when somebody asks, by one look for all
who ask at once.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from google.cloud.spanner_v1.snapshot import Snapshot

from app.domain.draw import Draw
from app.domain.errors import FairdropError, SaleNotFound, SoldOut, StorageUnavailable
from app.domain.membership import OrderIdFilter
from app.domain.sale import Phase, Sale
from app.domain.stock import ShardState
from app.services.concurrency import Concurrency, Waiter
from app.storage.clock import DatabaseClock
from app.storage.database import RETRY_AFTER_SECONDS, FairdropDatabase, snapshot
from app.storage.draw import find_draw
from app.storage.orders import order_ids_after
from app.storage.sales import sale_as_of
from app.storage.stock import read_shards

_log = logging.getLogger(__name__)

ORDER_IDS_PER_LOOK = 20_000
"""Rows that one look adds to the filter at the most, so that a look stays short; a large sale's filter fills over several."""

LOOK_AHEAD_SHARE = 0.7
"""The next look begins at this share of the age that is still good: the rest is time for it, and fewer looks leave the
processor to the refusals."""

STEADY_SECONDS = 0.5
"""Memory says no only while the stock has not changed for so long. Right after a change an order may have been taken that the
latest look did not see, by another process too, and its retry must find it."""

RECENT_ORDERS = 10_000
"""Orders that this process has just let into its lane, for a filter that is still being made: some seconds' worth."""

LET_IN_PER_FILTER = 4 * RECENT_ORDERS
"""Most requests that are let in are refused in the end. The filter has room for so many of them (or as many as there may be
orders), and is then made anew: full of what came to nothing it would know no request as new, and memory refuse nobody."""

AWAITED_SECONDS = 30.0
"""An opening that is further away is not waited for by a thread: somebody will be too early again, nearer to it."""

OPENING_STEP_SECONDS = 1.0
"""How often the waiting thread looks whether the seller has moved the opening."""


@dataclass(frozen=True, slots=True)
class Sight:
    """A sale at one database timestamp. `taken_at` is this process's monotonic clock, in seconds, before the look began;
    `changed_at`, before the look that first saw the stock as it is.

    `all_orders` has every order of the sale, and perhaps later ones; None when that is not known.
    """

    sale: Sale
    shards: Sequence[ShardState]
    as_of: datetime
    taken_at: float
    available: int
    waiting: int
    epoch: int
    all_orders: OrderIdFilter | None
    changed_at: float
    draw: Draw | None = None

    @property
    def is_steady(self) -> bool:
        """Whether the stock has not changed for a while."""
        return self.taken_at - self.changed_at >= STEADY_SECONDS

    def refusal(self, units: int, clock: DatabaseClock) -> FairdropError | None:
        """The no that this sight says to an order of so many units, or None: a yes is for a transaction to say."""
        now = clock.estimate
        error = self.sale.refusal(proven_time=now, estimated_time=now)
        if error is None and self.sold_out_for(units):
            return SoldOut(as_of=self.as_of, age_ms=self.age_ms(time.monotonic()))
        return error

    def sold_out_for(self, units: int) -> bool:
        """Whether no stock was left for so many units, nor room on the waitlist. A lottery never sells out."""
        return not self.sale.is_lottery and units > self.available and self.waiting >= self.sale.waitlist_limit

    def age_ms(self, now: float) -> float:
        """Age at a monotonic time, in milliseconds; never less than the true age."""
        return (now - self.taken_at) * 1000.0


class _Look:
    """A look under way, and who waits for it."""

    def __init__(self) -> None:
        self.waiters: list[Waiter] = []
        self.error: FairdropError | None = None


class SaleWatch:
    """One process's view of one sale. Thread-safe; each look runs in a thread of its own."""

    def __init__(
        self, database: FairdropDatabase, clock: DatabaseClock, concurrency: Concurrency, sale_id: str
    ) -> None:
        """Know nothing yet."""
        self._database = database
        self._clock = clock
        self._concurrency = concurrency
        self._sale_id = sale_id
        self._lock = threading.Lock()
        self._look_lock = threading.Lock()
        self._under_way: _Look | None = None
        self._sight: Sight | None = None
        self._awaits_opening = False
        # Two threads add to the filter, and a bit that gets lost would hide an order.
        self._filter_lock = threading.Lock()
        self._filter: OrderIdFilter | None = None
        self._filter_epoch = -1
        self._recent: deque[str] = deque(maxlen=RECENT_ORDERS)
        self._let_in = 0
        self._cursors: dict[int, tuple[datetime, int] | None] = {}
        self._learned: dict[int, int] = {}

    @property
    def sight(self) -> Sight | None:
        """The latest sight, of whatever age."""
        return self._sight

    def within(self, max_age_ms: float, wait_seconds: float) -> Sight:
        """A sight at most this old, for a request; it looks if need be, once for all who ask at the same time.

        Raises SaleNotFound or StorageUnavailable.
        """
        asked_at = time.monotonic()
        while True:
            sight, now = self._sight, time.monotonic()
            if sight is not None and (sight.age_ms(now) <= max_age_ms or sight.taken_at >= asked_at):
                if sight.age_ms(now) > max_age_ms * LOOK_AHEAD_SHARE:
                    self.look_soon()
                return sight
            waiter = self._concurrency.waiter()
            look = self._join(waiter)
            if not waiter.wait(asked_at + wait_seconds - now):
                raise StorageUnavailable("the database does not answer", RETRY_AFTER_SECONDS)
            if look.error is not None:
                raise look.error

    def look_soon(self) -> None:
        """Begin a look, unless one is under way: before a sight is too old, so that a stream of requests never waits for one."""
        if self._under_way is None:
            self._join(None)

    def prove(self, moment: datetime) -> None:
        """Get a timestamp from the database, in this thread, unless one at or after this moment is there already.

        Raises SaleNotFound or StorageUnavailable. The timestamp may still be an earlier one.
        """
        with self._look_lock:
            if self._clock.proven < moment:
                self._look_alone()

    def await_opening(self) -> None:
        """See to it that the opening is proven as soon as it has come, so that the first order need not wait for that too."""
        if self._awaits_opening:
            return
        with self._lock:
            if self._awaits_opening:
                return
            # In this order: a thread that cannot be started is tried again by the next who comes too early.
            threading.Thread(target=self._be_there, name=f"opening {self._sale_id}", daemon=True).start()
            self._awaits_opening = True

    def _be_there(self) -> None:
        """The thread: until the sale must be open, by the latest terms; then one look."""
        try:
            while (sight := self._sight) is not None:
                opens_at = sight.sale.opens_at
                left_seconds = (opens_at - self._clock.estimate).total_seconds()
                if left_seconds <= 0:
                    self.prove(opens_at)
                    return
                if left_seconds > AWAITED_SECONDS:
                    return
                time.sleep(min(left_seconds, OPENING_STEP_SECONDS))
        except FairdropError as error:
            # The lane proves it then, when the first order comes.
            _log.warning("the opening of sale %s could not be proven: %s", self._sale_id, error)
        finally:
            self._awaits_opening = False

    def _join(self, waiter: Waiter | None) -> _Look:
        with self._lock:
            look = self._under_way
            if look is None:
                # In this order: a look that cannot be started is under way for nobody.
                look = _Look()
                threading.Thread(target=self._run, args=(look,), name=f"look {self._sale_id}", daemon=True).start()
                self._under_way = look
            if waiter is not None:
                look.waiters.append(waiter)
            return look

    def _run(self, look: _Look) -> None:
        try:
            self._look()
        except FairdropError as error:
            look.error = error
        except Exception:
            _log.exception("a look at sale %s failed", self._sale_id)
            look.error = StorageUnavailable("the order service failed", RETRY_AFTER_SECONDS)
        finally:
            with self._lock:
                self._under_way = None
            self._concurrency.wake(look.waiters)

    def _look(self) -> Sight:
        """Read terms, stock and the orders that are new, at one strong snapshot."""
        with self._look_lock:
            return self._look_alone()

    def _look_alone(self) -> Sight:
        taken_at = time.monotonic()
        epoch = self._database.epoch
        with snapshot(self._database) as reads:
            sale, as_of = sale_as_of(reads, self._sale_id)
            if sale is None:
                self._sight = None
                raise SaleNotFound(sale_id=self._sale_id)
            shards = read_shards(reads, self._sale_id)
            available, waiting = sum(s.available for s in shards), sum(s.waiting for s in shards)
            draw = find_draw(reads, self._sale_id) if sale.is_lottery else None
            says_no = sale.phase(as_of) in (Phase.PAUSED, Phase.CLOSED) or (
                not sale.is_lottery and available < sale.limit_per_customer and waiting >= sale.waitlist_limit
            )
            all_orders = self._learn_orders(reads, sale, shards, epoch) if says_no else None
        self._clock.observe(as_of)
        before = self._sight
        is_same = before is not None and before.epoch == epoch and before.shards == shards
        changed_at = before.changed_at if before is not None and is_same else taken_at
        self._sight = Sight(sale, shards, as_of, taken_at, available, waiting, epoch, all_orders, changed_at, draw)
        return self._sight

    def _learn_orders(
        self, reads: Snapshot, sale: Sale, shards: Sequence[ShardState], epoch: int
    ) -> OrderIdFilter | None:
        """Add the orders placed since the last look to the filter; returns it if it now has every order of the snapshot.

        Each order taken gives its shard a new version, so shards of a known version are passed over. What was learned of an
        earlier epoch is forgotten: its versions may be another database's.
        """
        orders = sale.expected_crowd if sale.is_lottery else sale.stock + sale.waitlist_limit
        let_in = max(orders, LET_IN_PER_FILTER)
        if self._filter is None or self._filter_epoch != epoch or self._let_in > let_in:
            fresh = OrderIdFilter(orders + let_in)
            with self._filter_lock:
                self._let_in = 0
                for order_id in self._recent:
                    fresh.add(order_id)
                self._filter, self._filter_epoch = fresh, epoch
            self._cursors, self._learned = {}, {}
        room = ORDER_IDS_PER_LOOK
        for shard in shards:
            if self._learned.get(shard.shard_id) == shard.version:
                continue
            rows = order_ids_after(reads, self._sale_id, shard.shard_id, self._cursors.get(shard.shard_id), room)
            with self._filter_lock:
                for placed_at, seq, order_id in rows:
                    self._filter.add(order_id)
                    self._cursors[shard.shard_id] = (placed_at, seq)
            room -= len(rows)
            if room == 0:
                return None
            self._learned[shard.shard_id] = shard.version
        return self._filter if self._database.epoch == epoch else None

    def learn(self, order_id: str) -> None:
        """An order that this process is about to take: from now on a retry is looked for, however old the latest sight is."""
        with self._filter_lock:
            self._recent.append(order_id)
            if self._filter is not None:
                self._filter.add(order_id)
                self._let_in += 1

    def surely_new(self, order_id: str) -> bool:
        """Whether no order of this id existed at the latest sight; False when that is not known."""
        sight = self._sight
        if sight is None or sight.all_orders is None:
            return False
        return not sight.all_orders.may_contain(order_id)
