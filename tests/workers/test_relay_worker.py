"""The relay as processes, on a real database and a real broker: killed, stopped, outlived by the broker or outliving it."""

import logging
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from google.cloud.spanner_v1 import KeySet

from app.local.children import Child, free_port
from app.messaging.broker import EMULATOR_VARIABLE, BrokerUnavailable
from app.messaging.consumer import Consumer, Done
from app.messaging.events import Event
from app.messaging.topics import ORDER_EVENTS, PAYMENT_EVENTS, Route, ensure_topics
from app.settings import Settings
from app.storage import schema
from app.storage.database import FairdropDatabase, connect, snapshot
from emulator import Emulators, running
from tests.services.relay_world import write

PATIENCE_SECONDS = 180.0
"""Ends a test that would hang; no test expects anything to happen within it."""

log = logging.getLogger(__name__)


class Shop:
    """An outbox, a Pub/Sub project, relays, and everything that arrived at the subscription."""

    def __init__(self, folder: Path, settings: Settings, database_id: str, route: Route) -> None:
        self.database = connect(settings, database_id)
        self.project = settings.broker_project
        self.relays: list[Child] = []
        self.arrived: list[Event] = []
        self.written: list[str] = []
        self._route = route
        self._folder = folder
        self._environment = {
            "FAIRDROP_SPANNER_PROJECT": settings.spanner_project,
            "FAIRDROP_SPANNER_INSTANCE": settings.spanner_instance,
            "FAIRDROP_SPANNER_DATABASE": database_id,
            "FAIRDROP_PAYMENTS_DATABASE": database_id,
            "FAIRDROP_PUBSUB_PROJECT": self.project,
            "FAIRDROP_LEASE_SECONDS": "1.5",
        }

    def start(self, name: str = "relay") -> Child:
        command = [sys.executable, "-m", "app.cli", "work", name]
        relay = Child(name, command, self._environment, self._folder / f"relay-{len(self.relays)}.log")
        self.relays.append(relay)
        return relay

    def write(self, shard: int, order: str, *seqs: int, database: FairdropDatabase | None = None) -> None:
        write(database or self.database, shard, order, *seqs)
        self.written += [f"{order}:{seq}" for seq in seqs]

    def ticked_off(self) -> int:
        with snapshot(self.database) as reads:
            return sum(count for (count,) in reads.read("OutboxCursors", ("Published",), KeySet(all_=True)))

    def shares(self) -> list[int]:
        """How many slots each holder has whose lease has not run out, the largest first."""
        with snapshot(self.database) as reads:
            rows = list(reads.read("Leases", ("Name", "Holder", "Until"), KeySet(all_=True)))
        now = datetime.now(UTC)
        holders = [holder for name, holder, until in rows if "/slot/" in name and until > now]
        return sorted((holders.count(holder) for holder in set(holders)), reverse=True)

    def wait_until(self, is_so: Callable[[], bool], *living: Child) -> None:
        give_up = time.monotonic() + PATIENCE_SECONDS
        while not is_so():
            for relay in living:
                relay.check()
            assert time.monotonic() < give_up, [relay.log_tail() for relay in self.relays]
            time.sleep(0.05)

    def receive_all(self, ids: list[str] | None = None) -> None:
        """Pull until every written event, or each of these, has arrived."""
        missing = set(ids if ids is not None else self.written) - {event.id for event in self.arrived}
        consumer = Consumer(self.project, self._route)
        give_up = time.monotonic() + PATIENCE_SECONDS

        def handle(batch: object) -> list[Done]:
            events = list(batch)  # type: ignore[call-overload]
            self.arrived += events
            missing.difference_update(event.id for event in events)
            return [Done()] * len(events)

        while missing:
            assert time.monotonic() < give_up, f"{len(missing)} never arrived, such as {sorted(missing)[:3]}"
            try:
                consumer.step(handle)
            except BrokerUnavailable as error:
                log.info("%s", error)
        consumer.close()

    def each_order_arrived_in_order(self) -> bool:
        """By the first arrival of each event; a repeat may come at any time."""
        first = list(dict.fromkeys((event.order_id, int(event.id.rpartition(":")[2])) for event in self.arrived))
        orders = {order for order, _ in first}
        return all(seqs == sorted(seqs) for seqs in ([seq for o, seq in first if o == order] for order in orders))


