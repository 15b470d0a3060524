"""A payment as stored, and the pure decision how it moves: what is wanted and what the gateway said go in, row and events out."""

import zlib
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from app.domain.ids import OUTBOX_SHARD_COUNT
from app.payments.gateways import Approved, Declined, Request
from app.payments.states import FOR_A_PERSON, IN_PROGRESS, TRANSITIONS, Cue, Operation, State, Verdict, Wanted, further

MAX_REASON_LENGTH = 200
NEVER_AUTHORIZED = "never_authorized"
"""Why a payment was voided of which the gateway never heard."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What is to be paid, by whom and for what. `payment_method` is None when only a release has been heard of."""

    order_id: str
    sale_id: str
    customer_id: str
    amount_minor: int
    currency: str
    payment_method: str | None

    def agrees_with(self, other: "Terms") -> bool:
        """Whether both ask for the same money."""
        return replace(self, payment_method=None) == replace(other, payment_method=None)


@dataclass(frozen=True, slots=True)
class Wish:
    """What events of the order service ask for."""

    terms: Terms
    wanted: Wanted


@dataclass(frozen=True, slots=True)
class Answer:
    """What the gateway said to an operation."""

    operation: Operation
    outcome: Approved | Declined


@dataclass(frozen=True, slots=True)
class Payment:
    """One row of Payments. `open_since` is None when nobody owes an answer, and until the commit that opens it is known."""

    terms: Terms
    wanted: Wanted
    state: State
    reference: str | None = None
    reason: str | None = None
    event_seq: int = 0
    open_since: datetime | None = None

    @property
    def operation(self) -> Operation | None:
        """What the gateway must be asked; None when the payment rests."""
        return IN_PROGRESS.get(self.state)

    @property
    def is_open(self) -> bool:
        """Whether the gateway owes an answer, or a person must look."""
        return self.state in IN_PROGRESS or self.state in FOR_A_PERSON

    @property
    def outbox_shard(self) -> int:
        """The outbox shard of all events of this payment."""
        return zlib.crc32(self.terms.order_id.encode()) % OUTBOX_SHARD_COUNT

    def request(self, now: datetime) -> Request:
        """What to tell the gateway, at database time `now`."""
        age = (now - self.open_since).total_seconds() if self.open_since else 0.0
        terms = self.terms
        return Request(
            terms.order_id, terms.amount_minor, terms.currency, terms.payment_method or "", self.reference, age
        )


@dataclass(frozen=True, slots=True)
class PaymentEvent:
    """One row of the outbox."""

    event_seq: int
    event_type: str
    payload: dict[str, Any]


def advance(
    payment: Payment | None, wish: Wish | None, answer: Answer | None
) -> tuple[Payment | None, list[PaymentEvent]]:
    """The payment with the answer recorded and the wish merged, moved on until it rests or the gateway must be asked.

    An answer to an operation that is not in progress changes nothing, and neither does a wish on other terms. Idempotent: the
    same again returns the payment as it is.
    """
    events: list[PaymentEvent] = []
    if payment is not None and answer is not None and payment.operation is answer.operation:
        payment = _answered(payment, answer.outcome, events)
    if payment is None and wish is not None:
        payment = _opened(wish, events)
    elif payment is not None and wish is not None and payment.terms.agrees_with(wish.terms):
        payment = replace(payment, wanted=further(payment.wanted, wish.wanted))
    if payment is not None and (payment.state, payment.wanted) in TRANSITIONS:
        payment = _moved(payment, payment.wanted, events)
    return payment, events


def _opened(wish: Wish, events: list[PaymentEvent]) -> Payment:
    first = TRANSITIONS[None, wish.wanted]
    reason = NEVER_AUTHORIZED if first.state is State.VOIDED else None
    payment = Payment(wish.terms, wish.wanted, first.state, reason=reason)
    return _told(payment, first.event, events)


def _answered(payment: Payment, outcome: Approved | Declined, events: list[PaymentEvent]) -> Payment:
    if isinstance(outcome, Approved):
        return _moved(replace(payment, reference=outcome.reference), Verdict.APPROVED, events)
    return _moved(replace(payment, reason=outcome.reason[:MAX_REASON_LENGTH]), Verdict.DECLINED, events)


def _moved(payment: Payment, cue: Cue, events: list[PaymentEvent]) -> Payment:
    outcome = TRANSITIONS[payment.state, cue]
    return _told(replace(payment, state=outcome.state, open_since=None), outcome.event, events)


def _told(payment: Payment, event: str | None, events: list[PaymentEvent]) -> Payment:
    """The payment, with its event written down."""
    if event is None:
        return payment
    payment = replace(payment, event_seq=payment.event_seq + 1)
    events.append(PaymentEvent(payment.event_seq, event, _payload(payment)))
    return payment


def _payload(payment: Payment) -> dict[str, Any]:
    """What an event of a payment tells its consumers; `refunded_minor` only when money was given back."""
    terms = payment.terms
    body = {
        "order_id": terms.order_id,
        "sale_id": terms.sale_id,
        "customer_id": terms.customer_id,
        "amount_minor": terms.amount_minor,
        "currency": terms.currency,
        "reason": payment.reason,
    }
    return {**body, "refunded_minor": terms.amount_minor} if payment.state is State.REFUNDED else body
