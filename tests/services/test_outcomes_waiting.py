"""Waiting for an order's outcome: told soon, told once, told nothing that is not one's own."""

import time
from dataclasses import replace

import pytest
from counter_samples import open_counter, order
from sale_samples import put_up
from waiting_world import (
    SHORT_SECONDS,
    followers,
    promote,
    until,
    wait,
    waiting,
    waiting_room,
    waitlisted,
    watch,
    watches,
)

from app.domain.errors import OrderNotFound, TooManyWaiting, WaitSuperseded
from app.domain.states import Status
from app.services import outcomes
from app.services import waiting as board
from app.services.cancelling import Cancelling
from app.settings import Settings
from app.storage.clock import DatabaseClock
from app.storage.database import FairdropDatabase

UNKNOWN_ID = "217319f5-bf8e-423a-a1aa-57e0d8d3e545"
"""Well formed, and nobody's order. Written down: workers that share the suite out must find the same tests."""


def test_who_waits_is_told_when_the_order_gets_its_units(settings: Settings, database: FairdropDatabase) -> None:
    sale, (first, second) = waitlisted(settings, database, 2)
    room = waiting_room(settings)
    with waiting(room, first) as (answer,):
        promote(database, sale, 1)
        told = answer()
    assert (told.order_id, told.status, told.event_seq) == (first.order_id, Status.PLACED, 2)
    with waiting(room, second) as (answer,):
        promote(database, sale, 1)
        assert answer().status is Status.PLACED


def test_a_change_is_told_to_everybody_who_waits_for_the_order_and_to_nobody_else(
    settings: Settings, database: FairdropDatabase
) -> None:
    sale, (first, second) = waitlisted(settings, database, 2)
    room = waiting_room(settings)
    with watch(room, second) as bystander, waiting(room, first, first, first) as answers:
        room.first(bystander)
        promote(database, sale, 1)
        assert [answer().status for answer in answers] == [Status.PLACED] * 3
        assert bystander.next(1, 0.0) is None


def test_each_change_is_told_in_turn(settings: Settings, database: FairdropDatabase) -> None:
    sale, (mine,) = waitlisted(settings, database, 1, unit_price_minor=500)
    room = waiting_room(settings)
    with watch(room, mine) as place:
        assert room.first(place).status is Status.WAITLISTED
        promote(database, sale, 1)
        told = place.next(1, 60.0)
        assert told is not None
        assert (told.status, told.event_seq) == (Status.PENDING, 2)
        assert place.next(2, SHORT_SECONDS) is None
        cancelling = Cancelling(database, DatabaseClock(), settings, "test:1")
        assert cancelling.cancel(mine.customer_id, sale.sale_id, mine.order_id).event_seq == 3
        told = place.next(2, 60.0)
        assert told is not None
        assert (told.status, told.event_seq, told.is_final) == (Status.CANCELLED, 3, True)


def test_a_state_that_the_client_does_not_know_is_told_without_waiting(
    settings: Settings, database: FairdropDatabase
) -> None:
    sale, (mine,) = waitlisted(settings, database, 1, unit_price_minor=500)
    promote(database, sale, 1)
    room = waiting_room(settings)
    for known in (0, 1, 7):
        assert wait(room, mine, after=known).event_seq == 2
    assert room.log_reads == 0


def test_what_one_has_done_oneself_shows_at_once_even_while_another_waits(
    settings: Settings, database: FairdropDatabase
) -> None:
    sale, (mine,) = waitlisted(settings, database, 1, unit_price_minor=500)
    room = waiting_room(settings)
    with watch(room, mine) as earlier:
        room.first(earlier)
        with watch(room, mine) as idle:
            assert room.first(idle) == mine
        promote(database, sale, 1)
        with watch(room, mine) as later:
            assert room.first(later).event_seq == 2


def test_an_order_that_is_final_is_told_without_waiting(settings: Settings, database: FairdropDatabase) -> None:
    sale = put_up(database, stock=1)
    mine = order(open_counter(settings), sale, "ann").order
    room = waiting_room(settings)
    assert wait(room, mine).status is Status.PLACED
    assert wait(room, mine, after=1).status is Status.PLACED
    assert room.log_reads == 0


def test_who_waits_in_vain_is_told_how_the_order_stands(settings: Settings, database: FairdropDatabase) -> None:
    _, (mine,) = waitlisted(settings, database, 1)
    room = waiting_room(settings)
    assert wait(room, mine, seconds=SHORT_SECONDS) == mine
    assert room.log_reads > 0


