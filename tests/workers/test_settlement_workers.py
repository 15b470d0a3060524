"""The settlement and the deadlines worker as processes: payment events in, orders moved on, captures asked for."""

import sys
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sale_samples import put_up

from app.domain.orders import Order
from app.domain.states import Status
from app.local.children import Child
from app.messaging.dead_letters import read_dead_letters
from app.messaging.events import PAYMENTS_SOURCE, Event
from app.messaging.publisher import Publisher
from app.messaging.topics import PAYMENT_EVENTS, ensure_topics
from app.services.audit.report import audit
from app.services.orders import own_order
from app.services.placement import Placement
from app.settings import Settings
from app.storage.database import FairdropDatabase
from emulator import Emulators

PATIENCE_SECONDS = 120.0
"""Ends a test that would hang; no test expects anything to happen within it."""


class Shop:
    """A priced sale of two units, and the workers that look after it."""

    def __init__(self, folder: Path, settings: Settings, database: FairdropDatabase) -> None:
        self.database = database
        self.project = f"test-{uuid.uuid4().hex[:12]}"
        ensure_topics(self.project)
        self.workers: list[Child] = []
        self._folder = folder
        self._environment = {
            "FAIRDROP_SPANNER_PROJECT": settings.spanner_project,
            "FAIRDROP_SPANNER_INSTANCE": settings.spanner_instance,
            "FAIRDROP_SPANNER_DATABASE": settings.spanner_database,
            "FAIRDROP_PUBSUB_PROJECT": self.project,
            "FAIRDROP_LEASE_SECONDS": "1",
        }
        self._publisher = Publisher(self.project, PAYMENT_EVENTS.topic, PAYMENTS_SOURCE)
        self.counter = Placement(database, settings)
        self.sale_id = put_up(
            database,
            unit_price_minor=500,
            stock=2,
            limit_per_customer=1,
            waitlist_limit=10,
            expected_crowd=10,
            shard_count=2,
            cancel_window_seconds=0,
        ).sale_id

    def start(self, name: str) -> Child:
        command = [sys.executable, "-m", "app.cli", "work", name]
        log = self._folder / f"{name}-{len(self.workers)}.log"
        self.workers.append(Child(f"the {name} worker", command, self._environment, log))
        return self.workers[-1]

    def order(self, customer: str) -> Order:
        return self.counter.place(customer, self.sale_id, 1, "key", "tok_visa", datetime.now(UTC)).order

    def tell(self, order: Order, *kinds: str) -> None:
        """Publish payment events of an order."""
        data = {"order_id": order.order_id, "sale_id": order.sale_id, "customer_id": order.customer_id, "reason": None}
        self._publisher.publish(
            [
                Event(f"payment.{kind}", order.order_id, f"{order.order_id}:p{n}", datetime.now(UTC), data)
                for n, kind in enumerate(kinds)
            ]
        )

    def wait_until(self, order: Order, is_so: Callable[[Order], bool]) -> None:
        give_up = time.monotonic() + PATIENCE_SECONDS
        while not is_so(own_order(self.database, order.customer_id, order.sale_id, order.order_id)):
            for worker in self.workers:
                worker.check()
            assert time.monotonic() < give_up
            time.sleep(0.05)


@pytest.fixture
def shop(
    emulators: Emulators, pubsub_emulator: Emulators, tmp_path: Path, settings: Settings, database: FairdropDatabase
) -> Iterator[Shop]:
    own = Shop(tmp_path, settings, database)
    yield own
    for worker in own.workers:
        worker.stop()


def test_from_the_authorization_to_the_capture_and_down_the_waitlist_and_sigterm_ends_both_in_good_order(
    shop: Shop,
) -> None:
    settlement, deadlines = shop.start("settlement"), shop.start("deadlines")
    ann, bob, cat = (shop.order(customer) for customer in ("ann", "bob", "cat"))
    assert cat.status is Status.WAITLISTED
    shop.tell(ann, "authorized")
    shop.tell(bob, "declined")
    shop.wait_until(ann, lambda order: order.confirmed_at is not None)
    shop.wait_until(cat, lambda order: order.status is Status.PENDING)
    shop.tell(ann, "captured", "captured")
    shop.wait_until(ann, lambda order: order.status is Status.PLACED)
    assert [worker.stop() for worker in (settlement, deadlines)] == [0, 0]
    assert "settled 4 events; 0 are dead letters" in settlement.log_tail()
    assert "moved 1 orders" in deadlines.log_tail()
    assert audit(shop.database, shop.sale_id).verdict == "CLEAN"


def test_a_deadlines_worker_that_is_killed_is_taken_over_from(shop: Shop) -> None:
    shop.start("settlement")
    first = shop.start("deadlines")
    ann, bob = shop.order("ann"), shop.order("bob")
    shop.tell(ann, "authorized")
    shop.wait_until(ann, lambda order: order.confirmed_at is not None)
    first.kill()
    shop.workers.remove(first)
    shop.tell(bob, "authorized")
    shop.start("deadlines")
    shop.wait_until(bob, lambda order: order.confirmed_at is not None)


def test_poison_is_laid_aside_with_its_reason_and_holds_up_nobody(shop: Shop) -> None:
    shop.start("settlement")
    ann, bob = shop.order("ann"), shop.order("bob")
    shop.tell(ann, "disputed")
    shop.tell(bob, "authorized")
    shop.wait_until(bob, lambda order: order.status is Status.AUTHORIZED)
    (letter,) = read_dead_letters(shop.project, PAYMENT_EVENTS, 1, take=True)
    assert "disputed" in letter.reason
