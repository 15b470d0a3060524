"""Payments in Spanner: the one transaction that moves a batch of them, and the reads."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

import orjson
from google.cloud.spanner_v1 import KeyRange, KeySet
from google.cloud.spanner_v1.transaction import Transaction

from app.domain.ids import OUTBOX_SHARD_COUNT
from app.payments.payment import Answer, Payment, PaymentEvent, Terms, Wish, advance
from app.payments.states import State, Wanted
from app.storage.database import FairdropDatabase, read_timestamp, snapshot, transact
from app.storage.outbox import append_outbox
from app.storage.rows import COMMIT_TIMESTAMP, NULL, Value, insert, moment, number, text, update
from app.tracing.spans import NOT_TRACED

_TERMS = ("OrderId", "SaleId", "CustomerId", "AmountMinor", "Currency", "PaymentMethod")
_MOVING = ("Wanted", "State", "GatewayReference", "Reason", "EventSeq", "OpenSince")
_READ = (*_TERMS, *_MOVING)
"""In the order of the fields of Terms and Payment."""

_INSERT = (*_READ, "UpdatedAt", "OutboxShard", "CreatedAt")
_UPDATE = ("OrderId", *_MOVING, "UpdatedAt")

NO_LIMIT = 0
"""Of a read, as the client library has it."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """Payments by order id, as the database has them at the timestamp `at`."""

    payments: Mapping[str, Payment]
    at: datetime


OpenPlace = tuple[datetime, str]
"""Of a payment among the open ones: since when it is open, and its order's id."""


class Books(Protocol):
    """Where payments are kept."""

    def advance(
        self,
        wishes: Mapping[str, Wish],
        answers: Mapping[str, Answer],
        traceparents: Mapping[str, str] = NOT_TRACED,
    ) -> Recorded:
        """Merge wishes, record answers and write the next intents, all of it or nothing; by order id. `traceparents` name the spans
        that the events of traced orders continue.
        """

    def find(self, order_ids: Iterable[str]) -> Recorded:
        """Those of these payments that there are."""

    def overdue(self, seconds: float, at_most: int, after: OpenPlace | None = None) -> Recorded:
        """Payments that have been open for longer than that by the books' clock, the longest first; only those after a place, if
        one is given.
        """


class SpannerBooks:
    """The payment service's database. Raises StorageUnavailable; after OutcomeUnknown the same again is safe."""

    def __init__(self, database: FairdropDatabase) -> None:
        """Keep the handle; no call is made yet."""
        self._database = database

    def advance(
        self,
        wishes: Mapping[str, Wish],
        answers: Mapping[str, Answer],
        traceparents: Mapping[str, str] = NOT_TRACED,
    ) -> Recorded:
        """One read and one commit, whatever the size of the batch; no commit when nothing changes."""
        payments, at = transact(self._database, "payments-advance", advance_payments, wishes, answers, traceparents)
        opened = {key: replace(p, open_since=at) for key, p in payments.items() if p.is_open and p.open_since is None}
        return Recorded({**payments, **opened}, at)

    def find(self, order_ids: Iterable[str]) -> Recorded:
        """One strong read, without locks."""
        with snapshot(self._database) as reads:
            rows = reads.read("Payments", _READ, KeySet(keys=[[order_id] for order_id in order_ids]))
            payments = [_payment(row) for row in rows]
            return Recorded({p.terms.order_id: p for p in payments}, read_timestamp(rows))

    def overdue(self, seconds: float, at_most: int, after: OpenPlace | None = None) -> Recorded:
        """Three short reads at one timestamp, without locks: of the time, of the index, of the rows."""
        with snapshot(self._database) as reads:
            nothing = reads.read("Payments", ("OrderId",), KeySet(keys=[[""]]))
            list(nothing)
            now = read_timestamp(nothing)
            found = open_payments(reads, now - timedelta(seconds=seconds), at_most, after)
            return Recorded({p.terms.order_id: p for p in found}, now)


