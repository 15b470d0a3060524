"""Settlement, orders, cancels and restocks on one sale at the same time, each with a database handle of its own."""

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from counter_samples import PATIENCE_SECONDS, open_counter
from settlement_samples import Stage

from app.domain.errors import CancelWindowClosed, FairdropError, LimitExceeded, SoldOut, TransitionRefused
from app.domain.settlement import OrderKey, Settlement
from app.domain.states import Status, Trigger
from app.services import sales
from app.services.cancelling import Cancelling
from app.services.settlement import settle
from app.settings import Settings
from app.storage.clock import DatabaseClock
from app.storage.database import FairdropDatabase, connect

ROUNDS = 6


class Race:
    """A sale far too small for its crowd, in which nobody keeps a unit for long."""

    def __init__(self, database: FairdropDatabase, settings: Settings) -> None:
        self.settings = settings
        self.stage = Stage(database, settings, stock=10, shard_count=4, waitlist_limit=40, limit_per_customer=3)
        self.known: list[OrderKey] = []
        self.lock = threading.Lock()
        self.refusals: list[FairdropError] = []
        self.failures: list[BaseException] = []

    def buy(self, number: int) -> Callable[[], None]:
        counter = open_counter(self.settings, f"process:{number}")

        def order(turn: int) -> None:
            try:
                key = self.stage.order(f"customer-{number}-{turn}", 1 + turn % 3, counter)
            except (SoldOut, LimitExceeded) as error:
                with self.lock:
                    self.refusals.append(error)
                return
            with self.lock:
                self.known.append(key)

        return self._repeated(order, 12)

    def settle(self, number: int) -> Callable[[], None]:
        handle, clock, dice = connect(self.settings), DatabaseClock(), random.Random(number)
        ends = [Trigger.AUTHORIZE, Trigger.DECLINE, Trigger.EXPIRE, Trigger.CAPTURE_FAIL]

        def some(_turn: int) -> None:
            with self.lock:
                keys = dice.sample(self.known, min(len(self.known), 8))
            settle(handle, clock, [Settlement(key, dice.choice(ends), "payments") for key in keys], f"settler:{number}")

        return self._repeated(some, 10)

    def cancel(self, number: int) -> Callable[[], None]:
        cancelling = Cancelling(connect(self.settings), DatabaseClock(), self.settings, f"canceller:{number}")
        dice = random.Random(number)

        def one(_turn: int) -> None:
            with self.lock:
                key = dice.choice(self.known) if self.known else None
            if key is not None:
                try:
                    cancelling.cancel(key.customer_id, key.sale_id, key.order_id)
                except (TransitionRefused, CancelWindowClosed) as error:
                    with self.lock:
                        self.refusals.append(error)

        return self._repeated(one, 8)

    def restock(self, round_number: int) -> Callable[[], None]:
        handle = connect(self.settings)

        def add(turn: int) -> None:
            sales.restock(handle, self.stage.sale.sale_id, 1 + turn, f"{round_number}-{turn}", "seller")

        return self._repeated(add, 2)

    def _repeated(self, action: Callable[[int], None], times: int) -> Callable[[], None]:
        def run() -> None:
            for turn in range(times):
                action(turn)

        return run


@pytest.mark.parametrize("round_number", range(2))
def test_whatever_races_no_unit_is_lost_sold_twice_or_kept_from_those_who_wait(
    settings: Settings, database: FairdropDatabase, round_number: int
) -> None:
    # What comes of it is the question, and not how soon.
    patience = {"request_deadline_seconds": PATIENCE_SECONDS, "rpc_deadline_seconds": PATIENCE_SECONDS}
    patient = settings.model_copy(update=patience)
    race = Race(database, patient)
    for part in range(2):
        actors = [race.buy(10 * part + number) for number in range(3)]
        actors += [race.settle(100 * round_number + 10 * part + number) for number in range(2)]
        actors += [race.cancel(100 * round_number + 10 * part), race.restock(part)]
        with ThreadPoolExecutor(len(actors)) as crowd:
            for done in [crowd.submit(actor) for actor in actors]:
                done.result(PATIENCE_SECONDS)
        race.stage.assert_clean()
    books = race.stage.books()
    assert len(books.rows) == len(race.known)
    assert sum(count for status, count in books.statuses.items() if status not in ("PENDING", "WAITLISTED")) > 0


def test_of_a_cancel_and_a_confirmation_at_once_exactly_one_wins(
    settings: Settings, database: FairdropDatabase
) -> None:
    stage = Stage(database, settings, stock=20, cancel_window_seconds=0, limit_per_customer=1)
    customers = [f"customer-{number}" for number in range(20)]
    for customer in customers:
        stage.order(customer)
    stage.settle(customers[:10], Trigger.AUTHORIZE)
    handles = [connect(settings) for _ in range(2)]
    clock = DatabaseClock()

    def each(handle: FairdropDatabase, trigger: Trigger | None) -> None:
        for customer in customers:
            settle(handle, clock, [Settlement(stage.keys[customer], trigger, "test")], "racer")

    with ThreadPoolExecutor(2) as racers:
        for done in [racers.submit(each, handles[0], None), racers.submit(each, handles[1], Trigger.CANCEL)]:
            done.result(PATIENCE_SECONDS)
    for customer in customers[:10]:
        # The window is closed from the start: only the confirmation is taken.
        assert stage.events(customer) == ["order.reserved", "order.authorized", "order.confirmed"]
    assert {stage.statuses()[customer] for customer in customers[10:]} == {Status.CANCELLED}
    stage.assert_clean()
