"""A sale through its public interface, beside a reference that knows nothing of shards, lanes or transactions.

Whatever is asked in whatever order: each answer, each order and the seller's page agree with the reference after every step, and
the audit is clean in the end. FAIRDROP_STATEFUL=200 plays 200 sales of up to 50 steps each in place of 10 of 30.
"""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from http_samples import CARD, Caller, Shop, problem
from hypothesis import HealthCheck
from hypothesis import settings as profile
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from reference_sale import Line
from reference_sale import Sale as Reference
from werkzeug.test import TestResponse

from app.domain.ids import order_id
from app.domain.sale import Sale
from app.messaging.consumer import Done
from app.messaging.events import Event
from app.services import deadlines as deadlines_service
from app.services import sales as sales_service
from app.services.audit.report import audit
from app.services.deadlines import SLOTS, Deadlines
from app.services.payment_events import PaymentEvents
from app.storage.clock import DatabaseClock

LONG = os.environ.get("FAIRDROP_STATEFUL", "")
EXAMPLES, STEPS = (int(LONG), 50) if LONG else (10, 30)

CUSTOMERS = ("ann", "ben", "cat", "dan")
EVENTS = ("authorized", "declined", "captured", "capture_failed", "voided")
MEMORY_SECONDS = 0.25
"""A refusal from memory, and the public page (at most a second old), may speak of what was the case a moment ago."""

PAGE_SECONDS = 1.0


class AllSlots:
    def keep(self) -> frozenset[str]:
        return frozenset(SLOTS)


class Clock:
    """Puts every database clock of this process forward."""

    forward_seconds = 0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    moved, real = Clock(), DatabaseClock.estimate.fget  # type: ignore[attr-defined]
    forward = property(lambda self: real(self) + timedelta(seconds=moved.forward_seconds))
    monkeypatch.setattr(DatabaseClock, "estimate", forward)
    monkeypatch.setattr(deadlines_service, "SALES_MAX_AGE_SECONDS", 0.0)
    read = sales_service.sale_as_of

    def read_forward(reads: Any, sale_id: str) -> Any:
        sale, as_of = read(reads, sale_id)
        return sale, as_of + timedelta(seconds=moved.forward_seconds)

    # The holds of a restock begin at the time at which the sale was read.
    monkeypatch.setattr(sales_service, "sale_as_of", read_forward)
    return moved


