"""What goes wrong between a counter and its database, and what the buyers are told."""

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager

import pytest
from counter_samples import PATIENCE_SECONDS, HeldCommit, Once, Wire, balanced_books, open_counter, order
from google.api_core import exceptions as google_errors
from sale_samples import put_up

from app.domain.errors import Overloaded, StorageUnavailable
from app.domain.orders import OrderRequest
from app.domain.sale import Sale
from app.domain.states import Status
from app.services import sales
from app.services.group_commit import Ticket
from app.services.lane import Taken
from app.services.placement import Placement
from app.settings import Settings
from app.storage.database import FairdropDatabase


@pytest.fixture
def sale(database: FairdropDatabase) -> Sale:
    return put_up(database)


@pytest.fixture
def counter(settings: Settings, sale: Sale) -> Placement:
    """A counter whose lane has taken an order."""
    counter = open_counter(settings)
    order(counter, sale, "first")
    return counter


def fails(error: Exception) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


LOST_ANSWERS = [
    google_errors.DeadlineExceeded("no answer"),
    google_errors.ServiceUnavailable("connection lost"),
    google_errors.InternalServerError("stream broken"),
    google_errors.Cancelled("cancelled"),
    google_errors.Unknown("who knows"),
]


@pytest.mark.parametrize("error", LOST_ANSWERS, ids=lambda error: type(error).__name__)
def test_a_commit_whose_answer_is_lost_is_the_same_single_order(
    database: FairdropDatabase, sale: Sale, counter: Placement, wire: Wire, error: Exception
) -> None:
    wire.after["commit"] = Once(fails(error))
    taken = order(counter, sale, "ann", units=2)
    assert taken.order.status is Status.PLACED
    books = balanced_books(database, sale.sale_id)
    assert books.line(Status.PLACED) == ["first", "ann"]
    assert [row["PlacedAt"] for row in books.rows if row["CustomerId"] == "ann"] == [taken.order.placed_at]
    assert order(counter, sale, "ann", units=2).order == taken.order


@pytest.mark.parametrize("error", LOST_ANSWERS, ids=lambda error: type(error).__name__)
def test_a_commit_that_never_arrived_is_made_again(
    database: FairdropDatabase, sale: Sale, counter: Placement, wire: Wire, error: Exception
) -> None:
    wire.before["commit"] = Once(fails(error))
    assert not order(counter, sale, "ann").replayed
    assert balanced_books(database, sale.sale_id).line(Status.PLACED) == ["first", "ann"]


def test_when_no_answer_comes_at_all_the_buyer_is_told_in_time_and_the_same_key_finds_the_order(
    settings: Settings, database: FairdropDatabase, sale: Sale, wire: Wire
) -> None:
    counter = open_counter(settings, request_deadline_seconds=0.5)
    order(counter, sale, "first")
    wire.after["commit"] = fails(google_errors.DeadlineExceeded("no answer"))
    with pytest.raises((Overloaded, StorageUnavailable)):
        order(counter, sale, "ann")
    wire.after.clear()
    assert order(open_counter(settings), sale, "ann").replayed
    assert balanced_books(database, sale.sale_id).line(Status.PLACED) == ["first", "ann"]


def test_a_lane_that_somebody_else_overtook_reads_again_and_loses_nothing(
    settings: Settings, database: FairdropDatabase, sale: Sale, counter: Placement, wire: Wire
) -> None:
    order(open_counter(settings), sale, "somebody else")
    wire.calls.clear()
    assert order(counter, sale, "ann").order.status is Status.PLACED
    # The first commit met a version written by somebody else; the second was computed from what was read under lock.
    assert wire.calls["commit"] == 2
    assert balanced_books(database, sale.sale_id).line(Status.PLACED) == ["first", "somebody else", "ann"]


class Batch(AbstractContextManager["Batch"]):
    """Orders that gather behind a held commit, and so go into the next batch together, in the order of submission."""

    def __init__(self, counter: Placement, sale: Sale, wire: Wire) -> None:
        self.counter = counter
        self.sale = sale
        self.held = HeldCommit(wire)
        self.buyers = ThreadPoolExecutor(64)
        self.ahead = self.buyers.submit(order, counter, sale, "ahead")
        assert self.held.arrived.wait(PATIENCE_SECONDS)

    def submit(self, customer: str) -> "Future[Taken]":
        """Send an order, and wait until it stands in the lane."""
        lane = self.counter._counters[self.sale.sale_id].lane
        assert lane is not None
        before = lane._queue.qsize()
        answer = self.buyers.submit(order, self.counter, self.sale, customer)
        while lane._queue.qsize() == before and not answer.done():
            time.sleep(0.001)
        return answer

    def __exit__(self, *_: object) -> None:
        self.held.let_go()
        self.buyers.shutdown()


@pytest.mark.parametrize("place", [0, 3, 6])
def test_one_bad_order_does_not_fail_its_neighbours(
    database: FairdropDatabase, sale: Sale, counter: Placement, wire: Wire, place: int
) -> None:
    customers = [f"customer-{index}" for index in range(7)]
    customers[place] = "x" * 129  # a column's width and one more: the database will not have it
    with Batch(counter, sale, wire) as batch:
        answers = [batch.submit(customer) for customer in customers]
    for customer, answer in zip(customers, answers, strict=True):
        if customer == customers[place]:
            assert isinstance(answer.exception(), StorageUnavailable)
        else:
            assert answer.result().order.status is Status.PLACED
    good = [customer for customer in customers if customer != customers[place]]
    assert balanced_books(database, sale.sale_id).line(Status.PLACED) == ["first", "ahead", *good]
    assert order(counter, sale, "next").order.status is Status.PLACED


