"""A draw that is interrupted at every point, killed, done by several at once, or disturbed: it comes to the same."""

import itertools
import os
import signal
import subprocess
import sys
import threading

import pytest
from counter_samples import PATIENCE_SECONDS, Wire
from draw_samples import Lottery
from google.api_core import exceptions as google_errors
from google.cloud.spanner_v1 import KeySet

from app.domain.draw import Draw, DrawBroken, DrawState
from app.domain.states import Status, Trigger
from app.services import draw as draws
from app.services.draw import draw
from app.settings import Settings
from app.storage.database import FairdropDatabase, connect, transact

UNITS = (1, 3, 1, 1, 2, 1, 4, 1, 1, 5, 1, 2, 1)


class Interrupted(Exception):
    """As a crash would, between two transactions."""


@pytest.fixture
def lottery(database: FairdropDatabase, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Lottery:
    """Thirteen entries, closed, to be drawn two at a time."""
    monkeypatch.setattr(draws, "ENTRIES_PER_STEP", 2)
    lottery = Lottery(database, settings, stock=7, waitlist_limit=6)
    lottery.enter(*UNITS)
    lottery.close()
    return lottery


def assert_drawn_by_the_rule(lottery: Lottery, record: Draw) -> None:
    assert record.state is DrawState.DRAWN
    assert [row[:4] for row in lottery.drawn()] == [(*row[:3], row[3].value) for row in lottery.expected(record)]
    assert lottery.count_events() == 2 * len(UNITS)
    assert lottery.broken() == {}


def test_a_draw_interrupted_after_every_transaction_goes_on_to_the_same_end(lottery: Lottery) -> None:
    states = []

    def crash(record: Draw) -> None:
        if len(states) == 0 or record.done_entries > states[-1].done_entries or record.state is not states[-1].state:
            states.append(record)
            raise Interrupted

    while not states or not states[-1].is_drawn:
        with pytest.raises(Interrupted):
            lottery.draw(say=crash)
    assert [record.done_entries for record in states] == [0, 0, 2, 4, 6, 8, 10, 12, 13]
    assert_drawn_by_the_rule(lottery, lottery.draw())


def test_a_draw_whose_answers_are_lost_draws_nobody_twice(lottery: Lottery, wire: Wire) -> None:
    commits = itertools.count()

    def lose_every_second() -> None:
        if next(commits) % 2 == 0:
            raise google_errors.DeadlineExceeded("lost")  # type: ignore[no-untyped-call]

    wire.after["commit"] = lose_every_second
    assert_drawn_by_the_rule(lottery, lottery.draw())


def test_several_draws_at_once_come_to_one_end(lottery: Lottery, settings: Settings) -> None:
    records: list[Draw] = []

    def one(number: int) -> None:
        records.append(draw(connect(settings), lottery.sale.sale_id, f"drawer:{number}"))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    assert len(records) == 3
    assert records[0] == records[1] == records[2]
    assert_drawn_by_the_rule(lottery, records[0])


_DRAW = "import sys, app.services.draw as d; d.ENTRIES_PER_STEP = 2; from app.cli.main import fairdrop; fairdrop(sys.argv[1:])"


def test_a_draw_that_is_killed_goes_on_in_another_process(lottery: Lottery, settings: Settings) -> None:
    names = ("spanner_project", "spanner_instance", "spanner_database", "state_dir")
    variables = {f"FAIRDROP_{name.upper()}": str(getattr(settings, name)) for name in names}
    for lines in (1, 5):
        command = [sys.executable, "-c", _DRAW, "draw", lottery.sale.sale_id]
        with subprocess.Popen(command, env={**os.environ, **variables}, stderr=subprocess.PIPE) as process:
            assert process.stderr is not None
            for _ in range(lines):
                assert process.stderr.readline()
            process.send_signal(signal.SIGKILL)
    assert draws.show(lottery.database, lottery.sale.sale_id).state is not DrawState.COMMITTED
    assert_drawn_by_the_rule(lottery, lottery.draw())


def test_units_that_come_free_while_it_is_drawn_go_on_by_rank(lottery: Lottery) -> None:
    """Each hold that the draw gives fails at once: the line must get the units in its order, and no winner may miss his."""

    def fail_all(_record: Draw) -> None:
        rows = lottery.drawn()
        lottery.settle([row[1] for row in rows if row[3] == "won" and row[4] == Status.PENDING], Trigger.DECLINE)

    record = lottery.draw(say=fail_all)
    expected = lottery.expected(record)
    assert [row[:4] for row in lottery.drawn()] == [(*row[:3], row[3].value) for row in expected]
    statuses = {row[1]: row[4] for row in lottery.drawn()}
    left = lottery.sale.stock
    for _, customer, units, result in expected:
        if result.value == "won":
            assert statuses[customer] == Status.PAYMENT_FAILED
        elif result.value == "waitlisted":
            assert (statuses[customer] == Status.PENDING) == (units <= left), customer
            left -= units if units <= left else 0
    assert lottery.broken() == {}


def test_an_entry_that_vanished_stops_the_draw(lottery: Lottery) -> None:
    draws.seal(lottery.database, lottery.sale.sale_id, "drawer")
    key = lottery.keys["c3"]

    def crash(record: Draw) -> None:
        if record.state is DrawState.DRAWING:
            raise Interrupted

    with pytest.raises(Interrupted):
        lottery.draw(say=crash)

    transact(
        lottery.database,
        "vanish",
        lambda t: t.delete("Orders", KeySet(keys=[[key.customer_id, key.sale_id, key.order_id]])),
    )
    with pytest.raises(DrawBroken, match="12 entries are stored now, and 13"):
        lottery.draw()


def test_another_seed_than_the_committed_one_stops_the_draw(lottery: Lottery) -> None:
    with lottery.database.batch() as batch:
        batch.update("DrawSeeds", ("SaleId", "Seed"), [[lottery.sale.sale_id, "00" * 32]])
    with pytest.raises(DrawBroken, match="not the one that was committed to"):
        lottery.draw()
