"""The database goes away under a counter, and comes back: suspended, killed and restarted empty, or aborting at random."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from counter_samples import PATIENCE_SECONDS, Wire, balanced_books, crowd, open_counter, order
from sale_samples import put_up

from app.domain.errors import FairdropError, Overloaded, SaleNotFound, SoldOut, StorageUnavailable
from app.domain.sale import Sale
from app.domain.states import Status
from app.services import sales
from app.services.lane import Taken
from app.services.placement import Placement
from app.settings import Settings
from app.storage import schema
from app.storage.database import FairdropDatabase, connect
from emulator import Emulator, running


def apply_schema(settings: Settings) -> None:
    schema.apply(settings, database_id=settings.spanner_database, folder=schema.SCHEMA_ROOT / "orders")


@pytest.fixture(scope="module")
def own_emulator() -> Iterator[Emulator]:
    """An emulator of this module's own, which it may do to as it likes."""
    with running(fresh=True) as emulators, pytest.MonkeyPatch.context() as patch:
        for name, value in emulators.environment.items():
            patch.setenv(name, value)
        assert emulators.spanner is not None
        yield emulators.spanner


@pytest.fixture(scope="module")
def own_settings(own_emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of a database there, with the schema applied, and with little patience."""
    settings = Settings(
        spanner_project="outages",
        spanner_instance="outages",
        spanner_database="outages",
        state_dir=tmp_path_factory.mktemp("outages"),
        rpc_deadline_seconds=0.5,
    )
    apply_schema(settings)
    return settings


@pytest.fixture
def own_database(own_settings: Settings) -> FairdropDatabase:
    return connect(own_settings)


class Load:
    """Buyers who keep coming, each with a request of their own; when the service cannot answer they repeat it with the same key."""

    def __init__(self, counter: Placement, sale: Sale, buyers: int) -> None:
        self.answers: list[FairdropError] = []
        self.taken: list[Taken] = []
        self._counter = counter
        self._sale = sale
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._come, args=(index,)) for index in range(buyers)]
        for thread in self._threads:
            thread.start()

    def _come(self, index: int) -> None:
        number = 0
        while not self._over.is_set():
            number += 1
            give_up_at = time.monotonic() + PATIENCE_SECONDS
            while time.monotonic() < give_up_at:
                try:
                    self.taken.append(order(self._counter, self._sale, f"customer-{index}-{number}"))
                    break
                except (Overloaded, StorageUnavailable, SaleNotFound) as error:
                    self.answers.append(error)
                    time.sleep(0.02)

    def wait_for(self, taken: int) -> None:
        """Wait until so many more orders are taken."""
        goal, give_up_at = len(self.taken) + taken, time.monotonic() + PATIENCE_SECONDS
        while len(self.taken) < goal:
            assert time.monotonic() < give_up_at, "no orders are taken"
            time.sleep(0.01)

    def end(self) -> list[str]:
        """Let the buyers finish what they began; whose orders they were told of."""
        self._over.set()
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)
        return sorted(taken.order.order_id for taken in self.taken)


def test_a_suspended_database_costs_time_but_no_order_and_no_unit(
    own_emulator: Emulator, own_settings: Settings, own_database: FairdropDatabase
) -> None:
    sale = put_up(own_database, stock=1_000_000)
    load = Load(open_counter(own_settings, request_deadline_seconds=1.5), sale, buyers=16)
    for _ in range(2):
        load.wait_for(50)
        own_emulator.suspend()
        time.sleep(2.5)
        own_emulator.resume()
    load.wait_for(50)
    told = load.end()
    assert load.answers, "nobody noticed"
    books = balanced_books(own_database, sale.sale_id)
    # Each order is in the books once, and was told to its buyer once; none is there that nobody was told of.
    assert sorted(row["OrderId"] for row in books.rows) == told


def killed(own_emulator: Emulator, counter: Placement, sale: Sale) -> list[FairdropError]:
    """Kill the database and try to order until it is plain to the counter; the answers meanwhile."""
    own_emulator.kill()
    answers = []
    for index in range(3):
        with pytest.raises(FairdropError) as refused:
            order(counter, sale, f"unlucky-{index}")
        answers.append(refused.value)
    return answers


def test_a_killed_database_is_told_of_in_clear_words_and_without_burning_the_processor(
    own_emulator: Emulator, own_settings: Settings, own_database: FairdropDatabase, wire: Wire
) -> None:
    sale = put_up(own_database)
    counter = open_counter(own_settings)
    order(counter, sale, "ann")
    wire.calls.clear()
    answers = killed(own_emulator, counter, sale)
    assert {type(answer) for answer in answers} == {StorageUnavailable}
    assert {answer.detail for answer in answers if isinstance(answer, StorageUnavailable)} == {
        "the database cannot be reached"
    }
    with pytest.raises(StorageUnavailable):
        counter.sight(sale.sale_id, 0.0)
    # The library would ask again without end; here a call is tried a few times, and then said to have failed.
    assert wire.calls["streaming_read"] <= 20
    own_emulator.restart()
    apply_schema(own_settings)


def test_a_database_without_its_schema_is_told_of_and_does_not_harm_the_lane(
    own_emulator: Emulator, own_settings: Settings, own_database: FairdropDatabase
) -> None:
    sale = put_up(own_database)
    counter = open_counter(own_settings)
    order(counter, sale, "ann")
    own_emulator.restart()
    with pytest.raises(StorageUnavailable):
        order(counter, sale, "bob")
    apply_schema(own_settings)
    with pytest.raises(SaleNotFound):
        order(counter, sale, "bob")
    put_up(connect(own_settings), sale_id=sale.sale_id, stock=5)
    # What the lane remembers of the sale is of a database that is gone; the new one's stock counts.
    answers = crowd([lambda i=i: order(counter, sale, f"customer-{i}") for i in range(8)], in_flight=4)
    assert sum(isinstance(answer, Taken) for answer in answers) == 5
    assert sum(isinstance(answer, SoldOut) for answer in answers) == 3
    assert balanced_books(connect(own_settings), sale.sale_id).units(Status.PLACED) == 5


def test_what_was_remembered_of_a_database_that_is_gone_hides_no_order_of_the_new_one(
    own_emulator: Emulator, own_settings: Settings, own_database: FairdropDatabase
) -> None:
    sale = put_up(own_database, stock=1, shard_count=1)
    counter = open_counter(own_settings)
    order(counter, sale, "ann")
    assert counter.sight(sale.sale_id, 0.0).sold_out_for(1)
    own_emulator.kill()
    with pytest.raises(StorageUnavailable):
        counter.sight(sale.sale_id, 0.0)
    own_emulator.restart()
    apply_schema(own_settings)
    put_up(connect(own_settings), sale_id=sale.sale_id, stock=1, shard_count=1)
    # The shard is at the version that the counter knew; the order behind it is another.
    order(open_counter(own_settings), sale, "bob")
    assert counter.sight(sale.sale_id, 0.0).sold_out_for(1)
    assert order(counter, sale, "bob").replayed
    with pytest.raises(SoldOut):
        order(counter, sale, "ann")


def test_a_crowd_sees_the_outage_and_is_served_after_it(
    own_emulator: Emulator, own_settings: Settings, own_database: FairdropDatabase
) -> None:
    sale = put_up(own_database, stock=1_000_000)
    load = Load(open_counter(own_settings, request_deadline_seconds=1.5), sale, buyers=8)
    load.wait_for(50)
    own_emulator.restart()
    apply_schema(own_settings)
    restored = connect(own_settings)
    put_up(restored, sale_id=sale.sale_id, stock=1_000_000)
    load.wait_for(50)
    load.end()
    assert StorageUnavailable in {type(answer) for answer in load.answers}
    balanced_books(restored, sale.sale_id)


@pytest.fixture
def aborting_settings(tmp_path: Path) -> Iterator[Settings]:
    """Settings of a database that aborts commits at random."""
    with (
        running(fresh=True, spanner_arguments=["--enable_fault_injection"]) as emulators,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in emulators.environment.items():
            patch.setenv(name, value)
        settings = Settings(spanner_instance="aborting", spanner_database="aborting", state_dir=tmp_path)
        apply_schema(settings)
        yield settings


def test_aborted_commits_are_made_again_and_nothing_is_taken_twice(aborting_settings: Settings, wire: Wire) -> None:
    database = connect(aborting_settings)
    sale = put_up(database, stock=150, waitlist_limit=20)
    counters = [open_counter(aborting_settings, f"process:{index}") for index in range(3)]
    answers = crowd([lambda i=i: order(counters[i % 3], sale, f"customer-{i}") for i in range(200)], in_flight=12)
    _, promoted = sales.restock(database, sale.sale_id, 5, "more", "seller")
    assert promoted == 5
    assert sum(isinstance(answer, Taken) for answer in answers) == 170
    assert balanced_books(database, sale.sale_id).statuses == {"PLACED": 155, "WAITLISTED": 15}
    moments = {answer.order.placed_at for answer in answers if isinstance(answer, Taken)}
    assert wire.calls["commit"] > len(moments), "nothing was aborted"
