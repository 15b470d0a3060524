"""Handling order events for real: Spanner, and the gateway simulator as a process of its own, with faults."""

import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from payments_samples import QUICK, START, MemoryBooks, ModelGateway, event, terms

from app.messaging.consumer import Done, Poison, Retry
from app.messaging.events import Event
from app.payments.asking import Patience
from app.payments.gateways.simulator import SimulatorGateway
from app.payments.payment import Payment
from app.payments.service import OVERDUE_SECONDS, SWEEP_LIMIT, TERMS_DIFFER, PaymentService
from app.payments.states import State, Wanted
from app.payments.store import OpenPlace, Recorded, SpannerBooks
from app.storage.database import FairdropDatabase, snapshot
from tests.gateway_simulator.simulator_process import Simulator

TIMEOUT_SECONDS = 0.5
HELD_SECONDS = 2.0
PATIENT = Patience(tries=8, first_wait_seconds=0.01, longest_wait_seconds=0.1, budget_seconds=60.0)
AMOUNT = 49_900


def order_ids(count: int) -> list[str]:
    return [str(uuid.uuid4()) for _ in range(count)]


def service_at(simulator: Simulator, books: SpannerBooks, patience: Patience = PATIENT) -> PaymentService:
    return PaymentService(books, SimulatorGateway(simulator.url, TIMEOUT_SECONDS, 8), concurrency=8, patience=patience)


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """A simulator without faults, which the tests of this module share; each has orders of its own."""
    process = Simulator(tmp_path_factory.mktemp("simulator")).start()
    yield process
    process.stop()


@pytest.fixture
def service(honest: Simulator, books: SpannerBooks) -> Iterator[PaymentService]:
    own = service_at(honest, books)
    yield own
    own.close()


def state(books: SpannerBooks, order_id: str) -> State:
    return books.find([order_id]).payments[order_id].state


def events_of(database: FairdropDatabase, order_ids: Sequence[str]) -> dict[str, list[str]]:
    query = "SELECT OrderId, EventType FROM Outbox WHERE OrderId IN UNNEST(@orders) ORDER BY OrderId, EventSeq"
    found: dict[str, list[str]] = {order_id: [] for order_id in order_ids}
    with snapshot(database) as reads:
        for order_id, kind in reads.execute_sql(query, params={"orders": list(order_ids)}):
            found[order_id].append(kind)
    return found


@pytest.mark.parametrize(
    ("kinds", "ends", "at_the_gateway", "told"),
    [
        (["reserved"], State.AUTHORIZED, "authorized", ["payment.authorized"]),
        (["reserved", "confirmed"], State.CAPTURED, "captured", ["payment.authorized", "payment.captured"]),
        (["reserved", "released"], State.VOIDED, "voided", ["payment.authorized", "payment.voided"]),
        (["confirmed", "reserved"], State.CAPTURED, "captured", ["payment.authorized", "payment.captured"]),
        (["released", "reserved"], State.VOIDED, None, ["payment.voided"]),
        (["released", "reserved", "confirmed"], State.VOIDED, None, ["payment.voided"]),
        (["reserved", "released", "confirmed"], State.VOIDED, "voided", ["payment.authorized", "payment.voided"]),
        (
            ["reserved", "confirmed", "released"],
            State.REFUNDED,
            "refunded",
            ["payment.authorized", "payment.captured", "payment.voided"],
        ),
    ],
)
def test_money_follows_the_events_in_any_order_of_delivery(
    service: PaymentService,
    honest: Simulator,
    books: SpannerBooks,
    payments_database: FairdropDatabase,
    kinds: list[str],
    ends: State,
    at_the_gateway: str | None,
    told: list[str],
) -> None:
    (order_id,) = order_ids(1)
    for kind in [kind for kind in kinds for _ in range(2)]:
        assert service.handle([event(kind, order_id)]) == [Done()]
    assert state(books, order_id) is ends
    assert honest.book().get(order_id, {}).get("state") == at_the_gateway
    assert events_of(payments_database, [order_id])[order_id] == told


