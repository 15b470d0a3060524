"""One process's lane for one sale: its orders by group commit.

The lane owns its queue, its home shard and what it remembers of it, and one thread.
"""

import logging
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from app.domain.errors import FairdropError, SoldOut, StorageUnavailable
from app.domain.orders import Order, OrderRequest
from app.domain.placement import NewOrder, Outcome, Refused, Replayed
from app.domain.sale import Sale
from app.domain.states import Status
from app.services.batch_spans import BatchSpans
from app.services.concurrency import Concurrency
from app.services.figures import Figures
from app.services.group_commit import GroupCommit, Ticket
from app.services.watch import SaleWatch
from app.storage.clock import DatabaseClock
from app.storage.database import Conflict, FairdropDatabase, OutcomeUnknown, Rejected, transact
from app.storage.placement import HomeView, Placement, place_batch
from app.tracing.spans import NO_TRACES, Traces

_log = logging.getLogger(__name__)

VIEW_MAX_AGE_SECONDS = 24 * 3600.0
"""The guard of the lane's memory is a ledger row, and the ledger forgets after 90 days."""

TRIES_IN_CONFLICT = 5
"""After the first conflict all is read under lock, so a second one needs a third party; five of them mean a fault."""

TRIES_UNAVAILABLE = 3
"""A restarted database has forgotten our sessions, and says so once."""

RETRY_PAUSE_SECONDS = 0.05
"""Before a batch of unknown outcome is run again."""

CROWD_SHARE = 0.3
"""Of the orders under way: so many wait no longer for others, where that is more than CROWD_BATCH. When more come than a process
can answer, most of them wait for their answers and not for a commit, and fewer commits leave it more time (measured at four times
the capacity: 5 % more orders taken)."""


@dataclass(frozen=True, slots=True)
class Taken:
    """The answer to a request that has an order: its own, or the one that an earlier try made."""

    order: Order
    replayed: bool


