"""The payment worker as a process: order events from Pub/Sub, money at the gateway, payment events in the outbox."""

import sys
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.local.children import Child
from app.messaging.broker import publisher_client, subscriber_client
from app.messaging.dead_letters import read_dead_letters
from app.messaging.events import ORDERS_SOURCE, Event
from app.messaging.publisher import Publisher
from app.messaging.topics import ORDER_EVENTS, ensure_topics, subscription_path, topic_path
from app.payments.states import State
from app.payments.store import SpannerBooks
from app.settings import Settings
from app.storage import schema
from app.storage.database import connect
from emulator import Emulators
from tests.gateway_simulator.simulator_process import Simulator

PATIENCE_SECONDS = 180.0
"""Ends a test that would hang; no test expects anything to happen within it."""


class Shop:
    """A payment worker's surroundings: a database, topics and a gateway of the test's own."""

    def __init__(self, folder: Path, settings: Settings, simulator: Simulator) -> None:
        self.simulator = simulator
        self.books = SpannerBooks(connect(settings, settings.payments_database))
        self.project = settings.broker_project
        self.workers: list[Child] = []
        self._folder = folder
        self._environment = {
            "FAIRDROP_SPANNER_PROJECT": settings.spanner_project,
            "FAIRDROP_SPANNER_INSTANCE": settings.spanner_instance,
            "FAIRDROP_PAYMENTS_DATABASE": settings.payments_database,
            "FAIRDROP_PUBSUB_PROJECT": self.project,
            "FAIRDROP_GATEWAY_URL": simulator.url,
            "FAIRDROP_GATEWAY_TIMEOUT_SECONDS": "1",
        }

    def start_worker(self) -> Child:
        command = [sys.executable, "-m", "app.cli", "work", "payments"]
        log = self._folder / f"payments-{len(self.workers)}.log"
        self.workers.append(Child("the payment worker", command, self._environment, log))
        return self.workers[-1]

    def tell(self, *events: tuple[str, str], **changes: object) -> None:
        """Publish (type, order id), each with data as the order service writes it."""
        Publisher(self.project, ORDER_EVENTS.topic, ORDERS_SOURCE).publish(
            [
                Event(f"order.{kind}", order_id, f"{order_id}:{n}", datetime.now(UTC), {**data(order_id), **changes})
                for n, (kind, order_id) in enumerate(events)
            ]
        )

    def states(self, order_ids: list[str]) -> set[State | None]:
        found = self.books.find(order_ids).payments
        return {found[order_id].state if order_id in found else None for order_id in order_ids}


def data(order_id: str) -> dict[str, object]:
    return {
        "order_id": order_id,
        "sale_id": "iphone",
        "customer_id": "customer-1",
        "status": "PENDING",
        "units": 1,
        "amount_minor": 49_900,
        "currency": "EUR",
        "payment_method": "tok_visa",
    }


def wait_until(is_so: Callable[[], bool], *processes: Child) -> None:
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        for process in processes:
            process.check()
        assert time.monotonic() < give_up
        time.sleep(0.05)


def make_topics(project: str) -> None:
    """The topics, with a subscription that gives up a dead worker after 10 s, Pub/Sub's least, in place of 60."""
    publisher, subscriber = publisher_client(), subscriber_client()
    topic = topic_path(project, ORDER_EVENTS.topic)
    publisher.create_topic(request={"name": topic})
    subscriber.create_subscription(
        request={
            "name": subscription_path(project, ORDER_EVENTS.subscription),
            "topic": topic,
            "enable_message_ordering": True,
            "ack_deadline_seconds": 10,
        }
    )
    ensure_topics(project)


@pytest.fixture
def shop(emulators: Emulators, pubsub_emulator: Emulators, tmp_path: Path) -> Iterator[Shop]:
    name = uuid.uuid4().hex[:12]
    settings = Settings(
        spanner_project="fairdrop-test",
        spanner_instance="fairdrop-test",
        payments_database=f"payments-{name}",
        pubsub_project=f"test-{name}",
    )
    schema.apply(settings, database_id=settings.payments_database, folder=schema.SCHEMA_ROOT / "payments")
    make_topics(settings.broker_project)
    simulator = Simulator(tmp_path)
    own = Shop(tmp_path, settings, simulator)
    yield own
    for worker in own.workers:
        worker.stop()
    simulator.stop()
    connect(settings, settings.payments_database).drop()


def orders(count: int) -> list[str]:
    return [str(uuid.uuid4()) for _ in range(count)]


def test_events_move_money_and_sigterm_ends_the_worker_in_good_order(shop: Shop) -> None:
    shop.simulator.start()
    worker = shop.start_worker()
    kept, taken_back = orders(2)
    shop.tell(("reserved", kept), ("reserved", taken_back), ("placed", kept), ("confirmed", kept))
    wait_until(lambda: shop.states([kept]) == {State.CAPTURED}, worker)
    shop.tell(("released", taken_back))
    wait_until(lambda: shop.states([taken_back]) == {State.VOIDED}, worker)
    assert {entry["state"] for entry in shop.simulator.book().values()} == {"captured", "voided"}
    assert worker.stop() == 0
    assert "handled 5 messages, 0 of them poison" in worker.log_tail()


def test_a_worker_that_is_killed_is_taken_over_from_and_nobody_is_charged_twice(shop: Shop) -> None:
    shop.simulator.start(delay_ms=100, lost_rate=0.1)
    ids = orders(100)
    shop.tell(*(("reserved", order_id) for order_id in ids), *(("confirmed", order_id) for order_id in ids))
    first = shop.start_worker()
    wait_until(lambda: len(shop.simulator.book()) > 10, first)
    first.kill()
    assert shop.states(ids) != {State.CAPTURED}
    second = shop.start_worker()
    wait_until(lambda: shop.states(ids) == {State.CAPTURED}, second)
    assert [entry["captured_minor"] for entry in shop.simulator.book().values()] == [49_900] * len(ids)


def test_while_the_gateway_is_away_messages_wait_and_are_handled_when_it_is_back(shop: Shop) -> None:
    worker = shop.start_worker()
    ids = orders(5)
    shop.tell(*(("reserved", order_id) for order_id in ids))
    wait_until(lambda: shop.states(ids) == {State.AUTHORIZING}, worker)
    shop.simulator.start()
    wait_until(lambda: shop.states(ids) == {State.AUTHORIZED}, worker)


def test_poison_is_laid_aside_with_its_reason_and_holds_up_nobody(shop: Shop) -> None:
    shop.simulator.start()
    worker = shop.start_worker()
    bad, good = orders(2)
    shop.tell(("reserved", bad), amount_minor=-1)
    shop.tell(("reserved", good))
    wait_until(lambda: shop.states([good]) == {State.AUTHORIZED}, worker)
    found = list(read_dead_letters(shop.project, ORDER_EVENTS, 10, take=False))
    assert [(letter.event_type, bad in letter.text) for letter in found] == [("order.reserved", True)]
    assert found[0].reason.startswith("amount_minor: ")
    assert shop.states([bad]) == {None}


def test_a_gateway_that_must_not_be_used_stops_the_worker_with_one_line(shop: Shop) -> None:
    shop._environment["FAIRDROP_PAYMENT_GATEWAY"] = "stripe"
    worker = shop.start_worker()
    wait_until(lambda: worker.exit_code is not None)
    assert worker.exit_code == 1
    assert "FAIRDROP_STRIPE_API_KEY" in worker.log_tail()
