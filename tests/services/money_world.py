"""A sale in memory whose orders are paid for: by the payment service's own decisions, at a gateway that is a list."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from audit_world import STEP, World

from app.domain.audit.accounts import BookEntry
from app.domain.audit.delivery import LogShard
from app.domain.audit.findings import micros
from app.domain.states import TRANSITIONS, Status, StockEffect, Trigger
from app.payments.gateways import Approved, Declined
from app.payments.order_events import WANTED_BY
from app.payments.payment import Answer, Payment, Terms, Wish, advance
from app.payments.states import Operation
from app.services.audit.evidence import Demands
from app.services.audit.money import MoneyEvidence, MoneySources
from app.services.payment_events import TRIGGERS
from app.storage.database import FairdropDatabase
from app.storage.money import Logs, Money
from app.storage.workspace import Workspace

PAYMENT = (
    "order_id",
    "sale_id",
    "customer_id",
    "amount_minor",
    "currency",
    "wanted",
    "state",
    "reference",
    "event_seq",
    "open_since",
    "created_at",
)
ENTRY = BookEntry._fields
LOG_ROW = ("log", "order_id", "event_seq", "event_type", "outbox_shard", "created_at")


def log_shards(rows: Iterable[tuple[int, int, str, int]]) -> list[LogShard]:
    """Cursors at the last of these rows, (shard, created at, order, event) each."""
    by_shard: dict[int, list[tuple[int, str, int]]] = {}
    for shard, *row in rows:
        by_shard.setdefault(shard, []).append((row[0], row[1], row[2]))
    return [LogShard(shard, *max(own), published=len(own), rows=len(own)) for shard, own in sorted(by_shard.items())]


@dataclass
class MoneyWorld(World):
    """Whatever is published is heard in its order, one event after the other, when the test says so.

    `payment_rows`, `told` and `book` are rows as an audit reads them, for a test to put in what no service would; `strays` are
    payments made since. Cursors are where all is published, less the rows kept back.
    """

    payments: dict[str, Payment] = field(default_factory=dict)
    payment_rows: dict[str, list[Any]] = field(default_factory=dict)
    told: list[list[Any]] = field(default_factory=list)
    book: list[list[Any]] = field(default_factory=list)
    strays: list[tuple[str, str]] = field(default_factory=list)
    heard: int = 0
    answered: int = 0
    unpublished: Counter[str] = field(default_factory=Counter)
    miscounted: Counter[str] = field(default_factory=Counter)
    declined: set[str] = field(default_factory=set)
    no_book: str | None = None
    is_settled: bool = False
    grace: timedelta = timedelta(minutes=15)
    payments_at: datetime | None = None

    def order_of(self, customer: str) -> list[Any]:
        return next(order for order in self.orders if order[0] == customer)

    def payment_of(self, customer: str) -> list[Any]:
        return self.payment_rows[self.order_of(customer)[1]]

    def entry_of(self, customer: str) -> list[Any]:
        name = self.order_of(customer)[1]
        return next(entry for entry in self.book if entry[1] == name)

    def hear(self) -> bool:
        """The payment service takes the next event of an order; False when there is none."""
        if self.heard == len(self.outbox):
            return False
        order_id, _, event_type, *_ = self.outbox[self.heard]
        self.heard += 1
        order = next(o for o in self.orders if o[1] == order_id)
        wanted = WANTED_BY.get(event_type)
        if wanted is not None and order[10]:
            terms = Terms(order_id, self.sale.sale_id, order[0], order[3] * order[10], order[11], "tok")
            self._advance(order_id, Wish(terms, wanted), None)
        return True

    def ask_gateway(self, customer: str) -> bool:
        """The gateway answers to what is in progress of a payment; False when nothing is."""
        order_id = self.order_of(customer)[1]
        payment = self.payments.get(order_id)
        if payment is None or payment.operation is None:
            return False
        operation = payment.operation
        if operation is Operation.AUTHORIZE:
            state = "declined" if customer in self.declined else "authorized"
            terms = payment.terms
            self.book.append([f"auth_{customer}", order_id, state, terms.amount_minor, terms.currency, 0, 0])
        else:
            entry = self.entry_of(customer)
            entry[2] = {Operation.CAPTURE: "captured", Operation.VOID: "voided", Operation.REFUND: "refunded"}[
                operation
            ]
            entry[5] = entry[3] if operation in (Operation.CAPTURE, Operation.REFUND) else 0
            entry[6] = entry[3] if operation is Operation.REFUND else 0
        is_declined = operation is Operation.AUTHORIZE and customer in self.declined
        outcome = Declined("card_declined") if is_declined else Approved(f"auth_{customer}")
        self._advance(order_id, None, Answer(operation, outcome))
        return True

    def reply(self) -> bool:
        """The order takes the next event of a payment; False when there is none."""
        if self.answered == len(self.told):
            return False
        _, order_id, _, event_type, *_ = self.told[self.answered]
        self.answered += 1
        order = next(o for o in self.orders if o[1] == order_id)
        trigger = TRIGGERS[event_type]
        step = TRANSITIONS.get((Status(order[2]), trigger)) if trigger is not None else None
        if step is not None and trigger is not None:
            self.step(order, trigger)
        return True

    def step(self, order: list[Any], trigger: Trigger) -> None:
        """One transition of an order, whatever it does to the stock."""
        step = TRANSITIONS[Status(order[2]), trigger]
        if step.stock is StockEffect.RELEASE:
            self.release(order, trigger)
        elif order[2] == Status.WAITLISTED:
            self.leave(order)
        else:
            self.now += STEP
            self._step(order, trigger)

    def drain(self) -> None:
        """Until nobody has anything left to say."""
        while True:
            answers = [self.ask_gateway(order[0]) for order in self.orders]
            if not any([*answers, self.hear(), self.reply()]):
                return

    def _advance(self, order_id: str, wish: Wish | None, answer: Answer | None) -> None:
        self.now += STEP
        payment, events = advance(self.payments.get(order_id), wish, answer)
        assert payment is not None
        if payment.is_open and payment.open_since is None:
            payment = replace(payment, open_since=self.now)
        self.payments[order_id] = payment
        created = self.payment_rows[order_id][10] if order_id in self.payment_rows else self.at
        terms = payment.terms
        self.payment_rows[order_id] = [
            order_id,
            terms.sale_id,
            terms.customer_id,
            terms.amount_minor,
            terms.currency,
            payment.wanted.value,
            payment.state.value,
            payment.reference,
            payment.event_seq,
            self.at if payment.open_since is not None else None,
            created,
        ]
        for event in events:
            row = ["payment", order_id, event.event_seq, event.event_type, payment.outbox_shard, self.at]
            self.told.append(row)

    def orders_log(self) -> list[LogShard]:
        return self._log("order", [(r[3], r[4], r[0], r[1]) for r in self.outbox])

    def money(self, workspace: Workspace) -> tuple[Logs, MoneyEvidence | None, Demands]:
        payments_log = self._log("payment", [(r[4], r[5], r[1], r[2]) for r in self.told])
        logs = Logs(workspace, self.orders_log())
        money = Money(workspace, self.payment_rows.values())
        logs.add_cursors("payment", payments_log)
        logs.add_rows(self.told)
        money.add_book(BookEntry(*entry) for entry in self.book)
        money.add_strays(self.strays)
        at = micros(self.payments_at or self.now + timedelta(seconds=1))
        evidence = MoneyEvidence(money, at, payments_log, micros(self.created_at), self.no_book)
        return logs, evidence, Demands(MoneySources(_nowhere()), self.is_settled, self.grace)

    def _log(self, log: str, rows: list[tuple[int, int, str, int]]) -> list[LogShard]:
        """The cursors of a log whose newest rows are kept back, so many as the test says; it may count wrong, too."""
        rows = sorted(rows, key=lambda row: row[1:])
        shards = log_shards(rows[: len(rows) - self.unpublished[log]])
        return [shard._replace(published=shard.published + self.miscounted[log]) for shard in shards]


def _nowhere() -> FairdropDatabase:
    """A handle that no test of rows in memory calls."""
    return object.__new__(FairdropDatabase)
