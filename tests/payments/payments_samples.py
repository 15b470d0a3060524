"""What the payment tests share: terms, events as they are delivered, a gateway and books in memory, a simulator's process."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from app.messaging.events import Event
from app.payments.asking import Patience
from app.payments.gateways import Approved, Declined, Outcome, Request, Unknown
from app.payments.payment import Answer, Payment, PaymentEvent, Terms, Wish, advance
from app.payments.store import OpenPlace, Recorded
from app.tracing.spans import NOT_TRACED

QUICK = Patience(tries=3, first_wait_seconds=0.001, longest_wait_seconds=0.01, budget_seconds=30.0)
START = datetime(2026, 11, 27, 12, tzinfo=UTC)


def terms(order_id: str = "order-1", **changes: Any) -> Terms:
    """What an order costs."""
    facts: dict[str, Any] = {
        "order_id": order_id,
        "sale_id": "iphone",
        "customer_id": f"customer-of-{order_id}"[:40],
        "amount_minor": 49_900,
        "currency": "EUR",
        "payment_method": "tok_visa",
    }
    return Terms(**{**facts, **changes})


def event(kind: str, order_id: str = "order-1", **changes: Any) -> Event:
    """An order event as the consumer hands it over; `kind` is `reserved`, `confirmed`, `released` or another."""
    known = terms(order_id)
    data = {
        "order_id": order_id,
        "sale_id": known.sale_id,
        "customer_id": known.customer_id,
        "status": "PENDING",
        "units": 1,
        "amount_minor": known.amount_minor,
        "currency": known.currency,
        "payment_method": known.payment_method,
        **changes,
    }
    return Event(type=f"order.{kind}", order_id=order_id, id=f"{order_id}:1", time=START, data=data)


@dataclass
class Account:
    """What the gateway in memory holds of one order."""

    authorizations: int = 0
    set_aside_minor: int = 0
    captured_minor: int = 0
    refunded_minor: int = 0
    captures: int = 0


Fate = Callable[[str], str]
"""Of a call, by its key: `answered`, `lost` (done, and no answer) or `failed` (not done)."""


@dataclass
class ModelGateway:
    """A gateway in memory, idempotent by key. Cards of `bad_cards` are declined, captures of `bad_captures` too."""

    fate: Fate = lambda _key: "answered"
    bad_cards: frozenset[str] = frozenset()
    bad_captures: frozenset[str] = frozenset()
    accounts: dict[str, Account] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    requests: list[Request] = field(default_factory=list)
    _outcomes: dict[str, Approved | Declined] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def authorize(self, request: Request, key: str) -> Outcome:
        return self._once(request, key, self._authorize)

    def capture(self, request: Request, key: str) -> Outcome:
        return self._once(request, key, self._capture)

    def void(self, request: Request, key: str) -> Outcome:
        return self._once(request, key, self._void)

    def refund(self, request: Request, key: str) -> Outcome:
        return self._once(request, key, self._refund)

    def _once(self, request: Request, key: str, operate: Callable[[Request, Account], Approved | Declined]) -> Outcome:
        with self._lock:
            self.calls[key] += 1
            self.requests.append(request)
            kind = self.fate(key)
            if kind == "failed":
                return Unknown("failed")
            if key not in self._outcomes:
                account = self.accounts.setdefault(request.order_id, Account())
                self._outcomes[key] = operate(request, account)
            return Unknown("lost") if kind == "lost" else self._outcomes[key]

    def _authorize(self, request: Request, account: Account) -> Approved | Declined:
        if request.order_id in self.bad_cards:
            return Declined("card_declined")
        account.authorizations += 1
        account.set_aside_minor += request.amount_minor
        return Approved(f"auth-{request.order_id}")

    def _capture(self, request: Request, account: Account) -> Approved | Declined:
        assert request.reference == f"auth-{request.order_id}"
        assert account.set_aside_minor == request.amount_minor
        if request.order_id in self.bad_captures:
            return Declined("authorization_expired")
        account.captures += 1
        account.set_aside_minor = 0
        account.captured_minor += request.amount_minor
        return Approved(request.reference)

    def _void(self, request: Request, account: Account) -> Approved | Declined:
        assert request.reference == f"auth-{request.order_id}"
        if account.captured_minor:
            return Declined("is_captured")
        account.set_aside_minor = 0
        return Approved(request.reference)

    def _refund(self, request: Request, account: Account) -> Approved | Declined:
        assert request.reference == f"auth-{request.order_id}"
        assert account.captured_minor - account.refunded_minor == request.amount_minor
        account.refunded_minor += request.amount_minor
        return Approved(request.reference)


@dataclass
class MemoryBooks:
    """Payments in memory, moved by the same decision as Spanner's; `before` and `after` a commit a test may raise."""

    payments: dict[str, Payment] = field(default_factory=dict)
    events: dict[str, list[PaymentEvent]] = field(default_factory=dict)
    before: Callable[[], None] = lambda: None
    after: Callable[[], None] = lambda: None
    now: datetime = START
    traceparents: dict[str, str] = field(default_factory=dict)

    def advance(
        self, wishes: Mapping[str, Wish], answers: Mapping[str, Answer], traceparents: Mapping[str, str] = NOT_TRACED
    ) -> Recorded:
        self.before()
        self.traceparents.update(traceparents)
        self.now += timedelta(seconds=1)
        touched = {*wishes, *answers}
        for order_id in touched:
            moved, events = advance(self.payments.get(order_id), wishes.get(order_id), answers.get(order_id))
            if moved is not None:
                self.payments[order_id] = moved
                self.events.setdefault(order_id, []).extend(events)
        self.after()
        return self.find(touched)

    def find(self, order_ids: Iterable[str]) -> Recorded:
        return Recorded({o: self.payments[o] for o in order_ids if o in self.payments}, self.now)

    def overdue(self, seconds: float, at_most: int, after: OpenPlace | None = None) -> Recorded:
        before = self.now - timedelta(seconds=seconds)
        places = [(p.open_since, o) for o, p in self.payments.items() if p.open_since and p.open_since < before]
        found = sorted(place for place in places if after is None or place > after)
        return self.find(order_id for _, order_id in found[:at_most])
