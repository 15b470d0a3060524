"""Restocking: the waitlist first, in queue order, and never twice."""

import pytest
from counter_samples import balanced_books, open_counter, order
from sale_samples import put_up

from app.domain.errors import InvalidValue, RestockReused, SaleNotFound, SaleStateRefused, StorageUnavailable
from app.domain.sale import MAX_STOCK_UNITS, Sale
from app.domain.states import Status
from app.services import sales
from app.settings import Settings
from app.storage import promotion as promotion_storage
from app.storage import restock as restock_storage
from app.storage.database import FairdropDatabase


def with_waitlist(settings: Settings, database: FairdropDatabase, units: list[int], **terms: object) -> Sale:
    """A sale with nothing left and orders of so many units waiting, customer-0 at the head, on different shards."""
    sale = put_up(database, **{"stock": 0, "shard_count": 4, "waitlist_limit": 1_000, **terms})
    counters = [open_counter(settings, f"process:{index}") for index in range(3)]
    for i, n in enumerate(units):
        assert order(counters[i % 3], sale, f"customer-{i}", n, method="tok_visa").order.status is Status.WAITLISTED
    return sale


def test_a_restock_serves_the_waitlist_in_queue_order_over_all_shards(
    settings: Settings, database: FairdropDatabase
) -> None:
    sale = with_waitlist(settings, database, [1] * 9)
    view, promoted = sales.restock(database, sale.sale_id, 5, "first", "seller")
    books = balanced_books(database, sale.sale_id)
    assert (promoted, view.sale.stock, books.available) == (5, 5, 0)
    assert books.line(Status.PLACED) == [f"customer-{i}" for i in range(5)]
    assert books.line(Status.WAITLISTED) == [f"customer-{i}" for i in range(5, 9)]


def test_a_restock_lets_small_orders_pass_one_that_is_too_large_and_serves_that_when_it_fits(
    settings: Settings, database: FairdropDatabase
) -> None:
    sale = with_waitlist(settings, database, [4, 1, 3, 2])
    sales.restock(database, sale.sale_id, 3, "first", "seller")
    assert balanced_books(database, sale.sale_id).line(Status.PLACED) == ["customer-1", "customer-3"]
    sales.restock(database, sale.sale_id, 4, "second", "seller")
    books = balanced_books(database, sale.sale_id)
    assert books.line(Status.PLACED) == ["customer-0", "customer-1", "customer-3"]
    assert books.available == 0


def test_what_nobody_waits_for_goes_on_offer_spread_over_the_shards(
    settings: Settings, database: FairdropDatabase
) -> None:
    sale = with_waitlist(settings, database, [2])
    view, promoted = sales.restock(database, sale.sale_id, 10, "first", "seller")
    assert promoted == 1
    assert sorted(shard.available for shard in view.shards) == [2, 2, 2, 2]
    balanced_books(database, sale.sale_id)


def test_a_promoted_order_of_a_priced_sale_is_held_for_its_payment(
    settings: Settings, database: FairdropDatabase
) -> None:
    sale = with_waitlist(settings, database, [1], unit_price_minor=500)
    view, _ = sales.restock(database, sale.sale_id, 1, "first", "seller")
    (row,) = balanced_books(database, sale.sale_id).rows
    assert row["Status"] == Status.PENDING
    assert row["DueAt"] > row["PlacedAt"]
    assert (row["DueAt"] - view.as_of).total_seconds() <= sale.hold_seconds


def test_the_same_key_never_adds_twice_and_refuses_another_size(settings: Settings, database: FairdropDatabase) -> None:
    sale = with_waitlist(settings, database, [1, 1])
    sales.restock(database, sale.sale_id, 5, "first", "seller")
    before = balanced_books(database, sale.sale_id)
    view, promoted = sales.restock(database, sale.sale_id, 5, "first", "seller")
    assert (view.sale.stock, promoted) == (5, 0)
    assert balanced_books(database, sale.sale_id) == before
    with pytest.raises(RestockReused):
        sales.restock(database, sale.sale_id, 6, "first", "seller")
    assert balanced_books(database, sale.sale_id) == before


def test_an_interrupted_restock_goes_on_where_it_stopped(
    settings: Settings, database: FairdropDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    sale = with_waitlist(settings, database, [1] * 7)
    monkeypatch.setattr(restock_storage, "PROMOTIONS_PER_STEP", 3)
    monkeypatch.setattr(sales, "RESTOCK_STEPS", 2)
    with pytest.raises(StorageUnavailable):
        sales.restock(database, sale.sale_id, 12, "first", "seller")
    books = balanced_books(database, sale.sale_id)
    assert books.line(Status.PLACED) == [f"customer-{i}" for i in range(6)]
    view, promoted = sales.restock(database, sale.sale_id, 12, "first", "seller")
    books = balanced_books(database, sale.sale_id)
    assert (promoted, view.sale.stock, books.units(Status.PLACED), books.available) == (1, 12, 7, 5)


@pytest.mark.parametrize("page", [1, 2, 50])
def test_the_waitlist_is_read_in_order_whatever_the_size_of_a_page(
    settings: Settings, database: FairdropDatabase, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(promotion_storage, "WAITING_PAGE", page)
    sale = with_waitlist(settings, database, [1, 2, 1, 1, 2, 1, 1])
    sales.restock(database, sale.sale_id, 5, "first", "seller")
    books = balanced_books(database, sale.sale_id)
    assert books.line(Status.PLACED) == [f"customer-{i}" for i in range(4)]


def test_a_restock_that_no_sale_can_take_is_refused(settings: Settings, database: FairdropDatabase) -> None:
    with pytest.raises(SaleNotFound):
        sales.restock(database, "no-such-sale", 1, "first", "seller")
    sale = put_up(database, stock=MAX_STOCK_UNITS - 1)
    with pytest.raises(InvalidValue, match="units"):
        sales.restock(database, sale.sale_id, 2, "first", "seller")
    view, _ = sales.restock(database, sale.sale_id, 1, "first", "seller")
    assert view.sale.stock == MAX_STOCK_UNITS
    sales.close(database, sale.sale_id, "seller")
    with pytest.raises(SaleStateRefused):
        sales.restock(database, sale.sale_id, 1, "second", "seller")


def test_the_holds_of_a_restock_of_many_steps_each_begin_with_their_own_step(
    settings: Settings, database: FairdropDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restock_storage, "PROMOTIONS_PER_STEP", 1)
    sale = with_waitlist(settings, database, [1, 1, 1], unit_price_minor=500)
    sales.restock(database, sale.sale_id, 3, "first", "seller")
    due = {row["CustomerId"]: row["DueAt"] for row in balanced_books(database, sale.sale_id).rows}
    assert due["customer-0"] < due["customer-1"] < due["customer-2"]