def named(database: str, project: str) -> Settings:
    return Settings(
        spanner_project="fairdrop-test",
        spanner_instance="fairdrop-test",
        spanner_database=database,
        pubsub_project=project,
    )


def opened(folder: Path, part: str, route: Route) -> Iterator[Shop]:
    name = uuid.uuid4().hex[:12]
    settings = named(f"{part}-{name}", f"test-{name}")
    schema.apply(settings, database_id=settings.spanner_database, folder=schema.SCHEMA_ROOT / part)
    own = Shop(folder, settings, settings.spanner_database, route)
    yield own
    for relay in own.relays:
        relay.stop()
    own.database.drop()


@pytest.fixture
def shop(emulators: Emulators, pubsub_emulator: Emulators, tmp_path: Path) -> Iterator[Shop]:
    for own in opened(tmp_path, "orders", ORDER_EVENTS):
        ensure_topics(own.project)
        yield own


@pytest.fixture
def own_broker(emulators: Emulators, monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulators]:
    """A Pub/Sub emulator that a test may stop and kill."""
    with running(spanner=False, pubsub=True, fresh=True) as started:
        monkeypatch.setenv(EMULATOR_VARIABLE, started.environment[EMULATOR_VARIABLE])
        yield started


@pytest.fixture
def broken_shop(own_broker: Emulators, tmp_path: Path) -> Iterator[Shop]:
    """A shop whose broker is the test's own."""
    yield from opened(tmp_path, "orders", ORDER_EVENTS)


def test_what_is_committed_arrives_and_sigterm_ends_the_relay_and_frees_its_shards(shop: Shop) -> None:
    relay = shop.start()
    for order in range(32):
        shop.write(order % 16, f"o-{order}", 1, 2)
    shop.receive_all()
    shop.wait_until(lambda: shop.ticked_off() == 64, relay)
    assert len(shop.arrived) == 64
    assert shop.each_order_arrived_in_order()
    assert relay.stop() == 0
    assert "published 64 events; lag p50 " in relay.log_tail()
    assert "None" not in relay.log_tail()
    assert shop.shares() == []


def test_the_payments_outbox_is_relayed_by_the_same_code_under_ids_of_its_own(
    emulators: Emulators, pubsub_emulator: Emulators, tmp_path: Path
) -> None:
    for own in opened(tmp_path, "payments", PAYMENT_EVENTS):
        ensure_topics(own.project)
        own.start("payments-relay")
        own.write(3, "o-1", 1, 2)
        own.receive_all(["o-1:p1", "o-1:p2"])


def test_a_relay_that_is_killed_in_a_backlog_is_taken_over_from_and_nothing_is_lost(shop: Shop) -> None:
    for seq in (1, 2, 3):
        for shard in range(16):
            for block in range(3):
                write_block(shop, shard, block, seq)
    first = shop.start()
    shop.wait_until(lambda: shop.ticked_off() > 0, first)
    first.kill()
    shop.relays.remove(first)
    for shard in range(16):
        write_block(shop, shard, 0, 4)
    second = shop.start()
    shop.wait_until(lambda: shop.ticked_off() == len(shop.written), second)
    shop.receive_all()
    assert shop.each_order_arrived_in_order()


def write_block(shop: Shop, shard: int, block: int, seq: int) -> None:
    for order in range(3):
        shop.write(shard, f"o-{shard}-{block}-{order}", *range(seq * 100, seq * 100 + 20))


