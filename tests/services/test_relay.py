"""The relay publishes every row at least once and each order's in order, whatever happens between publishing and ticking off."""

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from google.cloud.spanner_v1 import KeyRange, KeySet
from relay_world import Broker, open_relay, run_dry, write

from app.messaging.broker import BrokerUnavailable
from app.services import outbox_age
from app.services import relay as relay_module
from app.services.leases import LeaseKeeper
from app.services.outbox_age import OutboxAge
from app.services.relay import SLOTS, order_event_id, replay
from app.settings import Settings
from app.storage import backlog
from app.storage import console as storage_console
from app.storage.clock import DatabaseClock
from app.storage.database import FairdropDatabase, connect, snapshot, transact


@pytest.fixture(autouse=True)
def _empty(database: FairdropDatabase) -> Iterator[None]:
    yield

    def clear(transaction: object) -> None:
        for table in ("Outbox", "OutboxCursors", "Leases"):
            transaction.delete(table, KeySet(all_=True))  # type: ignore[attr-defined]

    transact(database, "clear", clear)


def test_every_row_is_published_once_and_in_order_when_nothing_fails(
    settings: Settings, database: FairdropDatabase
) -> None:
    for seq in range(1, 4):
        for order in range(20):
            write(database, order % 16, f"o-{order}", seq)
    broker = Broker()
    run_dry(open_relay(settings, broker))
    assert len(broker.events) == len(set(broker.ids())) == 60
    for order in range(20):
        assert [i for i in broker.ids() if i.startswith(f"o-{order}:")] == [f"o-{order}:{seq}" for seq in (1, 2, 3)]


def test_a_relay_that_starts_later_goes_on_where_the_cursor_is(settings: Settings, database: FairdropDatabase) -> None:
    broker = Broker()
    write(database, 3, "o-1", 1, 2)
    first = open_relay(settings, broker, lease_seconds=0.5)
    run_dry(first)
    write(database, 3, "o-1", 3)
    time.sleep(0.6)
    run_dry(open_relay(settings, broker))
    assert broker.ids() == ["o-1:1", "o-1:2", "o-1:3"]


def test_without_the_brokers_acknowledgement_the_cursor_stays_and_the_page_is_published_again(
    settings: Settings, database: FairdropDatabase
) -> None:
    write(database, 0, "o-1", 1, 2)
    broker = Broker()
    broker.failures_before = 1
    broker.failures_after = 1
    relay = open_relay(settings, broker)
    for _ in range(2):
        with pytest.raises(BrokerUnavailable):
            relay.step()
    run_dry(relay)
    assert broker.ids() == ["o-1:1", "o-1:2"] * 2


