"""Orders of a priced sale in any state, a clock that can be put forward, and the audit after it all."""

import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from counter_samples import PATIENCE_SECONDS, balanced_books, open_counter, order
from sale_samples import put_up

from app.domain.ids import fingerprint, order_id
from app.domain.orders import Order, OrderRequest
from app.domain.sale import Sale
from app.domain.settlement import OrderKey, Outcome, Settlement
from app.domain.states import Status, Trigger
from app.services.audit.report import audit
from app.services.placement import Placement
from app.services.settlement import Unsettled, settle
from app.settings import Settings
from app.storage.clock import DatabaseClock
from app.storage.database import FairdropDatabase, snapshot
from app.storage.orders import find_order

LANE_FULL = 400
"""Fewer than a lane lets wait."""


class ForwardClock(DatabaseClock):
    """The database's clock, put forward by so many seconds: what is due then is due now."""

    forward_seconds = 0.0

    @property
    def estimate(self) -> datetime:
        return super().estimate + timedelta(seconds=self.forward_seconds)


def key_of(found: Order) -> OrderKey:
    return OrderKey(found.customer_id, found.sale_id, found.order_id)


class Stage:
    """One priced sale, a counter to order at, and a hand that settles."""

    def __init__(self, database: FairdropDatabase, settings: Settings, **terms: Any) -> None:
        self.database = database
        self.settings = settings
        defaults = {"unit_price_minor": 500, "stock": 4, "shard_count": 2, "waitlist_limit": 1_000}
        self.sale: Sale = put_up(database, **{**defaults, **terms})
        self.counter: Placement = open_counter(settings)
        self.clock = ForwardClock()
        self.keys: dict[str, OrderKey] = {}

    def order(self, customer: str, units: int = 1, counter: Placement | None = None) -> OrderKey:
        taken = order(counter or self.counter, self.sale, customer, units, method="tok_visa")
        self.keys[customer] = key_of(taken.order)
        return self.keys[customer]

    def order_many(
        self, customers: Sequence[str], counter: Placement | None = None, units: Sequence[int] | None = None
    ) -> list[OrderKey]:
        """As many orders in few commits, after a first one; the keys in the customers' order. Of one unit, unless `units` says."""
        counter = counter or self.counter
        sizes = units or [1] * len(customers)
        first = self.order(customers[0], sizes[0], counter)
        lane = counter._counters[self.sale.sale_id].lane
        assert lane is not None
        deadline = time.monotonic() + PATIENCE_SECONDS
        now, method = datetime.now(UTC), "tok_visa"
        requests = [
            OrderRequest(name, order_id(self.sale.sale_id, name, "key"), size, fingerprint(size, method), method, now)
            for name, size in zip(customers[1:], sizes[1:], strict=True)
        ]
        keys = [first]
        for start in range(0, len(requests), LANE_FULL):
            tickets = [lane.submit(request, deadline) for request in requests[start : start + LANE_FULL]]
            keys += [key_of(ticket.wait().order) for ticket in tickets]
        self.keys.update(zip(customers, keys, strict=True))
        return keys

    def settle(self, customers: Iterable[str], *triggers: Trigger | None) -> list[Outcome | Unsettled]:
        """All of these triggers for each of these customers, in one batch."""
        wishes = [Settlement(self.keys[customer], trigger, "test") for customer in customers for trigger in triggers]
        return self.settle_batch(wishes)

    def settle_batch(self, wishes: Sequence[Settlement]) -> list[Outcome | Unsettled]:
        return settle(self.database, self.clock, wishes, "settler:1")

    def stored(self, customer: str) -> Order:
        key = self.keys[customer]
        with snapshot(self.database) as reads:
            found = find_order(reads, key.customer_id, key.sale_id, key.order_id)
        assert found is not None
        return found

    def statuses(self) -> dict[str, str]:
        """Status by customer."""
        return {row["CustomerId"]: row["Status"] for row in self.books().rows}

    def books(self) -> Any:
        return balanced_books(self.database, self.sale.sale_id)

    def events(self, customer: str) -> list[str]:
        """The types of the order's events in the outbox, in their order."""
        listing = "SELECT EventType FROM Outbox WHERE OrderId = @order ORDER BY EventSeq"
        with snapshot(self.database) as reads:
            rows = reads.execute_sql(listing, params={"order": self.keys[customer].order_id})
            return [row[0] for row in rows]

    def count_events(self) -> int:
        with snapshot(self.database) as reads:
            listing = "SELECT COUNT(*) FROM OrderEvents WHERE SaleId = @sale"
            ((count,),) = reads.execute_sql(listing, params={"sale": self.sale.sale_id})
        return int(count)

    def assert_clean(self) -> None:
        """The whole history, as the auditor judges it."""
        self.books()
        report = audit(self.database, self.sale.sale_id)
        assert {finding.name: finding.violations for finding in report.broken} == {}


PATHS: dict[Status, tuple[Trigger, ...]] = {
    Status.ENTERED: (),
    Status.PENDING: (),
    Status.AUTHORIZED: (Trigger.AUTHORIZE,),
    Status.PLACED: (Trigger.AUTHORIZE, Trigger.CONFIRM, Trigger.CAPTURE),
    Status.PAYMENT_FAILED: (Trigger.DECLINE,),
    Status.EXPIRED: (Trigger.EXPIRE,),
    Status.CANCELLED: (Trigger.CANCEL,),
    Status.WAITLISTED: (),
    Status.LAPSED: (Trigger.LAPSE,),
}
"""What brings a held order, a waiting one and a lottery's entry to each status."""
