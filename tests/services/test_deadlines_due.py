"""What is due by the clock alone: expired holds, captures to ask for, waitlists that lapse; and who does it."""

import threading
import time
from collections import Counter

import pytest
from counter_samples import PATIENCE_SECONDS, Once, Wire, open_counter
from google.api_core import exceptions as google_errors
from settlement_samples import ForwardClock, Stage

from app.domain.errors import StorageUnavailable
from app.domain.settlement import CAPTURE_OVERDUE
from app.domain.states import Status, Trigger
from app.services import deadlines as deadlines_service
from app.services import sales, settlement
from app.services.deadlines import SLOTS, Deadlines
from app.services.leases import LeaseKeeper
from app.settings import Settings
from app.storage.database import FairdropDatabase, connect


class AllSlots:
    def keep(self) -> frozenset[str]:
        return frozenset(SLOTS)


@pytest.fixture(autouse=True)
def only_these_sales(monkeypatch: pytest.MonkeyPatch) -> None:
    """New sales are seen at once, and those of other tests, whose holds are due under this clock too, are left alone."""
    monkeypatch.setattr(deadlines_service, "SALES_MAX_AGE_SECONDS", 0.0)
    real = deadlines_service.sales_as_of

    def of_this_test(reads: object, after: str, page_size: int) -> object:
        page, as_of = real(reads, after, page_size)  # type: ignore[arg-type]
        return [sale for sale in page if sale.sale_id in OURS], as_of

    monkeypatch.setattr(deadlines_service, "sales_as_of", of_this_test)
    OURS.clear()


OURS: set[str] = set()


def a_stage(database: FairdropDatabase, settings: Settings, **terms: object) -> Stage:
    stage = Stage(database, settings, **terms)
    OURS.add(stage.sale.sale_id)
    return stage


def a_worker(stage: Stage) -> Deadlines:
    return Deadlines(stage.database, stage.clock, AllSlots(), "deadlines:1")


def everything(worker: Deadlines) -> int:
    """Step until nothing is due; how many orders went on."""
    total = 0
    while done := worker.step():
        total += done
    return total


def test_a_hold_expires_when_its_time_is_over_and_not_before(settings: Settings, database: FairdropDatabase) -> None:
    stage = a_stage(database, settings)
    stage.order("ann")
    stage.order("bob")
    stage.settle(["bob"], Trigger.AUTHORIZE)
    worker = a_worker(stage)
    assert everything(worker) == 0
    stage.clock.forward_seconds = stage.sale.hold_seconds + 1.0
    assert everything(worker) == 1
    assert stage.statuses() == {"ann": "EXPIRED", "bob": "AUTHORIZED"}
    assert stage.events("ann") == ["order.reserved", "order.released"]
    stage.assert_clean()


def test_a_capture_is_asked_for_when_the_cancel_window_closes_and_again_only_when_it_is_overdue(
    settings: Settings, database: FairdropDatabase
) -> None:
    stage = a_stage(database, settings)
    stage.order("ann")
    stage.settle(["ann"], Trigger.AUTHORIZE)
    worker = a_worker(stage)
    stage.clock.forward_seconds = stage.sale.cancel_window_seconds + 1.0
    assert everything(worker) == 1
    confirmed = stage.stored("ann")
    stage.clock.forward_seconds += CAPTURE_OVERDUE.total_seconds() - 60
    assert everything(worker) == 0
    stage.clock.forward_seconds += 120
    assert everything(worker) == 1
    assert stage.stored("ann").confirmed_at == confirmed.confirmed_at
    stage.settle(["ann"], Trigger.CAPTURE)
    stage.clock.forward_seconds += 24 * 3600
    assert everything(worker) == 0
    assert stage.events("ann")[2:] == ["order.confirmed", "order.confirmed", "order.placed"]
    stage.assert_clean()


def test_without_a_cancel_window_the_capture_is_asked_for_at_once(
    settings: Settings, database: FairdropDatabase
) -> None:
    stage = a_stage(database, settings, cancel_window_seconds=0)
    stage.order("ann")
    stage.settle(["ann"], Trigger.AUTHORIZE)
    assert everything(a_worker(stage)) == 1
    assert stage.events("ann") == ["order.reserved", "order.authorized", "order.confirmed"]


def test_a_crowd_of_expired_holds_is_settled_in_pages_and_promotes_those_who_wait(
    settings: Settings, database: FairdropDatabase, wire: Wire
) -> None:
    stage = a_stage(database, settings, stock=600, shard_count=4, waitlist_limit=100, limit_per_customer=1)
    stage.order_many([f"customer-{number}" for number in range(650)])
    worker = a_worker(stage)
    assert worker.step() == 0
    stage.clock.forward_seconds = stage.sale.hold_seconds + 1.0
    wire.calls.clear()
    everything(worker)
    books = stage.books()
    assert books.statuses == {"EXPIRED": 600, "PENDING": 50}
    assert wire.calls["commit"] == 2
    stage.assert_clean()