def test_a_relay_that_dies_between_publishing_and_ticking_off_is_repeated_by_the_next(
    settings: Settings, database: FairdropDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(database, 0, "o-1", 1)
    broker = Broker()
    dying = open_relay(settings, broker, lease_seconds=0.5)
    with monkeypatch.context() as patch:
        patch.setattr(relay_module, "transact", _die)
        with pytest.raises(KeyboardInterrupt):
            dying.step()
    time.sleep(0.6)
    run_dry(open_relay(settings, broker))
    assert broker.ids() == ["o-1:1", "o-1:1"]


def _die(*_: object) -> None:
    raise KeyboardInterrupt


def test_while_writers_commit_all_the_time_nothing_is_skipped(settings: Settings, database: FairdropDatabase) -> None:
    broker = Broker()
    relay = open_relay(settings, broker)

    def writer(number: int) -> None:
        own = connect(settings)
        for seq in range(1, 31):
            write(own, number % 2, f"w-{number}", seq)

    writers = [threading.Thread(target=writer, args=(number,)) for number in range(4)]
    for thread in writers:
        thread.start()
    while any(thread.is_alive() for thread in writers):
        relay.step()
    run_dry(relay)
    for number in range(4):
        assert [i for i in broker.ids() if i.startswith(f"w-{number}:")] == [
            f"w-{number}:{seq}" for seq in range(1, 31)
        ]


@pytest.mark.parametrize("busy", [(0,), (7,), (15,), (2, 3), (0, 15)])
def test_a_backlog_larger_than_a_page_is_published_whole_and_keeps_no_quiet_shard_waiting_for_longer_than_a_round(
    settings: Settings, database: FairdropDatabase, monkeypatch: pytest.MonkeyPatch, busy: tuple[int, ...]
) -> None:
    monkeypatch.setattr(relay_module, "PAGE_ROWS", 10)
    broker = Broker()
    relay = open_relay(settings, broker)
    for shard in busy:
        for order in range(6):
            write(database, shard, f"busy-{shard}-{order}", *range(1, 11))
    relay.step()
    quiet = [shard for shard in (0, 5, 15) if shard not in busy]
    for shard in quiet:
        write(database, shard, f"quiet-{shard}", 1)
    for _ in busy:
        relay.step()
    assert {f"quiet-{shard}:1" for shard in quiet} <= set(broker.ids())
    run_dry(relay)
    expected = [f"busy-{shard}-{o}:{s}" for shard in busy for o in range(6) for s in range(1, 11)]
    assert sorted(broker.ids()) == sorted(expected + [f"quiet-{shard}:1" for shard in quiet])


def test_two_relays_share_the_shards_and_a_dead_ones_move_on(settings: Settings, database: FairdropDatabase) -> None:
    database_clock = DatabaseClock()
    database_clock.observe(datetime.now(UTC))
    ann, bob = (LeaseKeeper(connect(settings), database_clock, "relay", SLOTS, 0.6, name) for name in ("ann", "bob"))
    ann.keep()
    for keeper in (bob, ann, bob, ann, bob):
        keeper.keep()
        time.sleep(0.21)
    assert len(ann.keep()) == len(bob.keep()) == 8
    assert not ann.keep() & bob.keep()
    give_up = time.monotonic() + 20
    while len(ann.keep()) < 16 and time.monotonic() < give_up:
        time.sleep(0.1)
    assert ann.keep() == frozenset(SLOTS)


def test_leases_are_given_up_at_once_and_by_one_that_has_none_without_harm(
    settings: Settings, database: FairdropDatabase
) -> None:
    clock = DatabaseClock()
    clock.observe(datetime.now(UTC))
    ann, bob = (LeaseKeeper(connect(settings), clock, "relay", SLOTS, 60.0, name) for name in ("ann", "bob"))
    bob.give_up()
    assert ann.keep() == frozenset(SLOTS)
    ann.give_up()
    assert bob.keep() == frozenset(SLOTS)


def test_a_relay_that_slept_through_its_lease_ticks_nothing_off(settings: Settings, database: FairdropDatabase) -> None:
    broker = Broker()
    sleeper = open_relay(settings, broker, lease_seconds=0.5)
    write(database, 5, "o-1", 1)
    other = open_relay(settings, Broker())

    def sleep_and_be_overtaken() -> None:
        broker.on_publish = lambda: None
        time.sleep(0.6)
        run_dry(other)
        write(database, 5, "o-1", 2)

    broker.on_publish = sleep_and_be_overtaken
    sleeper.step()
    run_dry(other)
    with database.snapshot() as reads:
        (row,) = reads.read("OutboxCursors", ("EventSeq", "Published"), KeySet(keys=[[5]]))
    assert row == [2, 2]


def test_duplicates_are_made_only_when_asked_for(settings: Settings, database: FairdropDatabase) -> None:
    write(database, 0, "o-1", *range(1, 51))
    broker = Broker()
    run_dry(open_relay(settings, broker, duplicates=1.0))
    assert sorted(broker.ids()) == sorted(f"o-1:{seq}" for seq in range(1, 51) for _ in range(2))


def test_the_lag_is_told_from_commit_to_acknowledgement(settings: Settings, database: FairdropDatabase) -> None:
    write(database, 0, "o-1", 1)
    relay = open_relay(settings, Broker())
    assert relay.stats.lag_p50 is None
    run_dry(relay)
    assert relay.stats.published == 1
    assert relay.stats.lag_p99 is not None
    assert 0 <= relay.stats.lag_p99 < 60


def test_a_replay_publishes_again_from_a_time_and_moves_no_cursor(
    settings: Settings, database: FairdropDatabase
) -> None:
    write(database, 0, "o-1", 1)
    write(database, 7, "o-2", 1)
    run_dry(open_relay(settings, Broker()))
    broker = Broker()
    since = datetime.now(UTC) - timedelta(minutes=1)
    assert replay(database, broker, order_event_id, since, range(16), lambda _: None) == 2
    assert sorted(broker.ids()) == ["o-1:1", "o-2:1"]
    assert replay(database, broker, order_event_id, datetime.now(UTC) + timedelta(hours=1), [0], lambda _: None) == 0


def test_a_replay_ends_with_what_was_committed_before_it_began(settings: Settings, database: FairdropDatabase) -> None:
    write(database, 0, "o-1", 1)
    since = datetime.now(UTC) - timedelta(minutes=1)
    broker = Broker()
    fresh = iter(range(1, 10))
    broker.on_publish = lambda: write(database, 15, "late", next(fresh))
    assert replay(database, broker, order_event_id, since, range(16), lambda _: None) == 1
    assert broker.ids() == ["o-1:1"]


def test_a_replay_of_one_shard_leaves_the_others_alone_and_pages_through_it(
    settings: Settings, database: FairdropDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "PAGE_ROWS", 3)
    write(database, 0, "o-1", *range(1, 8))
    write(database, 7, "o-2", 1)
    broker = Broker()
    since = datetime.now(UTC) - timedelta(minutes=1)
    assert replay(database, broker, order_event_id, since, [0], lambda _: None) == 7
    assert broker.ids() == [f"o-1:{seq}" for seq in range(1, 8)]


def test_the_oldest_event_s_age_grows_while_the_broker_or_the_relay_is_away_and_is_told_without_it(
    settings: Settings, database: FairdropDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage_console, "STALENESS", timedelta(0))
    age = OutboxAge(database)
    assert age.seconds() is None
    age.look()
    assert age.seconds() == 0.0
    write(database, 3, "o-1", 1)
    age.look()
    first = age.seconds()
    broker = Broker()
    broker.failures_before = 1
    relay = open_relay(settings, broker)
    with pytest.raises(BrokerUnavailable):
        relay.step()
    # From here on no relay runs.
    time.sleep(0.3)
    assert age.seconds() == first
    age.look()
    second = age.seconds()
    assert first is not None
    assert second is not None
    assert second >= first + 0.3 > 0.3
    # The database does not answer any more, either.
    monkeypatch.setattr(outbox_age, "BLIND_SECONDS", 0.0)
    time.sleep(0.1)
    assert (age.seconds() or 0.0) >= second + 0.1
    monkeypatch.undo()
    run_dry(relay)
    monkeypatch.setattr(storage_console, "STALENESS", timedelta(0))
    age.look()
    assert age.seconds() == 0.0


def test_the_oldest_event_is_found_behind_a_shard_with_more_than_is_counted(
    database: FairdropDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "COUNTED_AT_MOST", 3)
    write(database, 9, "o-old", 1)
    write(database, 2, "o-new", 1, 2, 3, 4)
    with snapshot(database) as reads:
        found = backlog.read_backlog(reads)
        (oldest,) = reads.read("Outbox", ("CreatedAt",), KeySet(ranges=[KeyRange(start_closed=[9], end_closed=[9])]))
    assert (found.events, found.oldest_at) == (3, oldest[0])
