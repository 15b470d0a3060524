"""Handling order events: intents first, in one transaction a batch; then the gateway; then what it said, in one transaction."""

import logging
import threading
from collections.abc import Iterable, Mapping, Sequence

from app.messaging.consumer import Done, Poison, Retry
from app.messaging.events import Event
from app.payments.asking import Asker, Patience
from app.payments.gateways import Gateway, Unknown
from app.payments.order_events import OrderEventRefused, wish_of
from app.payments.payment import Answer, Payment, Wish
from app.payments.states import FOR_A_PERSON, IN_PROGRESS, further
from app.payments.store import Books, OpenPlace, Recorded
from app.tracing.spans import NO_TRACES, NOT_TRACED, Traces

log = logging.getLogger(__name__)

MAX_ROUNDS = len(IN_PROGRESS) + 1
"""A payment passes through each operation at most once, so a batch rests after so many rounds."""

OVERDUE_SECONDS = 600
"""An answer that is owed for so long is not on its way: a message would have been delivered ten times by then."""

SWEEP_LIMIT = 500
"""Of one sweep; when there are more, the next goes on after them. What waits for a person may be as many, and never rests."""

TERMS_DIFFER = "the order's terms are not those it had in an earlier event"


class PaymentService:
    """One process's payments. Thread-safe; any number of processes may handle the same order at once."""

    def __init__(
        self,
        books: Books,
        gateway: Gateway,
        *,
        concurrency: int,
        stop: threading.Event | None = None,
        patience: Patience | None = None,
        traces: Traces = NO_TRACES,
    ) -> None:
        """No call is made yet. Once `stop` is set, what is in flight is finished and the rest is left for redelivery."""
        self._books = books
        self._asker = Asker(gateway, concurrency, patience or Patience(), stop or threading.Event(), traces)
        self._sweep_after: OpenPlace | None = None

    def close(self) -> None:
        """Wait for the calls in flight."""
        self._asker.close()

    def handle(self, batch: Sequence[Event]) -> list[Done | Retry | Poison]:
        """A verdict for each event, in order. Done: what it asked for is done, durably, or was overtaken.

        Retry: the gateway still owes an answer. Poison: it can never be handled. Raises StorageUnavailable: then nothing may
        be acknowledged, and the same batch again is safe.
        """
        wishes: dict[str, Wish] = {}
        verdicts: dict[int, Done | Retry | Poison] = {}
        asked: dict[int, Wish] = {}
        traceparents = {event.order_id: event.traceparent for event in batch if event.traceparent is not None}
        for place, event in enumerate(batch):
            try:
                wish = wish_of(event.type, event.order_id, event.data)
            except OrderEventRefused as refusal:
                verdicts[place] = Poison(str(refusal))
                continue
            if wish is None:
                verdicts[place] = Done()
            elif _merge(wishes, wish):
                asked[place] = wish
            else:
                verdicts[place] = Poison(TERMS_DIFFER)
        payments: Mapping[str, Payment] = {}
        if wishes:
            payments = self._settle(self._books.advance(wishes, {}, traceparents), traceparents)
        verdicts.update({place: _verdict(payments[w.terms.order_id], w) for place, w in asked.items()})
        return [verdicts[place] for place in range(len(batch))]

    def resume(self, order_ids: Iterable[str]) -> bool:
        """Ask again about what is in progress of these payments; whether they all rest now. Raises StorageUnavailable.

        For a hint from elsewhere (a webhook, a person) that the gateway has news. An order without a payment rests.
        """
        wanted = set(order_ids)
        payments = self._settle(self._books.find(wanted)) if wanted else {}
        return all(payment.operation is None for payment in payments.values())

    def sweep(self) -> int:
        """Ask again about payments of which no message may be left to remind us, and log what is left; how many rest now.

        Those open the longest come first; when there are more than SWEEP_LIMIT, the next sweep goes on after them. There should be
        none: a message is acknowledged when its payment rests. Raises StorageUnavailable. For one thread at a time.
        """
        overdue = self._books.overdue(OVERDUE_SECONDS, SWEEP_LIMIT, self._sweep_after)
        self._sweep_after = _last_place(overdue.payments)
        if not overdue.payments:
            return 0
        payments = self._settle(overdue)
        open_still = [p for p in payments.values() if p.is_open]
        if open_still:
            log.error(
                "%d payments are open for more than %d s, such as order %s in %s",
                len(open_still),
                OVERDUE_SECONDS,
                open_still[0].terms.order_id,
                open_still[0].state,
            )
        return len(payments) - len(open_still)

    def _settle(self, recorded: Recorded, traceparents: Mapping[str, str] = NOT_TRACED) -> Mapping[str, Payment]:
        """Drive payments until each rests or its gateway does not answer."""
        deadline = self._asker.deadline()
        payments = dict(recorded.payments)
        unanswered: set[str] = set()
        for _ in range(MAX_ROUNDS):
            due = [p for key, p in payments.items() if p.operation is not None and key not in unanswered]
            if not due:
                break
            answers: dict[str, Answer] = {}
            said = self._asker.ask(due, recorded.at, deadline, traceparents)
            for order_id, (operation, outcome) in said.items():
                if isinstance(outcome, Unknown):
                    unanswered.add(order_id)
                    log.warning("payment of order %s: %s stays unknown: %s", order_id, operation, outcome.detail)
                else:
                    answers[order_id] = Answer(operation, outcome)
            if answers:
                recorded = self._books.advance({}, answers, traceparents)
                payments.update(recorded.payments)
        for payment in payments.values():
            if payment.state in FOR_A_PERSON:
                log.error("payment of order %s is %s: %s", payment.terms.order_id, payment.state, payment.reason)
        return payments


def _merge(wishes: dict[str, Wish], wish: Wish) -> bool:
    """Merge a wish into those of its batch; False when an earlier one of the order has other terms."""
    order_id = wish.terms.order_id
    earlier = wishes.get(order_id)
    if earlier is None:
        wishes[order_id] = wish
        return True
    if not earlier.terms.agrees_with(wish.terms):
        return False
    terms = earlier.terms if earlier.terms.payment_method is not None else wish.terms
    wishes[order_id] = Wish(terms, further(earlier.wanted, wish.wanted))
    return True


def _last_place(payments: Mapping[str, Payment]) -> OpenPlace | None:
    """Where a sweep of so many ended, when there may be more behind it; None when it saw the last."""
    if len(payments) < SWEEP_LIMIT:
        return None
    return max((p.open_since, order_id) for order_id, p in payments.items() if p.open_since is not None)


def _verdict(payment: Payment, wish: Wish) -> Done | Retry | Poison:
    if not payment.terms.agrees_with(wish.terms):
        return Poison(TERMS_DIFFER)
    return Done() if payment.operation is None else Retry()