class SaleMachine(RuleBasedStateMachine):
    """One sale and its reference."""

    shop: Shop
    clock: Clock
    patch: pytest.MonkeyPatch

    @initialize(
        is_free=st.sampled_from((True, False, False, False)),
        stock=st.integers(0, 3),
        waitlist=st.sampled_from((0, 2, 6, 6)),
        shards=st.integers(1, 3),
    )
    def put_up(self, is_free: bool, stock: int, waitlist: int, shards: int) -> None:
        self.clock.forward_seconds = 0
        self.reference = Reference(is_free, stock, 3, waitlist, hold_seconds=600, window_seconds=1_800)
        self.sale: Sale = self.shop.put_up(
            unit_price_minor=0 if is_free else 500,
            stock=stock,
            shard_count=shards,
            waitlist_limit=waitlist,
            limit_per_customer=3,
            hold_seconds=600,
            cancel_window_seconds=1_800,
            closes_at=datetime.now(UTC) + timedelta(days=60),
        )
        self.buyers = {name: self.shop.buyer(f"{name}-{self.sale.sale_id}") for name in CUSTOMERS}
        self.history: list[tuple[float, Reference]] = []
        self.remember()

    def remember(self) -> None:
        """What was the case until now."""
        lines = [Line(**vars(line)) for line in self.reference.lines]
        copy = Reference(**{**vars(self.reference), "lines": lines, "restocks": {}})
        self.history.append((time.monotonic(), copy))

    def lately(self, asked_at: float, seconds: float) -> list[Reference]:
        """What was the case at any moment since so many seconds before."""
        since = asked_at - seconds
        ended = [then for then, _ in self.history[1:]] + [float("inf")]
        return [state for (_, state), end in zip(self.history, ended, strict=True) if end >= since]

    @property
    def path(self) -> str:
        return f"/v1/sales/{self.sale.sale_id}"

    def seller(self, method: str, path: str = "", **options: Any) -> TestResponse:
        return self.shop.seller.call(method, f"/v1/admin/sales/{self.sale.sale_id}{path}", **options)

    def id_of(self, line: Line) -> str:
        return order_id(self.sale.sale_id, f"{line.customer}-{self.sale.sale_id}", line.key)

    @precondition(lambda self: self.reference.phase != "closed")
    @rule(crowd=st.lists(st.tuples(st.sampled_from(CUSTOMERS), st.integers(1, 2)), min_size=3, max_size=6))
    def crowd(self, crowd: list[tuple[str, int]]) -> None:
        """Several who ask: without them few sales have a line to speak of."""
        for place, (customer, units) in enumerate(crowd):
            self.order(customer, f"crowd-{place}", units, CARD)

    @rule(
        customer=st.sampled_from(CUSTOMERS),
        key=st.sampled_from(("k1", "k2", "k3")),
        units=st.integers(1, 3),
        method=st.sampled_from((CARD, CARD, CARD, None)),
    )
    def place(self, customer: str, key: str, units: int, method: str | None) -> None:
        self.order(customer, key, units, method)

    def order(self, customer: str, key: str, units: int, method: str | None) -> None:
        earlier, asked_at = self.reference.find(customer, key), time.monotonic()
        fields = {} if method is None else {"payment_method": method}
        answer = self.buyers[customer].order(self.sale, key, units, **fields)
        if earlier is not None and (earlier.units, earlier.method) == (units, method):
            assert (answer.status_code, answer.headers.get("Idempotent-Replayed")) == (200, "true"), answer.text
            self.agree(earlier, answer.json)
        elif earlier is not None:
            assert problem(answer, 422, "idempotency-key-reused")["order_id"] == self.id_of(earlier)
        elif answer.status_code == 201:
            assert self.reference.refusals(customer, units, method) == set()
            self.agree(self.reference.place(customer, key, units, method), answer.json)
        else:
            name = answer.json["type"].rsplit(":", 1)[-1]
            reasons = [state.refusals(customer, units, method) for state in self.lately(asked_at, MEMORY_SECONDS)]
            assert any(name in reason for reason in reasons), (answer.json, reasons)
        self.remember()

    @precondition(lambda self: self.reference.lines)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        line = data.draw(st.sampled_from(self.reference.lines))
        answer = self.buyers[line.customer].post(f"{self.path}/orders/{self.id_of(line)}/cancel")
        refusal = self.reference.cancel(line)
        if refusal is None:
            assert answer.status_code == 200, answer.text
            self.agree(line, answer.json)
        else:
            problem(answer, 409, refusal)
        self.remember()

    @precondition(lambda self: self.reference.lines)
    @rule(data=st.data())
    def payments(self, data: st.DataObject) -> None:
        """Up to four events, in any order, some twice."""
        one = st.tuples(st.sampled_from(self.reference.lines), st.sampled_from(EVENTS))
        drawn = data.draw(st.lists(one, min_size=1, max_size=4))
        service = PaymentEvents(self.shop.database, DatabaseClock(), "settlement:1")
        assert service.handle([self.event(line, kind) for line, kind in drawn]) == [Done()] * len(drawn)
        self.reference.payments(drawn)
        self.remember()

    def event(self, line: Line, kind: str) -> Event:
        data = {
            "order_id": self.id_of(line),
            "sale_id": self.sale.sale_id,
            "customer_id": f"{line.customer}-{self.sale.sale_id}",
            "reason": None,
        }
        return Event(f"payment.{kind}", data["order_id"] or "", f"{data['order_id']}:p1", datetime.now(UTC), data)

    @rule(seconds=st.sampled_from((700, 1_400, 2_100)))
    def time_passes(self, seconds: int) -> None:
        self.clock.forward_seconds += seconds
        self.reference.now += seconds

    @rule()
    def deadlines(self) -> None:
        real = deadlines_service.sales_as_of

        def only_this(reads: Any, after: str, page_size: int) -> Any:
            page, as_of = real(reads, after, page_size)
            return [sale for sale in page if sale.sale_id == self.sale.sale_id], as_of

        with self.patch.context() as patch:
            patch.setattr(deadlines_service, "sales_as_of", only_this)
            worker = Deadlines(self.shop.database, DatabaseClock(), AllSlots(), "deadlines:1")
            while worker.step():
                pass
        self.reference.deadlines()
        self.remember()

    @rule(key=st.sampled_from(("r1", "r2")), units=st.integers(1, 3))
    def restock(self, key: str, units: int) -> None:
        answer = self.seller("POST", "/restock", key=key, json={"units": units})
        refusal = self.reference.restock(key, units)
        if refusal is None:
            assert answer.status_code == 200, answer.text
        else:
            problem(answer, 422 if refusal == "restock-key-reused" else 409, refusal)
        self.remember()

    @rule(action=st.sampled_from(("open", "open", "open", "open", "pause", "close")))
    def turn(self, action: str) -> None:
        answer = self.seller("POST", f"/{action}")
        refusal = self.reference.turn(action)
        if refusal is None:
            assert answer.status_code == 200, answer.text
        else:
            problem(answer, 409, refusal)
        self.remember()

    def agree(self, line: Line, shown: dict[str, Any]) -> None:
        told = (shown["order_id"], shown["status"], shown["units"], shown["event_seq"])
        assert told == (self.id_of(line), line.status, line.units, line.seq)
        is_open = line.status in ("PENDING", "WAITLISTED") or (line.status == "AUTHORIZED" and not line.is_confirmed)
        assert shown["cancellable"] == is_open
        assert (shown["due_at"] is not None) == (line.status == "PENDING")

    @invariant()
    def everybody_sees_what_the_reference_says(self) -> None:
        if not hasattr(self, "reference"):
            return
        self.reference.check()
        for name, buyer in self.buyers.items():
            own = {self.id_of(line): line for line in self.reference.lines if line.customer == name}
            shown = {order["order_id"]: order for order in self.own_orders(buyer)}
            assert shown.keys() == own.keys()
            for found, line in own.items():
                self.agree(line, shown[found])
        for line in self.reference.lines[-1:]:
            self.agree(line, self.buyers[line.customer].get(f"{self.path}/orders/{self.id_of(line)}").json)
        details = self.seller("GET").json
        expected = (self.reference.phase, self.reference.stock, self.reference.free, self.reference.waiting)
        assert (details["phase"], details["stock"], details["available"], details["waiting"]) == expected
        self.see_public_page()

    def own_orders(self, buyer: Caller) -> list[dict[str, Any]]:
        orders: list[dict[str, Any]] = buyer.get(f"/v1/orders?sale_id={self.sale.sale_id}").json["orders"]
        return orders

    def see_public_page(self) -> None:
        asked_at = time.monotonic()
        page = self.shop.passer_by.get(self.path).json
        told = (page["phase"], page["stock_left"] == "none", page["waitlist_open"])
        states = self.lately(asked_at, PAGE_SECONDS)
        assert told in [(s.phase, s.free == 0, s.waiting < s.waitlist_limit) for s in states]

    def teardown(self) -> None:
        if not hasattr(self, "reference"):
            return
        places = [self.place_of(line) for line in self.reference.lines]
        assert places == sorted(places)
        report = audit(self.shop.database, self.sale.sale_id)
        assert {finding.name: finding.violations for finding in report.broken} == {}

    def place_of(self, line: Line) -> tuple[str, int, int]:
        position = self.buyers[line.customer].get(f"{self.path}/orders/{self.id_of(line)}").json["position"]
        return (position["placed_at"], position["shard_id"], position["seq"])


def test_whatever_is_asked_the_service_does_what_the_reference_does(shop: Shop, clock: Clock) -> None:
    machine = type("Machine", (SaleMachine,), {"shop": shop, "clock": clock, "patch": pytest.MonkeyPatch})
    run_state_machine_as_test(
        machine,
        settings=profile(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
