"""What the seller does to a sale, and how soon every lane knows: at once."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from counter_samples import PATIENCE_SECONDS, balanced_books, crowd, open_counter, order
from sale_samples import put_up

from app.domain.errors import (
    InvalidValue,
    LimitExceeded,
    SaleClosed,
    SaleExists,
    SaleNotFound,
    SaleNotOpen,
    SalePaused,
    SaleStateRefused,
)
from app.domain.sale import Phase, Sale
from app.services import sales
from app.services.placement import Placement
from app.services.sales import SaleView
from app.settings import Settings
from app.storage.database import FairdropDatabase


@pytest.fixture
def sale(database: FairdropDatabase) -> Sale:
    return put_up(database)


@pytest.fixture
def counter(settings: Settings, sale: Sale) -> Placement:
    """A counter whose lane remembers the sale as open."""
    counter = open_counter(settings)
    order(counter, sale, "ann")
    return counter


def test_a_pause_is_seen_by_a_lane_at_once_and_so_is_its_end(
    database: FairdropDatabase, sale: Sale, counter: Placement
) -> None:
    sales.pause(database, sale.sale_id, "seller")
    with pytest.raises(SalePaused):
        order(counter, sale, "bob")
    assert sales.open_now(database, sale.sale_id, "seller").phase is Phase.OPEN
    time.sleep(counter._settings.sold_out_memory_ms / 1_000)
    assert not order(counter, sale, "cat").replayed
    assert set(balanced_books(database, sale.sale_id).line("PLACED")) == {"ann", "cat"}


def test_a_close_is_seen_by_a_lane_at_once_and_is_for_good(
    database: FairdropDatabase, sale: Sale, counter: Placement
) -> None:
    sales.close(database, sale.sale_id, "seller")
    with pytest.raises(SaleClosed):
        order(counter, sale, "bob")
    for act in (sales.open_now, sales.pause):
        with pytest.raises(SaleStateRefused):
            act(database, sale.sale_id, "seller")
    assert sales.close(database, sale.sale_id, "seller").phase is Phase.CLOSED
    assert order(counter, sale, "ann").replayed


def test_no_order_is_taken_on_old_terms(database: FairdropDatabase, sale: Sale, counter: Placement) -> None:
    sales.pause(database, sale.sale_id, "seller")
    sales.change(database, sale.sale_id, {"limit_per_customer": 2}, "seller")
    sales.open_now(database, sale.sale_id, "seller")
    # Nothing has told the counter: its sight and its lane still have the limit of 5.
    with pytest.raises(LimitExceeded) as refused:
        order(counter, sale, "bob", units=3)
    assert refused.value.limit == 2


def test_no_order_is_taken_between_a_pause_and_the_opening_after_it_though_a_crowd_keeps_coming(
    settings: Settings, database: FairdropDatabase
) -> None:
    sale = put_up(database, stock=100_000)
    counters = [open_counter(settings, f"process:{index}") for index in range(2)]
    over = threading.Event()

    def keep_coming(index: int) -> None:
        tries = 0
        while not over.is_set():
            tries += 1
            try:
                order(counters[index % 2], sale, f"customer-{index}-{tries}")
            except SalePaused:
                time.sleep(0.005)

    crowding = [threading.Thread(target=keep_coming, args=(index,)) for index in range(12)]
    for buyer in crowding:
        buyer.start()
    pauses: list[tuple[datetime, datetime]] = []
    for _ in range(3):
        time.sleep(0.2)
        paused = sales.pause(database, sale.sale_id, "seller").as_of
        time.sleep(0.2)
        pauses.append((paused, sales.show(database, sale.sale_id).as_of))
        sales.open_now(database, sale.sale_id, "seller")
    time.sleep(0.2)
    over.set()
    for buyer in crowding:
        buyer.join(PATIENCE_SECONDS)
    placed = [row["PlacedAt"] for row in balanced_books(database, sale.sale_id).rows]
    for paused, still_paused in pauses:
        assert not [moment for moment in placed if paused < moment < still_paused]
        assert [moment for moment in placed if moment > still_paused]


def test_before_the_opening_the_stock_may_change_and_is_spread_anew(database: FairdropDatabase) -> None:
    sale = put_up(database, opens_at=datetime.now(UTC) + timedelta(minutes=30))
    view = sales.change(database, sale.sale_id, {"stock": 10, "unit_price_minor": 5}, "seller")
    assert (view.sale.stock, view.sale.unit_price_minor) == (10, 5)
    assert sorted(shard.available for shard in view.shards) == [2, 2, 3, 3]


def test_once_open_a_sale_changes_only_while_paused_and_only_what_nobody_was_promised(
    database: FairdropDatabase, sale: Sale
) -> None:
    with pytest.raises(SaleStateRefused):
        sales.change(database, sale.sale_id, {"name": "Bun"}, "seller")
    sales.pause(database, sale.sale_id, "seller")
    assert sales.change(database, sale.sale_id, {"name": "Bun"}, "seller").sale.name == "Bun"
    with pytest.raises(InvalidValue):
        sales.change(database, sale.sale_id, {"stock": 1}, "seller")


def late(action: Callable[[], Any]) -> Callable[[FairdropDatabase, str], SaleView]:
    """`sales.show`, but the world moves on between its first look and what is done with it."""
    looks: list[SaleView] = []

    def show(database: FairdropDatabase, sale_id: str) -> SaleView:
        looks.append(SHOW(database, sale_id))
        if len(looks) == 1:
            action()
        return looks[-1]

    return show


SHOW = sales.show


@pytest.mark.parametrize("changes", [{"stock": 3}, {"opens_at": timedelta(minutes=10)}, {"unit_price_minor": 5}])
def test_a_change_that_meets_the_opening_never_undoes_orders_taken_meanwhile(
    settings: Settings, database: FairdropDatabase, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    sale = put_up(database, opens_at=datetime.now(UTC) + timedelta(minutes=30))
    if "opens_at" in changes:
        changes = {"opens_at": sale.opens_at + changes["opens_at"]}

    def open_and_sell() -> None:
        monkeypatch.undo()
        sales.open_now(database, sale.sale_id, "another seller")
        order(open_counter(settings), sale, "ann", units=4)

    monkeypatch.setattr(sales, "show", late(open_and_sell))
    with pytest.raises(SaleStateRefused):
        sales.change(database, sale.sale_id, changes, "seller")
    assert balanced_books(database, sale.sale_id).line("PLACED") == ["ann"]


def test_creating_the_very_same_sale_again_is_no_error_and_another_of_its_name_is(
    database: FairdropDatabase, sale: Sale
) -> None:
    _, is_new = sales.create(database, sale, "seller")
    assert not is_new
    with pytest.raises(SaleExists):
        put_up(database, sale_id=sale.sale_id, stock=7)


def test_one_sale_created_by_many_at_once_is_created_once(database: FairdropDatabase) -> None:
    sale = put_up(database, sale_id="template")
    terms = {"opens_at": sale.opens_at, "closes_at": sale.closes_at, "sale_id": "many-at-once"}
    made: list[Sale] = []
    crowd([lambda: made.append(put_up(database, **terms))] * 8, in_flight=8)  # type: ignore[func-returns-value,list-item,return-value]
    assert len(made) == 8
    books = balanced_books(database, "many-at-once")
    assert [shard.version for shard in books.shards] == [1] * 4


def test_a_sale_that_does_not_exist_is_not_found_and_leaves_nothing_behind(
    settings: Settings, database: FairdropDatabase
) -> None:
    counter = open_counter(settings)
    with pytest.raises(SaleNotFound):
        counter.place("ann", "no-such-sale", 1, "key", None, datetime.now(UTC))
    assert counter._counters == {}
    for act in (sales.show, sales.pause, sales.open_now, sales.close):
        with pytest.raises(SaleNotFound):
            act(database, "no-such-sale", *(["seller"] if act is not sales.show else []))


def test_a_sale_opened_early_takes_orders_at_once_also_where_it_was_known_as_not_open(
    settings: Settings, database: FairdropDatabase
) -> None:
    sale = put_up(database, opens_at=datetime.now(UTC) + timedelta(minutes=30))
    counter = open_counter(settings)
    with pytest.raises(SaleNotOpen):
        order(counter, sale, "ann")
    sales.open_now(database, sale.sale_id, "seller")
    time.sleep(settings.sold_out_memory_ms / 1_000)
    assert not order(counter, sale, "ann").replayed
