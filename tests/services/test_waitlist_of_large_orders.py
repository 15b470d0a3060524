"""A unit that is left over, and a long line of those who want more: who is content with it is found, wherever he waits."""

from typing import Any

import pytest
from counter_samples import open_counter
from draw_samples import Lottery
from google.cloud.spanner_v1.transaction import Transaction
from settlement_samples import Stage

from app.domain import promotion
from app.domain.draw import Result
from app.domain.settlement import Settlement
from app.domain.states import Status, Trigger
from app.services import sales
from app.settings import Settings
from app.storage.database import FairdropDatabase, snapshot

COUNTERS = 3


@pytest.fixture
def rows_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many waiting orders each read of a transaction returned."""
    read, counts = Transaction.read, list[int]()

    def counted(self: Transaction, table: str, *args: Any, **kwargs: Any) -> Any:
        rows = read(self, table, *args, **kwargs)
        if not kwargs.get("index", "").startswith("OrdersBy"):
            return rows
        found = list(rows)
        counts.append(len(found))
        return iter(found)

    monkeypatch.setattr(Transaction, "read", counted)
    return counts


@pytest.fixture
def two_in_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """So few orders that are too large are enough to look for smaller ones behind them."""
    monkeypatch.setattr(promotion, "TOO_LARGE_IN_A_ROW", 2)


def stage_with_line(database: FairdropDatabase, settings: Settings, units: list[int], stock: int) -> Stage:
    """Two orders hold 5 units each; behind them customer-0, … wait with so many units each, at different shards."""
    stage = Stage(database, settings, stock=stock, shard_count=4, limit_per_customer=5)
    counters = [open_counter(settings, f"process:{number}") for number in range(COUNTERS)]
    for holder in ("ann", "ben"):
        stage.order(holder, 5)
    for number, count in enumerate(units):
        stage.order(f"customer-{number}", count, counters[number % COUNTERS])
    return stage


def waiting(stage: Stage) -> list[str]:
    return stage.books().line(Status.WAITLISTED)


def holding(stage: Stage) -> list[str]:
    """Who has units and has not paid, by name."""
    return sorted(name for name, status in stage.statuses().items() if status == Status.PENDING)


def test_freed_units_reach_small_orders_behind_a_long_run_of_large_ones(
    settings: Settings, database: FairdropDatabase, rows_read: list[int]
) -> None:
    # Nothing may be left on offer at first, or the last ones would not wait.
    stage = stage_with_line(database, settings, [5] * 300 + [3, 2, 2], stock=10)
    rows_read.clear()
    stage.settle(["ann"], Trigger.DECLINE)
    assert stage.statuses()["customer-0"] == Status.PENDING
    sales.restock(database, stage.sale.sale_id, 4, "first", "seller")
    assert holding(stage) == ["ben", "customer-0", "customer-300"]
    sales.restock(database, stage.sale.sale_id, 1, "second", "seller")
    assert stage.statuses()["customer-301"] == Status.PENDING
    assert len(waiting(stage)) == 300
    # Of 300 that wait, each of the three was led past a part only.
    assert sum(rows_read) < 3 * 150
    stage.assert_clean()


def test_a_unit_that_suits_nobody_does_not_lead_each_settlement_through_the_line(
    settings: Settings, database: FairdropDatabase, rows_read: list[int]
) -> None:
    stage = stage_with_line(database, settings, [5] * 300, stock=11)
    rows_read.clear()
    stage.settle(["ann"], Trigger.DECLINE)
    assert sum(rows_read) < 150
    assert stage.statuses()["customer-0"] == Status.PENDING
    assert stage.books().available == 1
    stage.assert_clean()


@pytest.mark.usefixtures("two_in_a_row")
def test_whatever_is_freed_the_same_orders_are_promoted_as_by_looking_at_them_all(
    settings: Settings, database: FairdropDatabase
) -> None:
    sizes = [5, 4, 5, 3, 5, 4, 3, 2, 5, 5, 2, 4, 2, 5, 3, 2, 2, 5]
    stage, left, served = stage_with_line(database, settings, sizes, stock=10), 0, set[int]()
    for turn, more in enumerate([1, 2, 1, 3, 7, 4, 2, 6, 1, 1]):
        sales.restock(database, stage.sale.sale_id, more, f"restock-{turn}", "seller")
        left += more
        for number, size in enumerate(sizes):
            if number not in served and size <= left:
                served.add(number)
                left -= size
        still = [f"customer-{number}" for number in range(len(sizes)) if number not in served]
        assert sorted(waiting(stage)) == sorted(still)
        assert stage.books().available == left
    stage.assert_clean()


@pytest.mark.usefixtures("two_in_a_row")
def test_orders_of_one_commit_are_told_apart(settings: Settings, database: FairdropDatabase) -> None:
    stage = Stage(database, settings, stock=0, shard_count=1, limit_per_customer=5)
    sizes = [5, *[1, 3, 3, 3, 3] * 20]
    names = [f"customer-{number:03}" for number in range(len(sizes))]
    stage.order_many(names, units=sizes)
    ones = [name for name, size in zip(names, sizes, strict=True) if size == 1]
    for turn in range(3):
        # One is served ahead of the large ones that are passed by, the other behind them.
        sales.restock(database, stage.sale.sale_id, 2, f"restock-{turn}", "seller")
        assert holding(stage) == ones[: 2 * turn + 2]
    assert len({row["WaitlistedAt"] for row in stage.books().rows if row["CustomerId"] in names[1:]} - {None}) == 1
    stage.assert_clean()


@pytest.mark.usefixtures("two_in_a_row")
def test_small_orders_that_are_cancelled_in_the_same_transaction_are_passed_by_too(
    settings: Settings, database: FairdropDatabase
) -> None:
    stage = Stage(database, settings, stock=5, shard_count=1, limit_per_customer=5)
    stage.order("ann", 5)
    large, small = ["large-0", "large-1", "large-2"], [f"small-{number:02}" for number in range(40)]
    stage.order_many([*large, *small], units=[*[3] * 3, *[1] * 40])
    gone = [Settlement(stage.keys[name], Trigger.CANCEL, "test") for name in small[:30]]
    stage.settle_batch([*gone, Settlement(stage.keys["ann"], Trigger.DECLINE, "test")])
    assert holding(stage) == ["large-0", *small[30:32]]
    # All in one transaction: none failed and was tried again in parts.
    with snapshot(database) as reads:
        query = "SELECT COUNT(*) FROM StockLedger WHERE SaleId = @sale AND Cause = 'settled'"
        assert list(reads.execute_sql(query, params={"sale": stage.sale.sale_id})) == [[1]]
    stage.assert_clean()


@pytest.mark.usefixtures("two_in_a_row")
def test_in_a_lottery_the_order_of_the_draw_decides_among_the_small_ones_too(
    settings: Settings, database: FairdropDatabase
) -> None:
    lottery = Lottery(database, settings, stock=7, shard_count=2, waitlist_limit=100)
    lottery.enter(*[5, 5, 5, 2, 5, 5, 2, 5, 5, 2, 5, 5, 2, 5, 5, 2, 5, 5])
    lottery.close()
    lottery.draw()
    drawn = lottery.drawn()
    line = [(customer, units) for _, customer, units, result, _ in drawn if result == Result.WAITLISTED]
    holders = [(customer, units) for _, customer, units, _, status in drawn if status == Status.PENDING]
    free = 7 - sum(units for _, units in holders)
    for holder, held in holders:
        lottery.settle([holder], Trigger.DECLINE)
        free += held
        expected, rest = list[str](), free
        for customer, units in line:
            if units <= rest:
                expected.append(customer)
                rest -= units
        line = [(customer, units) for customer, units in line if customer not in expected]
        statuses = lottery.statuses()
        assert {statuses[customer] for customer in expected} <= {Status.PENDING}
        assert {statuses[customer] for customer, _ in line} <= {Status.WAITLISTED}
        free = rest
    lottery.assert_clean()