def test_one_sales_crowd_does_not_keep_the_next_sales_waiting(
    settings: Settings, database: FairdropDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadlines_service, "ORDERS_PER_STEP", 3)
    stages = [a_stage(database, settings, stock=8, shard_count=2, limit_per_customer=1) for _ in range(3)]
    for stage in stages:
        for number in range(8):
            stage.order(f"customer-{number}")
    clock = stages[0].clock
    clock.forward_seconds = stages[0].sale.hold_seconds + 1.0
    worker = a_worker(stages[0])
    worker.step()
    assert [stage.books().statuses["EXPIRED"] for stage in stages] == [3, 3, 3]
    assert worker.overdue == 9  # three full pages: there is more
    everything(worker)
    assert worker.overdue == 0
    assert [stage.books().statuses["EXPIRED"] for stage in stages] == [8, 8, 8]


def test_a_waitlist_lapses_only_when_the_sale_is_closed_and_no_hold_is_left(
    settings: Settings, database: FairdropDatabase
) -> None:
    stage = a_stage(database, settings, stock=2, shard_count=2)
    for customer in ("ann", "bob", "cat", "dan", "eve"):
        stage.order(customer)
    stage.settle(["ann"], Trigger.AUTHORIZE, Trigger.CONFIRM, Trigger.CAPTURE)
    worker = a_worker(stage)
    assert everything(worker) == 0
    sales.close(database, stage.sale.sale_id, "seller")
    assert everything(worker) == 0
    # A release after the close still serves the queue, and that hold is waited for too.
    stage.settle(["bob"], Trigger.DECLINE)
    assert everything(worker) == 0
    assert stage.statuses() == {
        "ann": "PLACED",
        "bob": "PAYMENT_FAILED",
        "cat": "PENDING",
        "dan": "WAITLISTED",
        "eve": "WAITLISTED",
    }
    stage.settle(["cat"], Trigger.AUTHORIZE, Trigger.CONFIRM, Trigger.CAPTURE)
    assert everything(worker) == 2
    statuses = stage.statuses()
    assert (statuses["cat"], statuses["dan"], statuses["eve"]) == ("PLACED", "LAPSED", "LAPSED")
    stage.assert_clean()


def test_a_sale_that_ends_by_its_closing_time_lapses_by_the_databases_clock_page_by_page(
    settings: Settings, database: FairdropDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadlines_service, "ORDERS_PER_STEP", 2)
    stage = a_stage(database, settings, stock=1, shard_count=1, unit_price_minor=0)
    stage.order("ann")
    for number in range(5):
        stage.order(f"waiting-{number}")
    worker = a_worker(stage)
    assert everything(worker) == 0
    stage.clock.forward_seconds = 3 * 3600.0
    assert everything(worker) == 5
    assert stage.books().statuses == {"PLACED": 1, "LAPSED": 5}
    stage.assert_clean()


