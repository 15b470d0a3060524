"""Taking an order: refused from memory where memory may speak, else through the process's lane for the sale."""

import os
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from opentelemetry.trace import Span

from app.domain.errors import FairdropError, IdempotencyKeyReused, Overloaded, SaleNotFound, SaleNotOpen, SoldOut
from app.domain.ids import fingerprint, order_id
from app.domain.orders import Order, OrderRequest
from app.services.concurrency import Concurrency, Threads
from app.services.figures import Figures
from app.services.lane import Lane, Taken
from app.services.turnstile import Turnstile
from app.services.watch import AWAITED_SECONDS, LOOK_AHEAD_SHARE, SaleWatch, Sight
from app.settings import Settings
from app.storage.clock import DatabaseClock
from app.storage.database import FairdropDatabase, snapshot
from app.storage.orders import find_order
from app.tracing.spans import NO_TRACES, ORDER_ID, SALE_ID, Traces, ending, traceparent_of

FIRST_LOOK_MAX_AGE_MS = 60_000.0
"""That a sale exists, and how many shards it has, does not age."""

SALES_IN_MEMORY = 500
"""Sales that one process keeps a watch and a lane for; the one unused longest makes room."""

UNKNOWN_IN_MEMORY = 1_000
"""Ids that were no sale's a moment ago: a link that is wrong is asked for by a crowd, too."""

_OVERLOADED = "overloaded"
"""As the problem is named."""

WAIT_SPAN = "take order"


@dataclass(slots=True)
class _Counter:
    watch: SaleWatch
    lane: Lane | None = None


