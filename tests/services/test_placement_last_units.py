"""The tail of a sale: never a unit too many, never one left, the waitlist after that, and then a cheap no."""

import random
import time
from collections import Counter

import pytest
from counter_samples import Books, Wire, balanced_books, crowd, open_counter, order
from sale_samples import put_up

from app.domain.errors import IdempotencyKeyReused, LimitExceeded, SoldOut
from app.domain.sale import Sale
from app.domain.states import Status
from app.services import sales
from app.services.lane import Taken
from app.services.placement import Placement
from app.settings import Settings
from app.storage.database import FairdropDatabase


def kinds(answers: list[object]) -> dict[str, int]:
    return Counter(a.order.status.value if isinstance(a, Taken) else type(a).__name__ for a in answers)


def counters_of(settings: Settings, count: int) -> list[Placement]:
    return [open_counter(settings, f"process:{index}") for index in range(count)]


def test_processes_that_race_for_one_sale_sell_every_unit_once(settings: Settings, database: FairdropDatabase) -> None:
    sale = put_up(database, stock=60, shard_count=4, waitlist_limit=15)
    counters = counters_of(settings, 4)
    answers = crowd(
        [lambda i=i: order(counters[i % 4], sale, f"customer-{i}") for i in range(120)],
        in_flight=40,
    )
    assert kinds(answers) == {"PLACED": 60, "WAITLISTED": 15, "SoldOut": 45}
    books = balanced_books(database, sale.sale_id)
    assert (books.statuses, books.available) == ({"PLACED": 60, "WAITLISTED": 15}, 0)


def test_quantities_raced_for_are_never_oversold_and_leave_nothing_that_anybody_waits_for(
    settings: Settings, database: FairdropDatabase
) -> None:
    sale = put_up(database, stock=50, shard_count=8, waitlist_limit=500, limit_per_customer=7)
    counters = counters_of(settings, 3)
    choose = random.Random(7)
    wishes = [(f"customer-{choose.randrange(40)}", choose.randint(1, 4), f"key-{i}") for i in range(150)]
    crowd(
        [
            lambda i=i, c=customer, u=units, k=key: order(counters[i % 3], sale, c, u, k)
            for i, (customer, units, key) in enumerate(wishes)
        ],
        in_flight=30,
    )
    books = balanced_books(database, sale.sale_id)
    assert books.units(Status.PLACED) + books.available == 50
    held: Counter[str] = Counter()
    for row in books.rows:
        held[row["CustomerId"]] += row["Units"]
    assert max(held.values()) <= 7


def test_the_limit_holds_when_one_customer_asks_at_several_processes_at_once(
    settings: Settings, database: FairdropDatabase
) -> None:
    sale = put_up(database, limit_per_customer=5)
    counters = counters_of(settings, 3)
    answers = crowd([lambda i=i: order(counters[i % 3], sale, "ann", 2, f"key-{i}") for i in range(12)], in_flight=12)
    assert kinds(answers) == {"PLACED": 2, "LimitExceeded": 10}
    assert all(isinstance(answer, Taken | LimitExceeded) for answer in answers)
    assert balanced_books(database, sale.sale_id).units(Status.PLACED) == 4


def test_one_request_sent_to_all_processes_at_once_is_one_order(settings: Settings, database: FairdropDatabase) -> None:
    sale = put_up(database)
    counters = counters_of(settings, 4)
    answers = crowd([lambda i=i: order(counters[i % 4], sale, "ann", 2) for i in range(16)], in_flight=16)
    orders = {answer.order for answer in answers if isinstance(answer, Taken)}
    assert len(orders) == 1
    assert sum(isinstance(answer, Taken) and not answer.replayed for answer in answers) == 1
    assert balanced_books(database, sale.sale_id).units(Status.PLACED) == 2


def test_the_last_units_are_taken_over_from_other_shards_before_anybody_is_refused(
    settings: Settings, database: FairdropDatabase
) -> None:
    sale = put_up(database, stock=9, shard_count=8, waitlist_limit=1)
    counter = open_counter(settings)
    answers = [order(counter, sale, f"customer-{i}") for i in range(10)]
    assert [answer.order.status for answer in answers] == [Status.PLACED] * 9 + [Status.WAITLISTED]
    with pytest.raises(SoldOut):
        order(counter, sale, "late")
    balanced_books(database, sale.sale_id)


def test_an_order_too_large_for_what_is_left_waits_and_a_smaller_one_behind_it_is_served(
    settings: Settings, database: FairdropDatabase
) -> None:
    sale = put_up(database, stock=3, shard_count=1, waitlist_limit=9)
    counter = open_counter(settings)
    assert order(counter, sale, "ann", 2).order.status is Status.PLACED
    assert order(counter, sale, "bob", 2).order.status is Status.WAITLISTED
    assert order(counter, sale, "cat", 1).order.status is Status.PLACED


