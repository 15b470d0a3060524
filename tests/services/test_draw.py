"""The draw of a lottery in a real database: what it gives, when it may be, and what comes after it."""

from datetime import timedelta

import pytest
from draw_samples import Lottery

from app.domain.draw import DrawState, commitment_of
from app.domain.errors import (
    AlreadyEntered,
    NotALottery,
    SaleClosed,
    SaleStateRefused,
    WithdrawalClosed,
)
from app.domain.settlement import Moved, Refused
from app.domain.states import Status, Trigger
from app.local.lottery import entered_after
from app.services import draw as draws
from app.services import sales
from app.settings import Settings
from app.storage.database import FairdropDatabase, snapshot


@pytest.fixture
def lottery(database: FairdropDatabase, settings: Settings) -> Lottery:
    return Lottery(database, settings)


def test_an_entry_takes_no_stock_and_has_the_answer_entered(lottery: Lottery) -> None:
    lottery.enter(1, 1, 1, 1, 1, 1)
    assert {lottery.stored(customer).status for customer in lottery.keys} == {Status.ENTERED}
    assert lottery.books().available == 4
    assert lottery.events("c0") == ["order.entered"]
    assert lottery.broken() == {}


def test_a_customer_has_one_entry_and_the_same_key_finds_it(lottery: Lottery) -> None:
    first = lottery.order("ann")
    assert lottery.order("ann") == first
    with pytest.raises(AlreadyEntered) as refused:
        lottery.counter.place("ann", lottery.sale.sale_id, 1, "other", "tok_visa", lottery.sale.opens_at)
    assert refused.value.order_id == first.order_id


def test_the_draw_gives_the_stock_by_rank_and_the_others_a_place_in_the_line(lottery: Lottery) -> None:
    lottery.enter(1, 1, 2, 1, 3, 1, 1, 2)
    lottery.settle(["c5"], Trigger.CANCEL)
    lottery.close()
    record = lottery.draw()
    expected = lottery.expected(record)
    assert [row[:4] for row in lottery.drawn()] == [(*row[:3], row[3].value) for row in expected]
    for _, customer, _, result, status in lottery.drawn():
        assert status == {"won": Status.PENDING, "waitlisted": Status.WAITLISTED}[result], customer
        told = {"won": "order.reserved", "waitlisted": "order.waitlisted"}[result]
        assert lottery.events(customer) == ["order.entered", told]
    assert (record.state, record.entries, record.stock) == (DrawState.DRAWN, 7, 4)
    assert record.won_units == sum(units for _, _, units, result, _ in lottery.drawn() if result == "won")
    assert commitment_of(bytes.fromhex(record.seed or "")) == record.commitment
    assert lottery.broken() == {}


def test_who_wins_in_a_free_lottery_has_it_at_once(database: FairdropDatabase, settings: Settings) -> None:
    lottery = Lottery(database, settings, unit_price_minor=0, stock=2)
    lottery.enter(1, 1, 1)
    lottery.close()
    lottery.draw()
    assert [row[4] for row in lottery.drawn()] == [Status.PLACED, Status.PLACED, Status.WAITLISTED]
    assert lottery.broken() == {}


def test_entries_behind_the_waitlist_lapse_at_the_draw(database: FairdropDatabase, settings: Settings) -> None:
    lottery = Lottery(database, settings, stock=1, waitlist_limit=2)
    lottery.enter(1, 1, 1, 1, 1)
    lottery.close()
    lottery.draw()
    assert [row[4] for row in lottery.drawn()] == [Status.PENDING, *[Status.WAITLISTED] * 2, *[Status.LAPSED] * 2]
    assert lottery.broken() == {}


def test_a_freed_unit_goes_to_the_next_rank(lottery: Lottery) -> None:
    lottery.enter(*[1] * 9)
    lottery.close()
    lottery.draw()
    line = [row[1] for row in lottery.drawn()]
    lottery.settle(line[1:2], Trigger.DECLINE)
    assert lottery.stored(line[4]).status is Status.PENDING
    lottery.settle([line[0], line[5]], Trigger.CANCEL)
    assert lottery.stored(line[6]).status is Status.PENDING
    assert [lottery.stored(customer).status for customer in line[7:]] == [Status.WAITLISTED] * 2
    assert lottery.events(line[4]) == ["order.entered", "order.waitlisted", "order.reserved"]
    assert lottery.broken() == {}