def test_a_batch_has_a_verdict_for_each_message_and_a_bad_one_does_not_spoil_the_others(
    service: PaymentService, honest: Simulator, books: SpannerBooks
) -> None:
    good, shy, strange = order_ids(3)
    verdicts = service.handle(
        [
            event("reserved", good),
            event("placed", good),
            event("reserved", shy, currency="?"),
            event("reserved", strange),
            event("confirmed", strange, amount_minor=1),
            event("confirmed", good),
        ]
    )
    assert verdicts[0] == verdicts[1] == verdicts[3] == verdicts[5] == Done()
    assert isinstance(verdicts[2], Poison)
    assert verdicts[2].reason.startswith("currency: ")
    assert verdicts[4] == Poison(TERMS_DIFFER)
    assert service.handle([event("confirmed", strange, amount_minor=1)]) == [Poison(TERMS_DIFFER)]
    assert (state(books, good), state(books, strange)) == (State.CAPTURED, State.AUTHORIZED)
    assert honest.book()[good]["captured_minor"] == AMOUNT
    assert books.find([shy]).payments == {}


def test_a_batch_of_nothing_that_concerns_payments_asks_no_database(honest: Simulator) -> None:
    class NoBooks(SpannerBooks):
        def __init__(self) -> None:
            pass

    service = service_at(honest, NoBooks())
    assert service.handle([event("placed"), event("waitlisted")]) == [Done(), Done()]
    assert service.handle([]) == []


def test_a_declined_card_is_told_with_the_gateway_s_reason(
    service: PaymentService, books: SpannerBooks, payments_database: FairdropDatabase
) -> None:
    (order_id,) = order_ids(1)
    assert service.handle([event("reserved", order_id, payment_method="tok_declined")]) == [Done()]
    payment = books.find([order_id]).payments[order_id]
    assert (payment.state, payment.reason) == (State.DECLINED, "card_declined")
    assert service.handle([event("released", order_id)]) == [Done()]
    assert events_of(payments_database, [order_id])[order_id] == ["payment.declined"]


def test_what_stays_unknown_is_not_acknowledged_and_settled_by_the_next_delivery(
    simulator: Simulator, books: SpannerBooks, payments_database: FairdropDatabase
) -> None:
    (order_id,) = order_ids(1)
    simulator.start(lost_rate=1.0)
    service = service_at(simulator, books, replace(QUICK, tries=2))
    assert service.handle([event("reserved", order_id)]) == [Retry()]
    assert simulator.book()[order_id]["state"] == "authorized"
    assert state(books, order_id) is State.AUTHORIZING
    assert service.handle([event("released", order_id)]) == [Retry()]
    simulator.stop()
    simulator.start()
    assert service.handle([event("reserved", order_id)]) == [Done()]
    assert simulator.book()[order_id]["state"] == "voided"
    assert events_of(payments_database, [order_id])[order_id] == ["payment.authorized", "payment.voided"]
    service.close()


def test_a_hint_from_elsewhere_settles_what_is_in_progress(simulator: Simulator, books: SpannerBooks) -> None:
    (order_id,) = order_ids(1)
    simulator.start(error_rate=1.0)
    service = service_at(simulator, books, replace(QUICK, tries=1))
    service.handle([event("confirmed", order_id)])
    assert not service.resume([order_id])
    simulator.stop()
    simulator.start()
    assert service.resume([order_id])
    assert state(books, order_id) is State.CAPTURED
    assert service.resume([]) is service.resume(["not there"]) is True
    service.close()


def test_a_void_that_the_gateway_refuses_is_left_for_a_person_and_not_tried_for_ever(
    honest: Simulator, service: PaymentService, books: SpannerBooks, caplog: pytest.LogCaptureFixture
) -> None:
    (order_id,) = order_ids(1)
    service.handle([event("reserved", order_id)])
    name = honest.book()[order_id]["authorization_id"]
    # Somebody captures it at the gateway's own desk.
    honest.post(f"/authorizations/{name}/capture", {"amount_minor": AMOUNT, "currency": "EUR"}, f"{order_id}:desk")
    assert service.handle([event("released", order_id)]) == [Done()]
    payment = books.find([order_id]).payments[order_id]
    assert (payment.state, payment.reason, payment.is_open) == (State.VOID_FAILED, "is_captured", True)
    assert any(order_id in record.message and record.levelname == "ERROR" for record in caplog.records)