def test_relays_share_the_shards_evenly_and_those_of_a_dead_one_move_on(shop: Shop) -> None:
    first = [shop.start() for _ in range(2)]
    shop.wait_until(lambda: shop.shares() == [8, 8], *first)
    third = shop.start()
    shop.wait_until(lambda: shop.shares() == [6, 5, 5], *first, third)
    first[0].kill()
    shop.relays.remove(first[0])
    shop.wait_until(lambda: shop.shares() == [8, 8], first[1], third)
    for shard in range(16):
        shop.write(shard, f"o-{shard}", 1)
    shop.receive_all()


def test_a_relay_that_is_stopped_for_longer_than_its_lease_again_and_again_does_no_harm(shop: Shop) -> None:
    sleeper, other = shop.start(), shop.start()
    shop.wait_until(lambda: shop.shares() == [8, 8], sleeper, other)
    is_over = threading.Event()

    def keep_writing() -> None:
        own = connect(named(shop.database.database_id, shop.project))
        seq = 0
        while not is_over.is_set():
            seq += 1
            for shard in range(0, 16, 2):
                shop.write(shard, f"o-{shard}", seq, database=own)

    writer = threading.Thread(target=keep_writing)
    writer.start()
    for _ in range(3):
        sleeper.signal(signal.SIGSTOP)
        shop.wait_until(lambda: shop.shares() == [16], other)
        sleeper.signal(signal.SIGCONT)
        shop.wait_until(lambda: shop.shares() == [8, 8], sleeper, other)
    is_over.set()
    writer.join()
    shop.receive_all()
    assert shop.each_order_arrived_in_order()
    # Repeats are published, and never counted: a sleeper's cursor moved nothing that was another's.
    shop.wait_until(lambda: shop.ticked_off() == len(shop.written), sleeper, other)


def test_while_the_broker_hangs_events_wait_and_all_arrive_when_it_is_back(
    broken_shop: Shop, own_broker: Emulators
) -> None:
    shop, pubsub = broken_shop, own_broker.pubsub
    assert pubsub is not None
    relay = shop.start()
    shop.write(0, "o-1", 1)
    shop.receive_all()
    pubsub.suspend()
    shop.write(0, "o-1", 2)
    shop.write(9, "o-2", 1)
    shop.wait_until(lambda: "no answer, trying again: Pub/Sub" in relay.log_tail(), relay)
    pubsub.resume()
    shop.receive_all()
    shop.wait_until(lambda: shop.ticked_off() == 3, relay)


def test_a_broker_that_comes_back_empty_gets_its_topics_again_and_what_was_not_acknowledged(
    broken_shop: Shop, own_broker: Emulators
) -> None:
    shop, pubsub = broken_shop, own_broker.pubsub
    assert pubsub is not None
    relay = shop.start()
    shop.write(0, "o-1", 1)
    shop.receive_all()
    shop.wait_until(lambda: shop.ticked_off() == 1, relay)
    pubsub.kill()
    shop.write(0, "o-1", 2)
    shop.wait_until(lambda: "no answer, trying again: Pub/Sub" in relay.log_tail(), relay)
    pubsub.restart()
    shop.receive_all()
    relay.check()


def test_a_relay_may_be_started_before_the_broker_and_is_told_to_stop_meanwhile(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(EMULATOR_VARIABLE, f"127.0.0.1:{free_port()}")
    relay = shop.start()
    shop.wait_until(lambda: "no answer, trying again: Pub/Sub" in relay.log_tail(), relay)
    assert relay.stop() == 0


def test_sigterm_ends_a_relay_even_while_the_broker_hangs(broken_shop: Shop, own_broker: Emulators) -> None:
    shop, pubsub = broken_shop, own_broker.pubsub
    assert pubsub is not None
    relay = shop.start()
    shop.write(0, "o-1", 1)
    shop.receive_all()
    pubsub.suspend()
    shop.write(0, "o-1", 2)
    time.sleep(0.5)
    assert relay.stop() == 0
    assert shop.shares() == []
    assert shop.ticked_off() == 1