def advance_payments(
    transaction: Transaction,
    wishes: Mapping[str, Wish],
    answers: Mapping[str, Answer],
    traceparents: Mapping[str, str] = NOT_TRACED,
) -> dict[str, Payment]:
    """Move payments by wishes and answers and write their events. Rerunnable; runs in a read-write transaction."""
    order_ids = {*wishes, *answers}
    stored = {p.terms.order_id: p for p in _read(transaction, order_ids)}
    after: dict[str, Payment] = {}
    outbox: list[tuple[Payment, PaymentEvent]] = []
    for order_id in sorted(order_ids):
        payment, events = advance(stored.get(order_id), wishes.get(order_id), answers.get(order_id))
        if payment is not None:
            after[order_id] = payment
            outbox += ((payment, event) for event in events)
    new = [p for order_id, p in after.items() if order_id not in stored]
    changed = [p for order_id, p in after.items() if order_id in stored and p != stored[order_id]]
    if new:
        insert(transaction, "Payments", _INSERT, map(_insert_row, new))
    if changed:
        update(transaction, "Payments", _UPDATE, map(_update_row, changed))
    if outbox:
        rows = ((_outbox_row(p, event), traceparents.get(p.terms.order_id)) for p, event in outbox)
        append_outbox(transaction, rows)
    return after


def open_payments(reads: Any, before: datetime, at_most: int, after: OpenPlace | None = None) -> list[Payment]:
    """Up to `at_most` payments that have been open since before then, those open the longest, `after` a place among them: the
    gateway owes an answer, or a person must look.

    There should be none that is older than a message's redelivery. Two short reads; when there are more than `at_most`, one more of
    so many index rows each outbox shard, for the index is by shard first. With `after` one more, of what one commit opened.
    """
    shards = range(OUTBOX_SHARD_COUNT)
    level: list[OpenPlace] = []
    ranges = [KeyRange(start_closed=[shard], end_open=[shard, before]) for shard in shards]
    if after is not None:
        since, _ = after
        together = [KeyRange(start_closed=[shard, since], end_closed=[shard, since]) for shard in shards]
        level = [place for place in _open_since(reads, together, NO_LIMIT) if place > after]
        ranges = [KeyRange(start_open=[shard, since], end_open=[shard, before]) for shard in shards]
    found = _open_since(reads, ranges, at_most)
    if len(found) == at_most:
        found = [each for one in ranges for each in _open_since(reads, [one], at_most)]
    longest = [order_id for _, order_id in sorted(level + found)[:at_most]]
    place = {order_id: number for number, order_id in enumerate(longest)}
    return sorted(_read(reads, longest), key=lambda payment: place[payment.terms.order_id])


def _open_since(reads: Any, ranges: Sequence[KeyRange], at_most: int) -> list[OpenPlace]:
    columns = ("OpenSince", "OrderId")
    rows = reads.read("Payments", columns, KeySet(ranges=ranges), index="PaymentsByOpenSince", limit=at_most)
    return [(since, order_id) for since, order_id in rows]


def _read(reads: Any, order_ids: Iterable[str]) -> list[Payment]:
    keys = [[order_id] for order_id in order_ids]
    return [_payment(row) for row in reads.read("Payments", _READ, KeySet(keys=keys))] if keys else []


def _payment(row: Sequence[Any]) -> Payment:
    wanted, state, *rest = row[len(_TERMS) :]
    return Payment(Terms(*row[: len(_TERMS)]), Wanted(wanted), State(state), *rest)


def _insert_row(payment: Payment) -> tuple[Value, ...]:
    terms = payment.terms
    return (
        text(terms.order_id),
        text(terms.sale_id),
        text(terms.customer_id),
        number(terms.amount_minor),
        text(terms.currency),
        text(terms.payment_method),
        *_moving(payment),
        COMMIT_TIMESTAMP,
        number(payment.outbox_shard),
        COMMIT_TIMESTAMP,
    )


def _update_row(payment: Payment) -> tuple[Value, ...]:
    return (text(payment.terms.order_id), *_moving(payment), COMMIT_TIMESTAMP)


def _moving(payment: Payment) -> tuple[Value, ...]:
    opened = COMMIT_TIMESTAMP if payment.open_since is None else moment(payment.open_since)
    return (
        text(payment.wanted.value),
        text(payment.state.value),
        text(payment.reference),
        text(payment.reason),
        number(payment.event_seq),
        opened if payment.is_open else NULL,
    )


def _outbox_row(payment: Payment, event: PaymentEvent) -> tuple[Value, ...]:
    return (
        number(payment.outbox_shard),
        COMMIT_TIMESTAMP,
        text(payment.terms.order_id),
        number(event.event_seq),
        text(event.event_type),
        text(orjson.dumps(event.payload).decode()),
    )