@pytest.mark.parametrize("order_id", ["", "x" * 5_000, "not-an-order", UNKNOWN_ID, UNKNOWN_ID.upper()])
def test_an_id_that_names_no_order_is_not_found(settings: Settings, database: FairdropDatabase, order_id: str) -> None:
    with pytest.raises(OrderNotFound):
        waiting_room(settings).wait_for_change("ann", "some-sale", order_id, None, 60.0)


def test_somebody_else_s_order_is_not_found_and_asking_for_it_does_not_deafen_its_owner(
    settings: Settings, database: FairdropDatabase
) -> None:
    sale, (mine,) = waitlisted(settings, database, 1)
    room = waiting_room(settings)
    with waiting(room, mine) as (answer,):
        for _ in range(3):
            with pytest.raises(OrderNotFound):
                wait(room, replace(mine, customer_id="eve"))
        with pytest.raises(OrderNotFound):
            wait(room, replace(mine, sale_id="another-sale"))
        promote(database, sale, 1)
        assert answer().status is Status.PLACED


def test_reads_do_not_grow_with_those_who_wait(settings: Settings, database: FairdropDatabase) -> None:
    sale, orders = waitlisted(settings, database, 300)
    room = waiting_room(settings)
    places = [watch(room, mine) for mine in orders]
    assert all(room.first(place).status is Status.WAITLISTED for place in places)
    reads_to_see_all = room.order_reads
    promote(database, sale, len(orders))
    told = [place.next(1, 60.0) for place in places]
    assert all(mine is not None and mine.status is Status.PLACED for mine in told)
    assert reads_to_see_all < len(orders) / 10
    assert room.order_reads - reads_to_see_all < len(orders) / 10
    for place in places:
        place.close()


def test_the_log_is_read_at_one_pace_however_many_wait_and_not_at_all_when_nobody_does(
    settings: Settings, database: FairdropDatabase
) -> None:
    _, orders = waitlisted(settings, database, 100)
    room = waiting_room(settings)
    until(lambda: followers() == 0)
    began = time.monotonic()
    places = [watch(room, mine) for mine in orders]
    assert places[0].next(0, 60.0) is not None
    assert places[-1].next(1, SHORT_SECONDS) is None
    assert followers() == 1
    assert 1 <= room.log_reads <= (time.monotonic() - began) / outcomes.TICK_SECONDS + 1
    for place in places:
        place.close()
        place.close()
    until(lambda: followers() == 0)
    reads = room.log_reads
    assert wait(room, orders[0], seconds=SHORT_SECONDS) == orders[0]
    assert room.log_reads > reads


def test_a_busy_log_hides_no_change(
    settings: Settings, database: FairdropDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcomes, "CHANGES_PER_READ", 5)
    sale, orders = waitlisted(settings, database, 30, shard_count=1)
    room = waiting_room(settings)
    with waiting(room, orders[-1], orders[0]) as answers:
        promote(database, sale, 30)
        assert [answer().status for answer in answers] == [Status.PLACED] * 2


def test_a_process_lets_only_so_many_wait_and_a_place_that_is_left_is_free_again(
    settings: Settings, database: FairdropDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(board, "WAITS_PER_PROCESS", 2)
    _, (first, second, third) = waitlisted(settings, database, 3)
    room = waiting_room(settings)
    with watch(room, first), watch(room, second):
        for _ in range(3):
            with pytest.raises(TooManyWaiting) as refused:
                watch(room, third)
        assert refused.value.retry_after_seconds > 0
    with pytest.raises(OrderNotFound):
        wait(room, replace(first, customer_id="eve"))
    with watch(room, third), watch(room, second):
        assert len(watches(room)) == 2
    assert watches(room) == []


@pytest.mark.parametrize("limit", [1, 2])
def test_a_customer_s_newest_waits_take_the_place_of_the_oldest(
    settings: Settings, database: FairdropDatabase, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(board, "WAITS_PER_CUSTOMER", limit)
    sale, (mine, other) = waitlisted(settings, database, 0, "ann", "bob")
    room = waiting_room(settings)
    with watch(room, other) as bystander, waiting(room, mine) as (answer,):
        newer = [watch(room, mine) for _ in range(limit)]
        with pytest.raises(WaitSuperseded) as superseded:
            answer()
        assert superseded.value.limit == limit
        promote(database, sale, 2)
        for place in (*newer, bystander):
            told = place.next(1, 60.0)
            assert told is not None
            assert told.status is Status.PLACED
            place.close()
    assert watches(room) == []


def test_a_process_that_ends_answers_all_who_wait_as_their_orders_stand(
    settings: Settings, database: FairdropDatabase
) -> None:
    _, (first, second) = waitlisted(settings, database, 2)
    room = waiting_room(settings)
    with waiting(room, first, second) as answers:
        room.close()
        assert [answer() for answer in answers] == [first, second]
    assert wait(room, first) == first