def sold_out(settings: Settings, database: FairdropDatabase) -> tuple[Sale, Placement]:
    """A sale of which ann has the only unit, at a counter that has known it for a while."""
    sale = put_up(database, stock=1, shard_count=1)
    counter = open_counter(settings)
    order(counter, sale, "ann")
    with pytest.raises(SoldOut):
        order(counter, sale, "bob")
    while not counter.sight(sale.sale_id, 0.0).is_steady:
        time.sleep(0.05)
    return sale, counter


def test_once_all_is_sold_the_no_comes_from_memory_and_is_never_old(
    settings: Settings, database: FairdropDatabase, wire: Wire
) -> None:
    sale, counter = sold_out(settings, database)
    wire.calls.clear()
    started = time.monotonic()
    ages = []
    for index in range(500):
        with pytest.raises(SoldOut) as refused:
            order(counter, sale, f"stranger-{index}")
        assert refused.value.as_of is not None
        ages.append(refused.value.age_ms)
    # A look is two reads or three, and begins when the last is half as old as it may get.
    looks = 2 + (time.monotonic() - started) * 1_000 / (settings.sold_out_memory_ms / 2)
    assert max(ages) <= settings.sold_out_memory_ms
    assert wire.calls["streaming_read"] <= 3 * looks
    assert wire.calls["commit"] == 0


def test_a_retry_finds_its_order_though_memory_says_sold_out(settings: Settings, database: FairdropDatabase) -> None:
    sale, counter = sold_out(settings, database)
    again = order(counter, sale, "ann")
    assert (again.replayed, again.order.status) == (True, Status.PLACED)
    with pytest.raises(IdempotencyKeyReused):
        order(counter, sale, "ann", units=2)


def test_a_no_from_memory_is_given_without_waiting_but_not_to_those_who_may_have_an_order(
    settings: Settings, database: FairdropDatabase
) -> None:
    sale, counter = sold_out(settings, database)
    assert isinstance(counter.refusal_from_memory(lambda: "stranger", sale.sale_id, 1, "key"), SoldOut)
    assert counter.refusal_from_memory(lambda: "ann", sale.sale_id, 1, "key") is None
    time.sleep(settings.sold_out_memory_ms / 1_000)
    assert counter.refusal_from_memory(lambda: "stranger", sale.sale_id, 1, "key") is None
    assert counter.refusal_from_memory(lambda: "stranger", "another-sale", 1, "key") is None


def test_while_the_stock_changes_a_retry_finds_its_order_at_a_process_whose_last_look_was_before_it(
    settings: Settings, database: FairdropDatabase
) -> None:
    sale, counter = sold_out(settings, database)
    other = open_counter(settings)
    for customer in ("bob", "cid"):
        sales.restock(database, sale.sale_id, 1, f"one for {customer}", "seller")
        taken = order(other, sale, customer)
        if customer == "cid":
            # This process last looked when bob's was gone and cid's not yet there: a sight still young, and sold out.
            assert counter.refusal_from_memory(lambda: "cid", sale.sale_id, 1, "key") is None
            assert order(counter, sale, "cid").order == taken.order
        counter.sight(sale.sale_id, 0.0)


def test_a_retry_for_several_units_finds_its_order_too_while_there_is_stock_for_a_single_one(
    settings: Settings, database: FairdropDatabase
) -> None:
    sale, counter = sold_out(settings, database)
    other = open_counter(settings)
    sales.restock(database, sale.sale_id, 3, "three more", "seller")
    order(other, sale, "bob", units=2)
    counter.sight(sale.sale_id, 0.0)
    sales.restock(database, sale.sale_id, 2, "two more", "seller")
    taken = order(other, sale, "cid", units=2)
    assert order(counter, sale, "cid", units=2).order == taken.order


def test_an_order_that_this_process_has_taken_is_known_before_the_next_look(
    settings: Settings, database: FairdropDatabase
) -> None:
    sale, counter = sold_out(settings, database)
    sales.restock(database, sale.sale_id, 1, "one more", "seller")
    counter.sight(sale.sale_id, 0.0)
    request_id = order(counter, sale, "bob").order.order_id
    assert not counter._counter(sale.sale_id).watch.surely_new(request_id)


def test_a_restock_reopens_the_sale_once_the_memory_of_sold_out_has_passed(
    settings: Settings, database: FairdropDatabase
) -> None:
    sale, counter = sold_out(settings, database)
    sales.restock(database, sale.sale_id, 3, "more", "seller")
    time.sleep(settings.sold_out_memory_ms / 1_000)
    assert order(counter, sale, "bob").order.status is Status.PLACED
    books: Books = balanced_books(database, sale.sale_id)
    assert (books.units(Status.PLACED), books.available) == (2, 2)