class Crowd:
    """Orders with the events that each will get, and what must become of each."""

    def __init__(self, count: int, seed: int) -> None:
        self._dice = random.Random(seed)
        self.ends: dict[str, str] = {}
        self.events: list[Event] = []
        for order_id in order_ids(count):
            kinds = self._dice.choice(
                [
                    ["reserved"],
                    ["reserved", "confirmed"],
                    ["reserved", "released"],
                    ["reserved", "confirmed", "released"],
                ]
            )
            self.ends[order_id] = kinds[-1]
            self.events += [event(kind, order_id) for kind in kinds * self._dice.randint(1, 2)]
        self._dice.shuffle(self.events)

    def batches(self, size: int) -> list[list[Event]]:
        return [self.events[start : start + size] for start in range(0, len(self.events), size)]


def handle_until_done(service: PaymentService, batch: list[Event]) -> None:
    while batch:
        verdicts = service.handle(batch)
        assert not any(isinstance(verdict, Poison) for verdict in verdicts)
        batch = [sent for sent, verdict in zip(batch, verdicts, strict=True) if isinstance(verdict, Retry)]


def assert_money_is_where_it_belongs(crowd: Crowd, books: SpannerBooks, simulator: Simulator) -> Counter[State]:
    payments, book = books.find(crowd.ends).payments, simulator.book()
    for order_id, end in crowd.ends.items():
        payment, entry = payments[order_id], book.get(order_id)
        assert payment.operation is None
        if payment.state is State.DECLINED:
            assert entry is not None
            assert (entry["state"], entry["reason"]) == ("declined", payment.reason)
        elif payment.state is State.CAPTURE_FAILED:
            assert entry is not None
            assert (end, entry["state"]) == ("confirmed", "authorized")
        elif end == "released":
            assert payment.state in (State.VOIDED, State.REFUNDED)
            assert entry is None or entry["captured_minor"] == entry["refunded_minor"]
            assert entry is None or entry["state"] == payment.state.lower()
        else:
            assert entry is not None
            assert entry["state"] == payment.state.lower() == {"reserved": "authorized", "confirmed": "captured"}[end]
            assert entry["authorization_id"] == payment.reference
    assert set(book) <= set(crowd.ends)
    return Counter(payment.state for payment in payments.values())


def test_two_workers_with_the_same_messages_and_a_gateway_with_every_fault_charge_nobody_twice(
    simulator: Simulator, books: SpannerBooks, payments_database: FairdropDatabase
) -> None:
    simulator.start(
        decline_rate=0.2,
        capture_decline_rate=0.2,
        delay_ms=5,
        error_rate=0.1,
        lost_rate=0.1,
        timeout_rate=0.02,
        hold_seconds=HELD_SECONDS,
        seed=7,
    )
    crowd = Crowd(120, seed=1)
    workers = [service_at(simulator, books) for _ in range(2)]
    jobs = [(worker, batch) for batch in crowd.batches(40) for worker in workers]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda job: handle_until_done(*job), jobs))
    states = assert_money_is_where_it_belongs(crowd, books, simulator)
    assert {State.DECLINED, State.CAPTURED, State.VOIDED, State.AUTHORIZED} <= set(states)
    for told in events_of(payments_database, list(crowd.ends)).values():
        assert len(told) == len(set(told)) > 0
    for worker in workers:
        worker.close()


def test_a_gateway_that_is_killed_in_the_middle_loses_nothing_and_is_asked_again(
    simulator: Simulator, books: SpannerBooks
) -> None:
    simulator.start(delay_ms=10)
    crowd = Crowd(80, seed=2)
    service = service_at(simulator, books)
    killer = threading.Thread(target=_kill_and_restart, args=(simulator,))
    killer.start()
    for batch in crowd.batches(30):
        handle_until_done(service, batch)
    killer.join()
    assert_money_is_where_it_belongs(crowd, books, simulator)
    service.close()