class Placement:
    """One process's counter: its watches and lanes. Thread-safe."""

    def __init__(
        self,
        database: FairdropDatabase,
        settings: Settings,
        concurrency: Concurrency | None = None,
        traces: Traces = NO_TRACES,
    ) -> None:
        """Open the counter; no call is made yet."""
        self.clock = DatabaseClock()
        self.figures = Figures()
        self.turnstile = Turnstile(settings.lane_capacity, settings.request_deadline_seconds)
        self._database = database
        self._settings = settings
        self._concurrency: Concurrency = concurrency or Threads()
        self._traces = traces
        self._writer = f"{socket.gethostname()[:40]}:{os.getpid()}"
        self._lock = threading.Lock()
        self._counters: OrderedDict[str, _Counter] = OrderedDict()
        # When the look began that did not find it, by the monotonic clock.
        self._unknown: OrderedDict[str, float] = OrderedDict()

    @property
    def writer(self) -> str:
        """Name of this process, as the stock ledger has it."""
        return self._writer

    def count_waiting(self) -> None:
        """Bring the figures' count of the orders that wait in the lanes up to date."""
        with self._lock:
            lanes = [counter.lane for counter in self._counters.values() if counter.lane is not None]
        self.figures.waiting_in_lanes = sum(lane.depth for lane in lanes)

    def sight(self, sale_id: str, max_age_ms: float) -> Sight:
        """What is known of the sale, at most this old: that there is none, too. Raises SaleNotFound or StorageUnavailable."""
        unknown_at = self._unknown.get(sale_id)
        if unknown_at is not None and (time.monotonic() - unknown_at) * 1000.0 <= max_age_ms:
            raise SaleNotFound(sale_id=sale_id)
        return self._counter(sale_id).watch.within(max_age_ms, self._settings.request_deadline_seconds)

    @property
    def is_shut(self) -> bool:
        """Whether one more order would be too many for this process."""
        return self.turnstile.is_shut

    def refused(self, orders: int) -> None:
        """So many were refused before anything was read of them."""
        self.figures.refused_unread += orders
        self.figures.answered(_OVERLOADED, 0.0, orders)

    def refuse_when_full(self, sale_id: str) -> None:
        """Raise Overloaded if too many orders are under way, or wait in the sale's lane: asked before anything else of a request
        is looked at, for in a crowd that is too large every microsecond spent on a refusal is taken from an order.
        """
        counter = self._counters.get(sale_id)
        if self.turnstile.is_shut or (counter is not None and counter.lane is not None and counter.lane.is_full):
            raise Overloaded(retry_after_seconds=1)

    def place(
        self,
        customer_id: str,
        sale_id: str,
        units: int,
        idempotency_key: str,
        payment_method: str | None,
        received_at: datetime,
        span: Span | None = None,
    ) -> Taken:
        """Take an order, or find the one that this key has already made.

        Returns when the order is committed. Raises the FairdropError that says why not; after Overloaded and
        StorageUnavailable the order may have been taken all the same, and the same key finds it. `span` is the request's, if it
        is traced.
        """
        entered, line = time.monotonic(), self.turnstile.enter()
        try:
            deadline = entered + self._settings.request_deadline_seconds
            order = order_id(sale_id, customer_id, idempotency_key)
            wait = None if span is None else self._traces.under(span, WAIT_SPAN, {ORDER_ID: order})
            request = OrderRequest(
                customer_id,
                order,
                units,
                fingerprint(units, payment_method),
                payment_method,
                received_at,
                None if wait is None else traceparent_of(wait),
            )
            if wait is None:
                return self._place(sale_id, request, deadline)
            with ending(wait):
                return self._place(sale_id, request, deadline, wait)
        finally:
            self.turnstile.leave(line, time.monotonic() - entered)

    def _place(self, sale_id: str, request: OrderRequest, deadline: float, wait: Span | None = None) -> Taken:
        units = request.units
        counter = self._counter(sale_id)
        if wait is not None:
            # Not before there is such a sale: until then it is what a client typed.
            wait.set_attribute(SALE_ID, sale_id)
        sight = counter.watch.sight
        if sight is None or sight.refusal(units, self.clock) is not None:
            # Only a no is taken from a sight, and only from a fresh one; a yes is for the transaction to say.
            sight = self._fresh_sight(counter.watch, units)
            refusal = sight.refusal(units, self.clock)
            if isinstance(refusal, SaleNotOpen) and refusal.seconds_left <= AWAITED_SECONDS:
                counter.watch.await_opening()
            if refusal is not None and not self._is_stale(refusal):
                earlier = self._earlier_or_refuse(counter, request, sale_id, refusal)
                if earlier is not None:
                    return earlier
        if counter.lane is None:
            counter.lane = self._new_lane(counter.watch, sight)
        counter.watch.learn(request.order_id)
        return counter.lane.submit(request, deadline, wait).wait()

    def _fresh_sight(self, watch: SaleWatch, units: int) -> Sight:
        """A sight young enough to refuse so many units: of any age that memory may have while the stock is steady, else one
        begun only now.
        """
        sight = watch.within(self._settings.sold_out_memory_ms, self._settings.request_deadline_seconds)
        if sight.is_steady or not sight.sold_out_for(units):
            return sight
        return watch.within(0.0, self._settings.request_deadline_seconds)

    def _is_stale(self, refusal: FairdropError) -> bool:
        """Whether the look itself took so long that only a transaction may still say no."""
        return isinstance(refusal, SoldOut) and refusal.age_ms > self._settings.sold_out_memory_ms

    def _earlier_or_refuse(
        self, counter: _Counter, request: OrderRequest, sale_id: str, refusal: FairdropError
    ) -> Taken | None:
        """Refuse, unless there is or may be an earlier try of this request: a retry must find its order even when all is sold.

        None: an earlier try may still be in this process's lane, which answers them in their order.
        """
        if counter.watch.surely_new(request.order_id):
            raise refusal
        order = self._concurrency.run(self._find, request.customer_id, sale_id, request.order_id)
        if order is None:
            return None
        if order.fingerprint != request.fingerprint:
            raise IdempotencyKeyReused(order_id=order.order_id)
        return Taken(order, replayed=True)

    def _find(self, customer_id: str, sale_id: str, order_id: str) -> Order | None:
        with snapshot(self._database) as reads:
            return find_order(reads, customer_id, sale_id, order_id)

    def refusal_from_memory(
        self, customer_id: Callable[[], str | None], sale_id: str, units: int, idempotency_key: str
    ) -> SoldOut | None:
        """SoldOut, when a fresh sight says so and this key surely has no order; None when more must be asked. Never blocks.

        `customer_id` is asked only when the sale is sold out.
        """
        counter = self._counters.get(sale_id)
        sight = counter.watch.sight if counter is not None else None
        if counter is None or sight is None or not sight.is_steady:
            return None
        refusal, age_ms = sight.refusal(units, self.clock), sight.age_ms(time.monotonic())
        if age_ms > self._settings.sold_out_memory_ms or not isinstance(refusal, SoldOut):
            return None
        if age_ms > self._settings.sold_out_memory_ms * LOOK_AHEAD_SHARE:
            counter.watch.look_soon()
        customer = customer_id()
        if customer is None or not counter.watch.surely_new(order_id(sale_id, customer, idempotency_key)):
            return None
        return refusal

    def _counter(self, sale_id: str) -> _Counter:
        """The watch and lane of a sale; a sale that is not found leaves nothing behind."""
        with self._lock:
            counter = self._counters.get(sale_id)
            if counter is None:
                counter = _Counter(SaleWatch(self._database, self.clock, self._concurrency, sale_id))
                self._counters[sale_id] = counter
                if len(self._counters) > SALES_IN_MEMORY:
                    self._counters.popitem(last=False)
            else:
                self._counters.move_to_end(sale_id)
        if counter.watch.sight is None:
            asked_at = time.monotonic()
            try:
                counter.watch.within(FIRST_LOOK_MAX_AGE_MS, self._settings.request_deadline_seconds)
            except SaleNotFound:
                with self._lock:
                    self._counters.pop(sale_id, None)
                    self._unknown[sale_id] = asked_at
                    self._unknown.move_to_end(sale_id)
                    if len(self._unknown) > UNKNOWN_IN_MEMORY:
                        self._unknown.popitem(last=False)
                raise
        return counter

    def _new_lane(self, watch: SaleWatch, sight: Sight) -> Lane:
        return Lane(
            self._database,
            self.clock,
            watch,
            self._concurrency,
            sight.sale,
            self._writer,
            self._settings.lane_capacity,
            self._settings.batch_limit,
            self.figures,
            self._traces,
            lambda: self.turnstile.under_way,
        )
