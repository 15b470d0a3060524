"""No order before the opening, judged by the database's clock whatever this process's clocks say."""

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from counter_samples import PATIENCE_SECONDS, balanced_books, open_counter, order
from sale_samples import put_up

from app.domain.errors import SaleClosed, SaleNotOpen
from app.domain.states import Status
from app.services import sales
from app.settings import Settings
from app.storage.database import FairdropDatabase

AN_HOUR = 3_600.0


def database_time(database: FairdropDatabase) -> datetime:
    """What the database's clock says."""
    return sales.show(database, put_up(database).sale_id).as_of


def test_a_process_whose_clock_runs_ahead_takes_no_order_before_the_opening(
    settings: Settings, database: FairdropDatabase
) -> None:
    now = database_time(database)
    sale = put_up(database, opens_at=now + timedelta(minutes=30), closes_at=now + timedelta(hours=9))
    counter = open_counter(settings)
    counter.sight(sale.sale_id, 0.0)
    counter.clock._monotonic_seconds = lambda: time.monotonic() + AN_HOUR
    assert counter.clock.estimate > sale.opens_at
    with pytest.raises(SaleNotOpen):
        order(counter, sale, "ann")
    assert balanced_books(database, sale.sale_id).rows == []


def test_a_process_whose_clock_runs_behind_opens_all_the_same(settings: Settings, database: FairdropDatabase) -> None:
    sale = put_up(database, opens_at=database_time(database) + timedelta(seconds=2))
    counter = open_counter(settings)
    counter.sight(sale.sale_id, 0.0)
    counter.clock._monotonic_seconds = lambda: time.monotonic() - AN_HOUR
    while database_time(database) < sale.opens_at:
        time.sleep(0.05)
    time.sleep(settings.sold_out_memory_ms / 1_000)
    assert order(counter, sale, "ann").order.status is Status.PLACED


@pytest.mark.parametrize("days", [-1, 1])
def test_when_the_server_says_that_it_received_an_order_does_not_matter(
    settings: Settings, database: FairdropDatabase, days: int
) -> None:
    now = database_time(database)
    early = put_up(database, opens_at=now + timedelta(minutes=30))
    due = put_up(database, opens_at=now - timedelta(minutes=30))
    counter = open_counter(settings)
    received_at = datetime.now(UTC) + timedelta(days=days)
    with pytest.raises(SaleNotOpen):
        counter.place("ann", early.sale_id, 1, "key", None, received_at)
    taken = counter.place("ann", due.sale_id, 1, "key", None, received_at)
    assert due.opens_at < taken.order.placed_at < due.closes_at


def test_a_crowd_that_hammers_at_the_door_gets_every_unit_and_none_of_them_early(
    settings: Settings, database: FairdropDatabase
) -> None:
    # Long enough for every thread to have been there before, on a busy machine too.
    sale = put_up(database, stock=200, opens_at=database_time(database) + timedelta(seconds=3))
    counters = [open_counter(settings, f"process:{index}") for index in range(2)]
    told_to_wait = [0] * 20

    def hammer(index: int) -> None:
        for number in range(10):
            while True:
                try:
                    order(counters[index % 2], sale, f"customer-{index}-{number}")
                    break
                except SaleNotOpen:
                    told_to_wait[index] += 1

    buyers = [threading.Thread(target=hammer, args=(index,)) for index in range(20)]
    for buyer in buyers:
        buyer.start()
    for buyer in buyers:
        buyer.join(PATIENCE_SECONDS)
    books = balanced_books(database, sale.sale_id)
    assert min(told_to_wait) > 0
    assert len(books.line(Status.PLACED)) == 200
    assert min(row["PlacedAt"] for row in books.rows) >= sale.opens_at


def test_at_its_closing_time_a_sale_takes_no_more_orders_also_from_a_lane_that_remembers_it_open(
    settings: Settings, database: FairdropDatabase
) -> None:
    now = database_time(database)
    sale = put_up(database, opens_at=now - timedelta(hours=1), closes_at=now + timedelta(seconds=1))
    counter = open_counter(settings)
    order(counter, sale, "ann")
    while counter.clock.estimate < sale.closes_at:
        time.sleep(0.05)
    with pytest.raises(SaleClosed):
        order(counter, sale, "bob")
    assert order(counter, sale, "ann").replayed


def test_whoever_comes_too_early_has_the_opening_proven_when_it_comes_and_not_before(
    settings: Settings, database: FairdropDatabase
) -> None:
    sale = put_up(database, opens_at=database_time(database) + timedelta(seconds=1))
    counter = open_counter(settings)
    with pytest.raises(SaleNotOpen):
        order(counter, sale, "ann")
    assert counter.clock.proven < sale.opens_at
    give_up = time.monotonic() + PATIENCE_SECONDS
    while counter.clock.proven < sale.opens_at:
        assert counter.clock.estimate < sale.opens_at + timedelta(seconds=PATIENCE_SECONDS)
        assert time.monotonic() < give_up
        time.sleep(0.01)
    looks = []
    watch = counter._counters[sale.sale_id].watch
    watch._look_alone = lambda: looks.append(1)  # type: ignore[method-assign, assign, return-value, func-returns-value]
    assert order(counter, sale, "ann").order.placed_at >= sale.opens_at
    assert looks == [], "the first order proved the opening once more"


def test_nobody_waits_in_a_thread_for_an_opening_that_is_far_away(
    settings: Settings, database: FairdropDatabase
) -> None:
    sale = put_up(database, opens_at=database_time(database) + timedelta(minutes=10))
    counter = open_counter(settings)
    with pytest.raises(SaleNotOpen):
        order(counter, sale, "ann")
    assert not [thread for thread in threading.enumerate() if thread.name == f"opening {sale.sale_id}"]