def test_a_fault_of_ours_is_answered_and_the_lane_lives_on(
    database: FairdropDatabase, sale: Sale, counter: Placement, wire: Wire
) -> None:
    wire.before["commit"] = Once(fails(ZeroDivisionError("a fault")))
    with pytest.raises(StorageUnavailable):
        order(counter, sale, "ann")
    assert order(counter, sale, "bob").order.status is Status.PLACED
    assert balanced_books(database, sale.sale_id).line(Status.PLACED) == ["first", "bob"]


def test_a_full_lane_says_so_at_once_and_takes_orders_again_when_it_has_room(
    settings: Settings, sale: Sale, wire: Wire
) -> None:
    counter = open_counter(settings, lane_capacity=3)
    order(counter, sale, "first")
    with Batch(counter, sale, wire) as batch:
        waiting = [batch.submit(f"customer-{index}") for index in range(3)]
        with pytest.raises(Overloaded):
            order(counter, sale, "one too many")
        with pytest.raises(Overloaded):
            counter.refuse_when_full(sale.sale_id)
        assert not any(answer.done() for answer in waiting)
    counter.refuse_when_full(sale.sale_id)
    assert [answer.result().order.status for answer in waiting] == [Status.PLACED] * 3
    assert not order(counter, sale, "one too many").replayed


def test_an_order_that_nobody_waits_for_any_more_is_not_taken(
    settings: Settings, database: FairdropDatabase, sale: Sale, wire: Wire
) -> None:
    patient = open_counter(settings)
    order(patient, sale, "first")
    with Batch(patient, sale, wire) as batch:
        patient._settings = settings.model_copy(update={"request_deadline_seconds": 0.05})
        given_up = [batch.submit(f"customer-{index}") for index in range(3)]
        assert all(isinstance(answer.exception(PATIENCE_SECONDS), Overloaded) for answer in given_up)
        patient._settings = settings
        stayed = batch.submit("stayed")
    assert stayed.result().order.status is Status.PLACED
    assert balanced_books(database, sale.sale_id).line(Status.PLACED) == ["first", "ahead", "stayed"]


def lane_threads(sale: Sale) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == f"lane {sale.sale_id}"]


def test_a_lane_without_orders_gives_its_thread_back_and_takes_the_next_order_all_the_same(
    sale: Sale, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.services.group_commit.IDLE_SECONDS", 0.05)
    counter = open_counter(settings)
    for index in range(3):
        assert order(counter, sale, f"customer-{index}").order.status is Status.PLACED
        for thread in lane_threads(sale):
            thread.join(PATIENCE_SECONDS)
        assert lane_threads(sale) == []


class QueueWithALateOrder(queue.SimpleQueue[Ticket[OrderRequest, Taken]]):
    """An order comes in just after the lane has seen that there is none."""

    def __init__(self, send: Callable[[], None]) -> None:
        super().__init__()
        self._send = Once(send)

    def empty(self) -> bool:
        seen = super().empty()
        self._send()
        return seen


def test_an_order_that_comes_just_as_the_lane_gives_its_thread_back_is_taken(
    sale: Sale, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.services.group_commit.IDLE_SECONDS", 0.05)
    counter = open_counter(settings)
    order(counter, sale, "first")
    for thread in lane_threads(sale):
        thread.join(PATIENCE_SECONDS)
    lane = counter._counters[sale.sale_id].lane
    assert lane is not None
    with ThreadPoolExecutor(1) as pool:
        late: list[Future[Taken]] = []

        def send() -> None:
            late.append(pool.submit(order, counter, sale, "late"))
            while lane._queue.qsize() == 0:
                time.sleep(0.001)

        lane._queue = QueueWithALateOrder(send)
        order(counter, sale, "second")
        for thread in lane_threads(sale):
            thread.join(PATIENCE_SECONDS)
        assert late[0].result(PATIENCE_SECONDS).order.status is Status.PLACED


def test_lanes_that_fight_over_one_shard_all_get_through(settings: Settings, database: FairdropDatabase) -> None:
    sale = put_up(database, stock=60, shard_count=1)
    counters = [open_counter(settings, f"process:{index}") for index in range(3)]
    with ThreadPoolExecutor(3) as pool:
        sold = [
            pool.submit(lambda c=c, i=i: [order(c, sale, f"{i}-{n}") for n in range(20)])
            for i, c in enumerate(counters)
        ]
    assert all(taken.order.status is Status.PLACED for answers in sold for taken in answers.result())
    assert balanced_books(database, sale.sale_id).available == 0


def test_a_look_that_fails_is_told_to_those_who_asked_and_the_next_one_works(
    settings: Settings, database: FairdropDatabase, sale: Sale, wire: Wire
) -> None:
    counter = open_counter(settings)
    wire.before["streaming_read"] = Once(fails(google_errors.DeadlineExceeded("no answer")))
    with pytest.raises(StorageUnavailable):
        counter.sight(sale.sale_id, 0.0)
    assert counter.sight(sale.sale_id, 0.0).available == sales.show(database, sale.sale_id).sale.stock
