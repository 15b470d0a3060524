"""A customer's cancel: one process's queue of them, by group commit, so that thousands at once share their transactions."""

import logging
import time
from collections.abc import Sequence

from app.domain.errors import FairdropError, StorageUnavailable
from app.domain.orders import Order
from app.domain.settlement import OrderKey, Refused, Settlement
from app.domain.states import Trigger
from app.services.concurrency import Concurrency, Threads
from app.services.group_commit import GroupCommit, Ticket
from app.services.settlement import ORDERS_PER_STEP, Unsettled, settle
from app.settings import Settings
from app.storage.clock import DatabaseClock
from app.storage.database import RETRY_AFTER_SECONDS, FairdropDatabase

_log = logging.getLogger(__name__)


class Cancelling(GroupCommit[OrderKey, Order]):
    """One process's queue of cancels, of all sales. Thread-safe."""

    def __init__(
        self,
        database: FairdropDatabase,
        clock: DatabaseClock,
        settings: Settings,
        writer: str,
        concurrency: Concurrency | None = None,
    ) -> None:
        """Open the queue; no call is made yet."""
        super().__init__(concurrency or Threads(), "cancels", settings.lane_capacity, ORDERS_PER_STEP)
        self._database = database
        self._clock = clock
        self._deadline_seconds = settings.request_deadline_seconds
        self._writer = writer

    def cancel(self, customer_id: str, sale_id: str, order_id: str) -> Order:
        """Cancel the customer's order; the order as it then is. To cancel a cancelled order changes nothing.

        Returns when it is committed. Raises OrderNotFound (also for somebody else's), CancelWindowClosed, TransitionRefused;
        after Overloaded and StorageUnavailable it may have been cancelled all the same, and the same call tells.
        """
        deadline = time.monotonic() + self._deadline_seconds
        return self.submit(OrderKey(customer_id, sale_id, order_id), deadline).wait()

    def _run(self, batch: Sequence[Ticket[OrderKey, Order]]) -> None:
        """Sale by sale, so that nobody waits for another sale's transaction longer than he must."""
        by_sale: dict[str, list[Ticket[OrderKey, Order]]] = {}
        for ticket in batch:
            by_sale.setdefault(ticket.request.sale_id, []).append(ticket)
        for tickets in by_sale.values():
            try:
                self._settle(tickets)
            except Exception:
                # A fault of ours: the queue must live on, and the customers must not wait for their deadline.
                _log.exception("%d cancels of sale %s failed", len(tickets), tickets[0].request.sale_id)
                self._answer_all(tickets, StorageUnavailable("the order service failed", RETRY_AFTER_SECONDS))

    def _settle(self, tickets: Sequence[Ticket[OrderKey, Order]]) -> None:
        wishes = [Settlement(ticket.request, Trigger.CANCEL, "customer") for ticket in tickets]
        for ticket, outcome in zip(tickets, settle(self._database, self._clock, wishes, self._writer), strict=True):
            answer: Order | FairdropError
            answer = outcome.error if isinstance(outcome, Refused | Unsettled) else outcome.order
            ticket.answer = answer
        self._concurrency.wake(ticket.waiter for ticket in tickets)
