"""A lottery that nobody draws by hand: the deadlines worker does, and its line lapses only when nothing can come free any more."""

import time

import pytest
from counter_samples import PATIENCE_SECONDS
from draw_samples import Lottery

from app.domain.states import Status, Trigger
from app.services import deadlines as deadlines_service
from app.services import draw as draws
from app.services.deadlines import SLOTS, Deadlines
from app.settings import Settings
from app.storage.database import FairdropDatabase, transact
from app.storage.deadlines import lapse_page


class AllSlots:
    def keep(self) -> frozenset[str]:
        return frozenset(SLOTS)


@pytest.fixture
def lottery(database: FairdropDatabase, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Lottery:
    monkeypatch.setattr(deadlines_service, "SALES_MAX_AGE_SECONDS", 0.0)
    return Lottery(database, settings, stock=2)


def work_until_drawn(worker: Deadlines, lottery: Lottery) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not draws.show(lottery.database, lottery.sale.sale_id).is_drawn:
        assert time.monotonic() < deadline, "the worker has not drawn the lottery"
        worker.step()
        time.sleep(0.02)


def test_the_worker_draws_a_lottery_that_is_over_and_lets_its_line_lapse_at_the_end(lottery: Lottery) -> None:
    lottery.enter(1, 1, 1, 1)
    worker = Deadlines(lottery.database, lottery.clock, AllSlots(), "deadlines:1")
    for _ in range(3):
        worker.step()
    assert not draws.show(lottery.database, lottery.sale.sale_id).is_drawn
    # No closing by hand: its time is over.
    with lottery.database.batch() as batch:
        batch.update("Sales", ("SaleId", "ClosesAt"), [[lottery.sale.sale_id, lottery.stored("c0").placed_at]])
    work_until_drawn(worker, lottery)
    assert_line(lottery, [Status.PENDING, Status.PENDING, Status.WAITLISTED, Status.WAITLISTED])
    line = [row[1] for row in lottery.drawn()]
    # Later the holds have expired, and so the line has its turn; it lapses only after that.
    lottery.clock.forward_seconds = lottery.sale.hold_seconds + 1.0
    while worker.step():
        pass
    assert_line(lottery, [Status.EXPIRED, Status.EXPIRED, Status.PENDING, Status.PENDING])
    lottery.settle(line[2:], Trigger.AUTHORIZE, Trigger.CONFIRM, Trigger.CAPTURE)
    assert_line(lottery, [Status.EXPIRED, Status.EXPIRED, Status.PLACED, Status.PLACED])


def assert_line(lottery: Lottery, statuses: list[Status]) -> None:
    assert [row[4] for row in lottery.drawn()] == statuses
    assert lottery.broken() == {}


def test_a_line_lapses_when_the_draw_is_done_and_no_hold_is_left(lottery: Lottery) -> None:
    lottery.enter(1, 1, 1, 1)
    lottery.close()
    lottery.draw()
    line = [row[1] for row in lottery.drawn()]
    worker = Deadlines(lottery.database, lottery.clock, AllSlots(), "deadlines:1")
    worker.step()
    assert_line(lottery, [Status.PENDING, Status.PENDING, Status.WAITLISTED, Status.WAITLISTED])
    lottery.settle(line[:2], Trigger.AUTHORIZE, Trigger.CONFIRM, Trigger.CAPTURE)
    worker.step()
    assert_line(lottery, [Status.PLACED, Status.PLACED, Status.LAPSED, Status.LAPSED])


def test_nobody_lapses_while_a_free_lottery_is_half_drawn(
    database: FairdropDatabase, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its winners hold nothing that could fail, so only the draw's record tells that more is to come."""
    monkeypatch.setattr(draws, "ENTRIES_PER_STEP", 2)
    lottery = Lottery(database, settings, stock=1, unit_price_minor=0)
    lottery.enter(1, 1, 1, 1, 1)
    lottery.close()
    lapsed = []

    def lapse(*_: object) -> None:
        page = transact(database, "lapse", lapse_page, lottery.sale.sale_id, 10, lottery.clock.estimate, "deadlines:1")
        lapsed.append(page[0])

    lottery.settle(["c0"], None)
    lottery.draw(say=lapse)
    assert lapsed[:-1] == [0] * (len(lapsed) - 1)
    assert lapsed[-1] == 4
    assert lottery.broken() == {}