def test_a_hold_that_appears_between_the_look_and_the_commit_keeps_the_waitlist_alive(
    settings: Settings, database: FairdropDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = a_stage(database, settings, stock=1, shard_count=1)
    stage.order("ann")
    stage.order("bob")
    sales.close(database, stage.sale.sale_id, "seller")
    monkeypatch.setattr(deadlines_service, "has_deadlines", lambda *_: False)
    assert everything(a_worker(stage)) == 0
    assert stage.statuses() == {"ann": "PENDING", "bob": "WAITLISTED"}


def test_a_finished_sale_is_left_in_peace_and_still_found_when_an_order_comes_late(
    settings: Settings, database: FairdropDatabase, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = a_stage(database, settings)
    stage.order("ann")
    stage.settle(["ann"], Trigger.AUTHORIZE, Trigger.CONFIRM, Trigger.CAPTURE)
    stage.order("bob")
    stage.settle(["bob"], Trigger.EXPIRE)
    sales.close(database, stage.sale.sale_id, "seller")
    worker = a_worker(stage)
    assert everything(worker) == 0
    wire.calls.clear()
    worker.step()
    resting = wire.calls["streaming_read"]
    assert resting == 1  # of the sales
    worker._resting.clear()
    wire.calls.clear()
    worker.step()
    assert wire.calls["streaming_read"] > resting


def test_an_idle_look_at_many_sales_is_one_read(settings: Settings, database: FairdropDatabase, wire: Wire) -> None:
    stages = [a_stage(database, settings, shard_count=4, stock=40) for _ in range(12)]
    worker = a_worker(stages[0])
    worker.step()
    wire.calls.clear()
    assert worker.step() == 0
    assert wire.calls == Counter({"streaming_read": 2})  # the sales, and their deadlines


@pytest.mark.parametrize(
    "error", [StorageUnavailable("out of order", 1), KeyError("a fault of ours")], ids=["database", "ours"]
)
def test_a_sale_that_always_fails_holds_up_no_other_sales_deadlines(
    settings: Settings, database: FairdropDatabase, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    stages = sorted((a_stage(database, settings) for _ in range(3)), key=lambda stage: stage.sale.sale_id)
    first, bad, last = stages
    worker = a_worker(bad)
    for stage in stages:
        stage.order("ann")
        stage.clock = bad.clock
    real, tries = settlement.settle_batch, []

    def fails_for_one(transaction: object, sale_id: str, *rest: object) -> object:
        if sale_id == bad.sale.sale_id:
            tries.append(sale_id)
            raise error
        return real(transaction, sale_id, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(settlement, "settle_batch", fails_for_one)
    monkeypatch.setattr(settlement, "RETRY_PAUSE_SECONDS", 0.0)
    bad.counter.sight(bad.sale.sale_id, 0.0)
    bad.clock.observe(bad.counter.clock.proven)
    bad.clock.forward_seconds = bad.sale.hold_seconds + 1.0
    assert worker.step() == 2
    assert [first.stored("ann").status, last.stored("ann").status] == [Status.EXPIRED] * 2
    tried = len(tries)
    assert worker.step() == 0
    assert len(tries) == tried > 0
    monkeypatch.setattr(settlement, "settle_batch", real)
    worker._resting.clear()
    assert worker.step() == 1


def test_a_worker_whose_database_is_away_says_so_and_goes_on_after_it(
    settings: Settings, database: FairdropDatabase, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadlines_service, "FAILING_SECONDS", 0.0)
    stage = a_stage(database, settings)
    stage.order("ann")
    worker = a_worker(stage)
    worker.step()
    stage.clock.forward_seconds = stage.sale.hold_seconds + 1.0

    def down() -> None:
        raise google_errors.ServiceUnavailable("down")

    wire.before["commit"] = down
    with pytest.raises(StorageUnavailable):
        worker.step()
    wire.before.clear()
    wire.after["commit"] = Once(down)
    everything(worker)
    assert stage.events("ann") == ["order.reserved", "order.released"]
    stage.assert_clean()


def test_two_workers_share_the_work_by_leases_and_do_none_of_it_twice(
    settings: Settings, database: FairdropDatabase, wire: Wire
) -> None:
    stage = a_stage(database, settings, stock=400, shard_count=16, limit_per_customer=1)
    for process in range(8):
        stage.order_many([f"customer-{process}-{n}" for n in range(25)], open_counter(settings, f"process:{process}"))
    moves: dict[str, int] = {}
    asked: Counter[str] = Counter()

    class Watched(Deadlines):
        def _settle(self, sale_id: str, due: object) -> int:  # type: ignore[override]
            asked.update(key.order_id for key in due)  # type: ignore[attr-defined]
            return super()._settle(sale_id, due)  # type: ignore[arg-type]

    clocks = [ForwardClock() for _ in range(2)]
    keepers = [
        LeaseKeeper(connect(settings), clock, "deadlines-test", SLOTS, 60.0, f"holder-{number}")
        for number, clock in enumerate(clocks)
    ]
    workers = [
        Watched(connect(settings), clock, keeper, keeper.holder) for clock, keeper in zip(clocks, keepers, strict=True)
    ]
    # Nothing is due yet: the leases settle down to a fair share each.
    deadline = time.monotonic() + PATIENCE_SECONDS
    while sorted(len(keeper.keep()) for keeper in keepers) != [8, 8] and time.monotonic() < deadline:
        for worker, keeper in zip(workers, keepers, strict=True):
            keeper._renew_at = 0.0
            worker.step()
    assert not keepers[0].keep() & keepers[1].keep()
    for clock in clocks:
        clock.forward_seconds = stage.sale.hold_seconds + 1.0

    def work(number: int) -> None:
        moves[f"holder-{number}"] = everything(workers[number])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    assert sum(moves.values()) == 200
    assert all(moves.values())
    assert set(asked.values()) == {1}
    assert stage.books().statuses == {Status.EXPIRED: 200}
    stage.assert_clean()


def test_two_workers_that_both_believe_in_all_the_slices_still_move_each_order_once(
    settings: Settings, database: FairdropDatabase
) -> None:
    stage = a_stage(database, settings, stock=100, shard_count=4, limit_per_customer=1)
    stage.order_many([f"customer-{number}" for number in range(100)])
    workers = []
    for number in range(2):
        clock = ForwardClock()
        worker = Deadlines(connect(settings), clock, AllSlots(), f"deadlines:{number}")
        worker.step()
        clock.forward_seconds = stage.sale.hold_seconds + 1.0
        workers.append(worker)
    moved: list[int] = []
    threads = [threading.Thread(target=lambda w=worker: moved.append(everything(w))) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    assert sum(moved) == 100
    assert stage.count_events() == 200
    stage.assert_clean()
