"""The audit of a lottery: a draw by the rule is clean, and whatever is written past the rule is named."""

from collections.abc import Callable
from typing import Any

import pytest
from draw_samples import Lottery

from app.domain.states import Status, Trigger
from app.settings import Settings
from app.storage.database import FairdropDatabase

CHECK = "the draw is by the rule"


@pytest.fixture
def lottery(database: FairdropDatabase, settings: Settings) -> Lottery:
    lottery = Lottery(database, settings, stock=3, waitlist_limit=3)
    lottery.enter(*[1] * 9)
    lottery.close()
    lottery.draw()
    assert lottery.broken() == {}
    return lottery


def write(lottery: Lottery, place: int, **values: Any) -> None:
    """Write columns of the order at a place, past the service."""
    key = lottery.keys[lottery.drawn()[place - 1][1]]
    row = {"CustomerId": key.customer_id, "SaleId": key.sale_id, "OrderId": key.order_id, **values}
    with lottery.database.batch() as batch:
        batch.update("Orders", tuple(row), [tuple(row.values())])


def record(lottery: Lottery, **values: Any) -> None:
    """Write columns of the draw's record, past the service."""
    row = {"SaleId": lottery.sale.sale_id, **values}
    with lottery.database.batch() as batch:
        batch.update("Draws", tuple(row), [tuple(row.values())])


SPOILED: dict[str, tuple[Callable[[Lottery], None], str]] = {
    "a place exchanged": (lambda lot: write(lot, 2, DrawPlace=40), "stands where place"),
    "a place lost": (lambda lot: write(lot, 9, DrawPlace=None), "8 orders have a place"),
    "a winner made": (lambda lot: write(lot, 4, DrawResult="won"), "is said to be won; by its place it is waitlisted"),
    "a result unknown": (lambda lot: write(lot, 9, DrawResult="drawn"), "was drawn as drawn"),
    "other units": (lambda lot: write(lot, 9, Units=2), "the digest of the entries is"),
    "another seed": (lambda lot: record(lot, Seed="00" * 32), "is not the one that commitment"),
    "no seed": (lambda lot: record(lot, Seed=None), "the seed is not revealed"),
    "another digest": (lambda lot: record(lot, Digest="00" * 32), "the digest of the entries is"),
    "a unit more": (lambda lot: record(lot, Stock=4), "by its place it is won"),
    "fewer entries": (lambda lot: record(lot, Entries=9, DoneEntries=8), "8 entries are drawn; 9 orders have a place"),
}


@pytest.mark.parametrize("name", SPOILED)
def test_whatever_is_not_by_the_rule_is_named(name: str, lottery: Lottery) -> None:
    spoil, says = SPOILED[name]
    spoil(lottery)
    violations = lottery.broken()[CHECK]
    assert any(says in violation.says for violation in violations), violations


def test_a_lottery_without_its_record_is_named(database: FairdropDatabase, settings: Settings) -> None:
    lottery = Lottery(database, settings)
    lottery.enter(1)
    with database.batch() as batch:
        batch.update("Sales", ("SaleId", "Policy"), [[lottery.sale.sale_id, "fcfs"]])
    assert "is no lottery; 1 orders are ENTERED" in lottery.broken()[CHECK][0].says


def test_whoever_is_taken_from_behind_in_the_line_of_the_draw_is_found_out(lottery: Lottery) -> None:
    rows = lottery.drawn()
    first, second = rows[3][1], rows[4][1]
    # Out of the index of the line for a moment, the first of those who wait is not seen when a payment fails.
    write(lottery, 4, DrawPlace=None)
    lottery.settle([rows[0][1]], Trigger.DECLINE)
    key = lottery.keys[first]
    with lottery.database.batch() as batch:
        columns = ("CustomerId", "SaleId", "OrderId", "DrawPlace")
        batch.update("Orders", columns, [[key.customer_id, key.sale_id, key.order_id, 4]])
    assert lottery.stored(second).status is Status.PENDING
    broken = lottery.broken()
    assert list(broken) == ["first come, first served"]
    (violation,) = broken["first come, first served"]
    assert key.order_id in violation.row
    assert "was passed over" in violation.says
