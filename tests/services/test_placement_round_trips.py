"""What an order costs: two round trips for a lone one, a share of them in a crowd."""

import threading
import time
from datetime import UTC, datetime

import pytest
from counter_samples import HeldCommit, Wire, balanced_books, crowd, open_counter, order
from sale_samples import put_up

from app.domain.errors import SaleNotFound
from app.domain.ids import fingerprint, order_id
from app.domain.orders import Order, OrderRequest
from app.domain.states import Status
from app.services import placement
from app.services.lane import Taken
from app.settings import Settings
from app.storage.database import FairdropDatabase


def test_a_lone_order_costs_one_read_and_one_commit(settings: Settings, database: FairdropDatabase, wire: Wire) -> None:
    sale = put_up(database)
    counter = open_counter(settings)
    order(counter, sale, "ann")
    for customer in ("bob", "cat", "dan"):
        wire.calls.clear()
        assert order(counter, sale, customer).order.status is Status.PLACED
        # The read begins the transaction: a begin_transaction of its own would be a third trip.
        assert wire.calls == {"streaming_read": 1, "commit": 1}


def test_a_retry_costs_one_read_and_writes_nothing(settings: Settings, database: FairdropDatabase, wire: Wire) -> None:
    sale = put_up(database)
    counter = open_counter(settings)
    first = order(counter, sale, "ann", units=2)
    before = balanced_books(database, sale.sale_id)
    wire.calls.clear()
    again = order(counter, sale, "ann", units=2)
    assert wire.calls["streaming_read"] == 1
    assert again == Taken(first.order, replayed=True)
    assert balanced_books(database, sale.sale_id) == before


def test_lone_orders_are_never_held_back(
    settings: Settings, database: FairdropDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    sale = put_up(database)
    counter = open_counter(settings)
    naps: list[float] = []
    sleep = time.sleep

    def watched_sleep(seconds: float) -> None:
        if threading.current_thread().name == f"lane {sale.sale_id}":
            naps.append(seconds)
        sleep(seconds)

    monkeypatch.setattr(time, "sleep", watched_sleep)
    for index in range(20):
        order(counter, sale, f"customer-{index}")
    assert naps == []


def test_a_crowd_of_a_thousand_with_256_in_flight_shares_at_most_twenty_commits(
    settings: Settings, database: FairdropDatabase, wire: Wire
) -> None:
    sale = put_up(database, stock=1_000, shard_count=1)
    counter = open_counter(settings)
    order(counter, sale, "first")
    wire.calls.clear()
    answers = crowd([lambda i=i: order(counter, sale, f"customer-{i}") for i in range(1_000)], in_flight=256)
    assert sum(isinstance(answer, Taken) for answer in answers) == 999
    assert wire.calls["commit"] <= 20
    assert balanced_books(database, sale.sale_id).units(Status.PLACED) == 1_000


def a_request(sale_id: str, customer: str) -> OrderRequest:
    name = order_id(sale_id, customer, "key")
    return OrderRequest(customer, name, 1, fingerprint(1, None), None, datetime.now(UTC))


def position(one: Order) -> tuple[datetime, int, int]:
    return one.placed_at, one.shard_id, one.seq


def test_the_queue_position_agrees_with_the_order_of_arrival_at_the_lane(
    settings: Settings, database: FairdropDatabase, wire: Wire
) -> None:
    sale = put_up(database)
    counter = open_counter(settings, batch_limit=7)
    order(counter, sale, "first")
    lane = counter._counters[sale.sale_id].lane
    assert lane is not None
    held = HeldCommit(wire)
    tickets = [lane.submit(a_request(sale.sale_id, f"customer-{i}"), time.monotonic() + 60) for i in range(30)]
    held.let_go()
    positions = [position(ticket.wait().order) for ticket in tickets]
    assert positions == sorted(set(positions))


def test_what_gathers_while_a_commit_is_in_flight_goes_into_the_next_ones_within_the_batch_limit(
    settings: Settings, database: FairdropDatabase, wire: Wire
) -> None:
    sale = put_up(database)
    counter = open_counter(settings, batch_limit=4)
    order(counter, sale, "first")
    lane = counter._counters[sale.sale_id].lane
    assert lane is not None
    held = HeldCommit(wire)
    alone = lane.submit(a_request(sale.sale_id, "alone"), time.monotonic() + 60)
    held.arrived.wait(60)
    tickets = [lane.submit(a_request(sale.sale_id, f"customer-{i}"), time.monotonic() + 60) for i in range(10)]
    held.let_go()
    first = alone.wait().order.placed_at
    commits = [ticket.wait().order.placed_at for ticket in tickets]
    assert [commits.count(moment) for moment in sorted(set(commits))] == [4, 4, 2]
    assert first < min(commits)


def test_an_order_tells_what_the_database_has(settings: Settings, database: FairdropDatabase) -> None:
    sale = put_up(database, unit_price_minor=500)
    taken = order(open_counter(settings), sale, "ann", units=2, method="tok_visa")
    (row,) = balanced_books(database, sale.sale_id).rows
    shown = taken.order
    assert not taken.replayed
    assert (row["OrderId"], row["Status"], row["Units"]) == (shown.order_id, shown.status, shown.units)
    assert (row["PlacedAt"], row["ShardId"], row["Seq"], row["DueAt"]) == (*position(shown), shown.due_at)
    assert shown.status is Status.PENDING
    assert shown.due_at is not None
    assert shown.due_at > shown.placed_at


def test_an_id_that_is_no_sale_s_is_looked_up_once_a_moment_and_a_sale_made_meanwhile_is_seen_after_it(
    settings: Settings, database: FairdropDatabase, wire: Wire
) -> None:
    counter = open_counter(settings)
    moment_ms = 300.0
    for _ in range(5):
        with pytest.raises(SaleNotFound):
            counter.sight("not-yet-there", moment_ms)
    assert wire.calls["streaming_read"] == 1
    sale = put_up(database, sale_id="not-yet-there")
    # An order is for the database to judge, whatever was seen a moment ago.
    assert order(counter, sale, "ann").order.status is Status.PLACED
    time.sleep(moment_ms / 1000)
    assert counter.sight("not-yet-there", moment_ms).sale == sale


def test_the_ids_that_are_no_sale_s_are_remembered_up_to_a_bound(
    settings: Settings, database: FairdropDatabase, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placement, "UNKNOWN_IN_MEMORY", 2)
    counter = open_counter(settings)
    for name in ("one", "two", "three", "three", "two", "one"):
        with pytest.raises(SaleNotFound):
            counter.sight(name, 60_000.0)
    assert wire.calls["streaming_read"] == 4