class Lane(GroupCommit[OrderRequest, Taken]):
    """One process's queue of orders for one sale, with one transaction in flight."""

    def __init__(
        self,
        database: FairdropDatabase,
        clock: DatabaseClock,
        watch: SaleWatch,
        concurrency: Concurrency,
        sale: Sale,
        writer: str,
        capacity: int,
        batch_limit: int,
        figures: Figures,
        traces: Traces = NO_TRACES,
        under_way: Callable[[], int] = lambda: 0,
    ) -> None:
        """Open the lane; its thread starts with the first order. `under_way` tells how many orders the process has not answered."""
        super().__init__(concurrency, f"lane {sale.sale_id}", capacity, batch_limit)
        self._database = database
        self._clock = clock
        self._watch = watch
        self._sale_id = sale.sale_id
        self._shard_count = sale.shard_count
        self._writer = writer
        self._figures = figures
        self._under_way = under_way
        self._traces = traces
        self._home_id = zlib.crc32(writer.encode()) % sale.shard_count
        self._view: HomeView | None = None
        self._view_epoch = -1
        self._view_taken_at = 0.0

    def _enough(self) -> int:
        return max(super()._enough(), int(CROWD_SHARE * self._under_way()))

    def _run(self, batch: Sequence[Ticket[OrderRequest, Taken]]) -> None:
        """Place a batch and answer each ticket. Never raises: an error of the batch is every ticket's answer."""
        spans = BatchSpans(self._traces, self._sale_id, [t.span for t in batch if t.span is not None], len(batch))
        try:
            placement, committed = self._place(batch, spans)
        except Rejected as error:
            spans.failed(error)
            self._run_apart(batch, error)
            return
        except FairdropError as error:
            spans.failed(error)
            self._view = None
            self._answer_all(batch, error)
            return
        except Exception as error:
            # A fault of ours: the lane must live on, and the buyers must not wait for their deadline.
            _log.exception("a batch of %d orders of sale %s failed", len(batch), self._sale_id)
            spans.failed(error)
            self._view = None
            self._answer_all(batch, StorageUnavailable("the order service failed", 1))
            return
        self._clock.observe(committed)
        self._figures.committed(len(batch))
        spans.placed(placement, committed)
        said_no = False
        for ticket, outcome in zip(batch, placement.decision.outcomes, strict=True):
            ticket.answer = self._answer(ticket.request, outcome, placement, committed)
            said_no = said_no or isinstance(ticket.answer, SoldOut)
        self._concurrency.wake(ticket.waiter for ticket in batch)
        if said_no:
            self._watch.look_soon()

    def _run_apart(self, batch: Sequence[Ticket[OrderRequest, Taken]], error: Rejected) -> None:
        """One bad order never fails its neighbours: halve the batch until the bad one stands alone."""
        if len(batch) == 1:
            self._answer_all(batch, StorageUnavailable(f"the database refused the order: {error}", 1))
            return
        middle = len(batch) // 2
        self._run(batch[:middle])
        self._run(batch[middle:])

    def _place(self, batch: Sequence[Ticket[OrderRequest, Taken]], spans: BatchSpans) -> tuple[Placement, datetime]:
        """Run the transaction until its outcome is known."""
        requests = [ticket.request for ticket in batch]
        view = self._known_view()
        self._prove_opening(view)
        work = spans.timed(place_batch)
        conflicts = unavailable = 0
        while True:
            epoch = self._database.epoch
            try:
                placement, committed = transact(
                    self._database,
                    "place",
                    work,
                    self._sale_id,
                    self._home_id,
                    view,
                    requests,
                    self._refusal_of,
                    self._clock.estimate,
                    self._writer,
                )
            except Conflict:
                conflicts += 1
                if conflicts == TRIES_IN_CONFLICT:
                    raise StorageUnavailable("the stock changes too fast", 1) from None
                if conflicts > 1:
                    self._home_id = (self._home_id + 1) % self._shard_count
            except OutcomeUnknown:
                # The orders' own keys tell whether they were taken: the same batch again finds or makes them.
                if time.monotonic() >= max(ticket.deadline for ticket in batch):
                    raise
                time.sleep(RETRY_PAUSE_SECONDS)
            except StorageUnavailable:
                unavailable += 1
                if unavailable == TRIES_UNAVAILABLE:
                    raise
            else:
                spans.committed()
                self._view, self._view_epoch, self._view_taken_at = placement.view, epoch, time.monotonic()
                return placement, committed
            view = None

    def _refusal_of(self, sale: Sale) -> FairdropError | None:
        """Why this sale takes no new orders now, or None."""
        return sale.refusal(self._clock.proven, self._clock.estimate)

    def _prove_opening(self, view: HomeView | None) -> None:
        """When it must be time, get a timestamp from the database that proves it: only that opens a sale."""
        if view is not None and self._clock.proven < view.sale.opens_at <= self._clock.estimate:
            self._watch.prove(view.sale.opens_at)

    def _known_view(self) -> HomeView | None:
        """What the lane may build on: its last commit, or the latest sight; None when either may be of a database that is gone."""
        epoch, now = self._database.epoch, time.monotonic()
        if self._view is not None and self._view_epoch == epoch and now - self._view_taken_at < VIEW_MAX_AGE_SECONDS:
            return self._view
        sight = self._watch.sight
        if sight is None or sight.epoch != epoch:
            return None
        home = next((shard for shard in sight.shards if shard.shard_id == self._home_id), None)
        return HomeView(sight.sale, home) if home is not None else None

    @staticmethod
    def _answer(
        request: OrderRequest, outcome: Outcome, placement: Placement, committed: datetime
    ) -> Taken | FairdropError:
        if isinstance(outcome, Replayed):
            return Taken(outcome.order, replayed=True)
        if isinstance(outcome, Refused):
            error = outcome.error
            return SoldOut(as_of=committed, age_ms=0.0) if isinstance(error, SoldOut) else error
        return Taken(
            as_order(outcome, placement.view, placement.hold_until, committed), replayed=outcome.request is not request
        )


def as_order(new: NewOrder, view: HomeView, hold_until: datetime, committed: datetime) -> Order:
    """The order as it now stands in the database."""
    request, sale = new.request, view.sale
    return Order(
        customer_id=request.customer_id,
        sale_id=sale.sale_id,
        order_id=request.order_id,
        status=new.status,
        units=request.units,
        unit_price_minor=sale.unit_price_minor,
        currency=sale.currency,
        shard_id=view.home.shard_id,
        seq=new.seq,
        placed_at=committed,
        fingerprint=request.fingerprint,
        due_at=hold_until if new.status is Status.PENDING else None,
    )
