"""A priced sale in two real databases and a simulator's book: what the workers do, done by hand, one after the other."""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from google.cloud.spanner_v1 import KeySet
from google.cloud.spanner_v1.transaction import Transaction
from sale_samples import put_up

from app.domain.ids import order_id
from app.domain.sale import Sale
from app.domain.settlement import OrderKey, Settlement
from app.domain.states import Trigger
from app.messaging.events import Event
from app.payments.gateways.simulator import SimulatorGateway
from app.payments.service import PaymentService
from app.payments.store import SpannerBooks
from app.services import sales
from app.services.audit.money import MoneySources
from app.services.audit.report import AuditReport, audit
from app.services.leases import LeaseKeeper
from app.services.payment_events import PaymentEvents
from app.services.placement import Placement
from app.services.relay import SLOTS, Relay, order_event_id, payment_event_id
from app.services.settlement import settle
from app.settings import Settings
from app.storage import schema
from app.storage.clock import DatabaseClock
from app.storage.database import FairdropDatabase, connect, transact
from tests.gateway_simulator.simulator_process import Simulator

CUSTOMERS = {"anna": "tok_visa", "ben": "tok_visa", "cleo": "tok_declined", "dora": "tok_visa", "emil": "tok_visa"}


@contextmanager
def with_payments(settings: Settings) -> Iterator[Settings]:
    """Settings with a payments database of their own, dropped afterwards."""
    own = settings.model_copy(update={"payments_database": f"payments-{uuid.uuid4().hex[:12]}"})
    schema.apply(own, database_id=own.payments_database, folder=schema.SCHEMA_ROOT / "payments")
    yield own
    connect(own, own.payments_database).drop()


@dataclass
class Inbox:
    """What was published and is not handled yet."""

    events: list[Event] = field(default_factory=list)

    def publish(self, events: Sequence[Event]) -> None:
        self.events.extend(events)

    def take(self) -> list[Event]:
        taken, self.events = self.events, []
        return taken


class Paid:
    """Three units at 100 cents: anna has paid, ben cancelled when authorized, cleo's card was declined, dora got ben's unit and is
    authorized, emil has cleo's and has paid.
    """

    def __init__(self, settings: Settings, simulator: Simulator) -> None:
        self.settings, self.simulator = settings, simulator
        self.orders = connect(settings)
        self.payments = connect(settings, settings.payments_database)
        self.clock = DatabaseClock()
        self.sale: Sale = put_up(
            self.orders, stock=3, shard_count=2, waitlist_limit=5, unit_price_minor=100, limit_per_customer=1
        )
        gateway = SimulatorGateway(simulator.url, 5.0, connections=4)
        self._service = PaymentService(SpannerBooks(self.payments), gateway, concurrency=4)
        self._settlement = PaymentEvents(self.orders, self.clock, "test")
        self._heard, self._answered = Inbox(), Inbox()
        self._leases: list[LeaseKeeper] = []
        self._relays = (
            self._relay(self.orders, self._heard, order_event_id),
            self._relay(self.payments, self._answered, payment_event_id),
        )
        counter = Placement(connect(settings), settings)
        for customer, method in CUSTOMERS.items():
            counter.place(customer, self.sale.sale_id, 1, "key", method, datetime.now(UTC))
        self.deliver()
        self.trigger("ben", Trigger.CANCEL)
        self.deliver()
        self.trigger("anna", Trigger.CONFIRM)
        self.trigger("emil", Trigger.CONFIRM)
        self.deliver()

    def finish(self) -> None:
        """Dora pays, too."""
        self.trigger("dora", Trigger.CONFIRM)
        self.deliver()

    def deliver(self) -> None:
        """Relay and handle until nobody has anything left to say."""
        while self._relay_all():
            if heard := self._heard.take():
                self._service.handle(heard)
            if answered := self._answered.take():
                self._settlement.handle(answered)
        # Another world over the same databases relays next.
        for leases in self._leases:
            leases.give_up()
            leases.lost()

    def _relay_all(self) -> int:
        return sum([relay.step() for relay in self._relays])

    def close(self) -> None:
        """End the service's threads, and empty what the databases have in common for all sales."""
        self._service.close()

        def clear(transaction: Transaction) -> None:
            for table in ("Outbox", "OutboxCursors", "Leases"):
                transaction.delete(table, KeySet(all_=True))

        transact(self.orders, "clear", clear)
        transact(self.payments, "clear", clear)

    def trigger(self, customer: str, trigger: Trigger) -> None:
        key = OrderKey(customer, self.sale.sale_id, self.order_id(customer))
        settle(self.orders, self.clock, [Settlement(key, trigger, "test")], "test")

    def order_id(self, customer: str) -> str:
        return order_id(self.sale.sale_id, customer, "key")

    def name(self, customer: str) -> str:
        return f"order {self.order_id(customer)} of customer {customer}"

    def pay(self, customer: str, **values: Any) -> None:
        """Write columns of a payment, as the service never would."""
        row = {"OrderId": self.order_id(customer), **values}
        with self.payments.batch() as batch:
            batch.update("Payments", tuple(row), [tuple(row.values())])

    def order(self, customer: str, **values: Any) -> None:
        """Write columns of an order, as the service never would."""
        row = {"CustomerId": customer, "SaleId": self.sale.sale_id, "OrderId": self.order_id(customer), **values}
        with self.orders.batch() as batch:
            batch.update("Orders", tuple(row), [tuple(row.values())])

    def charge(self, order_id: str, key: str, *, capture: bool, amount_minor: int = 100) -> str:
        """Charge somebody, behind the payment service's back; returns the authorization."""
        money = {"amount_minor": amount_minor, "currency": "EUR"}
        body = {**money, "order_id": order_id, "payment_method": "tok_visa"}
        _, answer = self.simulator.post("/authorizations", body, key)
        name = str(answer["authorization_id"])
        if capture:
            self.simulator.post(f"/authorizations/{name}/capture", money, f"{key}-capture")
        return name

    @property
    def sources(self) -> MoneySources:
        return MoneySources(self.payments, self.simulator.url)

    def audit(self, **demands: Any) -> AuditReport:
        return audit(self.orders, self.sale.sale_id, money=self.sources, **demands)

    def broken(self, **demands: Any) -> dict[str, list[str]]:
        return {f.name: [f"{v.row}: {v.says}" for v in f.violations] for f in self.audit(**demands).broken}

    def close_sale(self) -> None:
        sales.close(self.orders, self.sale.sale_id, "seller")

    def _relay(self, database: FairdropDatabase, inbox: Inbox, event_id: Any) -> Relay:
        leases = LeaseKeeper(database, self.clock, "relay", SLOTS, 60.0)
        self._leases.append(leases)
        return Relay(database, self.clock, leases, inbox, event_id)