def test_a_draw_of_nobody_ends_at_once(lottery: Lottery) -> None:
    lottery.close()
    record = lottery.draw()
    assert (record.state, record.entries, record.won_orders) == (DrawState.DRAWN, 0, 0)
    assert record.seed is not None
    assert lottery.broken() == {}


def test_a_drawn_lottery_is_not_drawn_again(lottery: Lottery) -> None:
    lottery.enter(1, 1, 1, 1, 1, 1)
    lottery.close()
    record, rows, events = lottery.draw(), lottery.drawn(), lottery.count_events()
    assert (lottery.draw(), lottery.drawn(), lottery.count_events()) == (record, rows, events)


def test_nothing_is_drawn_before_the_close(lottery: Lottery) -> None:
    lottery.enter(1)
    with pytest.raises(SaleStateRefused):
        lottery.draw()
    assert draws.show(lottery.database, lottery.sale.sale_id).state is DrawState.COMMITTED


def test_a_sale_without_a_draw_is_not_drawn(database: FairdropDatabase, settings: Settings) -> None:
    plain = Lottery(database, settings, policy="fcfs")
    plain.close()
    with pytest.raises(NotALottery):
        plain.draw()


def test_an_entry_may_be_withdrawn_until_the_close_and_not_between_it_and_the_draw(lottery: Lottery) -> None:
    lottery.enter(1, 1)
    (withdrawn,) = lottery.settle(["c0"], Trigger.CANCEL)
    assert isinstance(withdrawn, Moved)
    lottery.close()
    (refused,) = lottery.settle(["c1"], Trigger.CANCEL)
    assert isinstance(refused, Refused)
    assert isinstance(refused.error, WithdrawalClosed)
    assert lottery.draw().entries == 1
    (cancelled,) = lottery.settle(["c1"], Trigger.CANCEL)
    assert isinstance(cancelled, Moved)
    assert lottery.broken() == {}


def test_whoever_withdraws_may_enter_again(lottery: Lottery) -> None:
    lottery.order("ann")
    lottery.settle(["ann"], Trigger.CANCEL)
    taken = lottery.counter.place("ann", lottery.sale.sale_id, 1, "again", "tok_visa", lottery.sale.opens_at)
    assert taken.order.status is Status.ENTERED


def test_after_the_close_no_entry_comes_even_from_a_process_that_has_not_heard_of_it(lottery: Lottery) -> None:
    lottery.enter(1, 1)
    lane = lottery.counter._counters[lottery.sale.sale_id].lane
    assert lane is not None
    assert lane._known_view() is not None
    lottery.close()
    draws.seal(lottery.database, lottery.sale.sale_id, "drawer")
    with pytest.raises(SaleClosed):
        lottery.order("late")
    assert lottery.draw().entries == 2


def test_the_seed_is_not_where_the_sale_is_read(lottery: Lottery) -> None:
    view = sales.show(lottery.database, lottery.sale.sale_id)
    assert view.draw is not None
    assert view.draw.seed is None
    with snapshot(lottery.database) as reads:
        ((seed,),) = reads.execute_sql(
            "SELECT Seed FROM DrawSeeds WHERE SaleId = @sale", params={"sale": lottery.sale.sale_id}
        )
    assert commitment_of(bytes.fromhex(seed)) == view.draw.commitment
    lottery.close()
    assert draws.seal(lottery.database, lottery.sale.sale_id, "drawer").seed is None


def test_the_scenario_finds_entries_of_after_the_sealing_and_requests_of_clearly_after_the_close(
    lottery: Lottery,
) -> None:
    lottery.enter(1, 1, 1)
    lottery.close()
    record, sale = lottery.draw(), lottery.sale
    assert (record.is_drawn, entered_after(lottery.database, sale.sale_id)) == (True, 0)
    key = lottery.keys["c1"]
    for late, found in ((timedelta(seconds=0.9), 0), (timedelta(seconds=1), 1)):
        with lottery.database.batch() as batch:
            row = (key.customer_id, key.sale_id, key.order_id, sale.closes_at + late)
            batch.update("Orders", ("CustomerId", "SaleId", "OrderId", "ReceivedAt"), [row])
        assert entered_after(lottery.database, sale.sale_id) == found
    with lottery.database.batch() as batch:
        batch.update("Draws", ("SaleId", "SealedAt"), [(sale.sale_id, sale.opens_at)])
    assert entered_after(lottery.database, sale.sale_id) == 3