def _kill_and_restart(simulator: Simulator) -> None:
    """Kill the gateway once it has charged somebody, and start it again over its book."""
    give_up = time.monotonic() + 60
    while not simulator.book() and time.monotonic() < give_up:
        time.sleep(0.01)
    simulator.kill()
    simulator.start(delay_ms=10)


def test_a_worker_that_dies_between_the_gateway_and_the_books_is_taken_up_by_the_next_delivery(
    honest: Simulator, books: SpannerBooks, payments_database: FairdropDatabase
) -> None:
    class Dies(Exception):
        pass

    class DyingBooks(SpannerBooks):
        def advance(self, wishes, answers, *more):  # type: ignore[no-untyped-def]
            if answers:
                raise Dies
            return super().advance(wishes, answers, *more)

    (order_id,) = order_ids(1)
    dying = service_at(honest, DyingBooks(payments_database))
    with pytest.raises(Dies):
        dying.handle([event("confirmed", order_id)])
    assert honest.book()[order_id]["state"] == "authorized"
    assert state(books, order_id) is State.AUTHORIZING
    survivor = service_at(honest, books)
    assert survivor.handle([event("confirmed", order_id)]) == [Done()]
    assert honest.book()[order_id]["state"] == "captured"
    assert events_of(payments_database, [order_id])[order_id] == ["payment.authorized", "payment.captured"]
    dying.close()
    survivor.close()


class AllOverdue(SpannerBooks):
    """Books to which everything open is overdue: no test waits for ten minutes."""

    def overdue(self, seconds: float, at_most: int, after: OpenPlace | None = None) -> Recorded:
        assert seconds == OVERDUE_SECONDS
        return super().overdue(0, at_most, after)


def test_a_sweep_settles_what_no_message_reminds_of_and_reports_what_stays_open(
    honest: Simulator, payments_database: FairdropDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    (order_id,) = order_ids(1)
    overdue = AllOverdue(payments_database)
    away = PaymentService(overdue, ModelGateway(fate=lambda _key: "failed"), concurrency=4, patience=QUICK)
    away.handle([event("confirmed", order_id)])
    away.sweep()
    assert "are open for more than 600 s" in caplog.text
    service = service_at(honest, overdue)
    assert service.sweep() >= 1
    assert (state(overdue, order_id), service.sweep()) == (State.CAPTURED, 0)
    away.close()
    service.close()


def test_more_payments_than_a_sweep_takes_that_wait_for_a_person_keep_no_younger_one_from_being_asked_about() -> None:
    stuck = "stuck"
    books = MemoryBooks(now=START + timedelta(days=1))
    for number in range(SWEEP_LIMIT + 1):
        opened = START + timedelta(seconds=number)
        books.payments[f"failed-{number}"] = Payment(
            terms(f"failed-{number}"), Wanted.VOID, State.VOID_FAILED, "auth", "is_captured", 1, opened
        )
    opened = START + timedelta(hours=1)
    books.payments[stuck] = Payment(terms(stuck), Wanted.AUTHORIZE, State.AUTHORIZING, None, None, 0, opened)
    service = PaymentService(books, ModelGateway(), concurrency=2, patience=QUICK)
    assert [service.sweep() for _ in range(3)] == [0, 1, 0]
    assert books.payments[stuck].state is State.AUTHORIZED
    service.close()


def test_a_stopped_worker_leaves_what_it_has_not_begun_for_redelivery(books: SpannerBooks) -> None:
    stop = threading.Event()
    stop.set()
    gateway = ModelGateway()
    service = PaymentService(books, gateway, concurrency=2, stop=stop, patience=QUICK)
    (order_id,) = order_ids(1)
    assert service.handle([event("reserved", order_id)]) == [Retry()]
    assert gateway.calls == {}
    assert state(books, order_id) is State.AUTHORIZING


def test_the_gateway_is_not_reached_at_a_closed_port(tmp_path: Path, books: SpannerBooks) -> None:
    nowhere = Simulator(tmp_path)
    service = service_at(nowhere, books, replace(QUICK, tries=1))
    (order_id,) = order_ids(1)
    assert service.handle([event("reserved", order_id)]) == [Retry()]
    service.close()
