"""Invariant 7, of orders and payments: money follows units. Who has the units has paid for them, and nobody else has paid."""

from collections import Counter
from collections.abc import Iterator

from app.domain.audit.accounts import GONE, Account, Patience, Standing, Standings, StoredPayment, money
from app.domain.audit.findings import Violation, at
from app.domain.audit.rows import StoredOrder
from app.domain.states import Status

LIVE_UNPAID = (Status.PENDING, Status.AUTHORIZED)
"""Orders that hold units while their payment is under way."""

NEVER_PAID = (Status.WAITLISTED, Status.LAPSED)
"""Orders that never held units."""


class PaymentJudge:
    """Judges a sale's accounts, and adds up on the way. `in_flight` counts what is excused as under way, by what it is."""

    def __init__(self, standings: Standings, patience: Patience) -> None:
        """Nothing is added up yet."""
        self._standings = standings
        self._patience = patience
        self.in_flight: Counter[str] = Counter()
        self.placed_minor = 0
        self.captured_minor = 0

    def breaks(self, account: Account) -> Iterator[Violation]:
        """What is wrong between an order and its payment."""
        for says in self._says(account):
            yield Violation(account.name, says)

    def _says(self, account: Account) -> Iterator[str]:
        order, payment = account.order, account.payment
        standing = self._standings.get(payment.state) if payment is not None else None
        if order is not None and account.is_placed:
            self.placed_minor += account.due_minor
        if payment is not None:
            self.captured_minor += payment.amount_minor if standing is Standing.TAKEN else 0
            if standing is None:
                yield f"its payment is in the state {payment.state!r}, which there is not"
                return
            yield from self._terms_break(account, payment)
        if order is None:
            if payment is not None:
                yield from self._orderless(payment)
            return
        found = list(self._by_status(account, order, payment, standing))
        yield from found
        if payment is not None and not found:
            yield from self._open_too_long(payment, standing)

    def _terms_break(self, account: Account, payment: StoredPayment) -> Iterator[str]:
        """An order of price 0 has no payment at all; any other's is of just what it costs."""
        order = account.order
        if order is None:
            return
        if account.due_minor == 0:
            yield f"costs nothing, and has a payment of {money(payment.amount_minor, payment.currency)}"
        elif (payment.amount_minor, payment.currency) != (account.due_minor, order.currency):
            yield (
                f"costs {money(account.due_minor, order.currency)}, "
                f"its payment is of {money(payment.amount_minor, payment.currency)}"
            )
        if payment.customer_id != order.customer_id:
            yield f"its payment is customer {payment.customer_id}'s"

    def _orderless(self, payment: StoredPayment) -> Iterator[str]:
        if self._patience.is_new(payment.created_at):
            self.in_flight["payments of orders placed since"] += 1
        else:
            yield f"is {payment.state} since {at(payment.created_at)}, and there is no such order in this sale"

    def _by_status(
        self, account: Account, order: StoredOrder, payment: StoredPayment | None, standing: Standing | None
    ) -> Iterator[str]:
        state = payment.state if payment is not None else None
        if order.status == Status.PLACED:
            if account.due_minor and standing is not Standing.TAKEN:
                yield f"is PLACED, and {_payment_is(state)}"
        elif order.status in LIVE_UNPAID:
            yield from self._unpaid(account, order, state, standing)
        elif payment is not None and order.status in NEVER_PAID:
            yield from self._never_paid(order, payment)
        elif standing is Standing.STUCK:
            yield f"is {order.status}, and its payment is {state}: a person must see that the money goes back"
        elif standing is not None and standing not in GONE:
            since = account.changed_at or order.placed_at
            if self._patience.allows(since):
                self.in_flight["payments to be given back"] += 1
            else:
                yield f"is {order.status} since {at(since)}, and its payment is {state}"

    def _unpaid(
        self, account: Account, order: StoredOrder, state: str | None, standing: Standing | None
    ) -> Iterator[str]:
        self.in_flight[f"{order.status} orders"] += 1
        if order.due_at is not None and self._patience.is_forgotten(order.due_at):
            yield f"is {order.status}, and forgotten: it was due at {at(order.due_at)}"
        never_authorized = standing in (None, Standing.ASKED, Standing.REFUSED)
        if order.status == Status.AUTHORIZED and account.due_minor and never_authorized:
            yield f"is AUTHORIZED, and {_payment_is(state)}"

    def _never_paid(self, order: StoredOrder, payment: StoredPayment) -> Iterator[str]:
        """The payments were read later: an order that then waited may have been promoted meanwhile. A lapsed one cannot."""
        if order.status == Status.WAITLISTED and self._patience.is_new(payment.created_at):
            self.in_flight["payments of orders promoted since"] += 1
        else:
            yield f"is {order.status} and never held units, and its payment is {payment.state}"

    def _open_too_long(self, payment: StoredPayment, standing: Standing | None) -> Iterator[str]:
        """Whether the gateway has owed an answer for too long. A state that rests is not open."""
        if payment.open_since is None:
            if standing in (Standing.ASKED, Standing.MOVING):
                yield f"its payment is {payment.state}, and not among the open ones: no sweep would find it"
            return
        if self._patience.allows(payment.open_since):
            self.in_flight["payments the gateway owes an answer to"] += 1
        else:
            yield f"its payment is {payment.state} since {at(payment.open_since)}"


def _payment_is(state: str | None) -> str:
    return "has no payment" if state is None else f"its payment is {state}"
