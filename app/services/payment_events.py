"""What the payment service's events do to orders. A batch in, a verdict each out; everything in between is idempotent."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.domain.errors import FairdropError, OrderNotFound, TransitionRefused
from app.domain.settlement import OrderKey, Outcome, Refused, Settlement
from app.domain.states import Trigger
from app.messaging.consumer import Done, Poison, Retry, Verdict
from app.messaging.events import Event
from app.services.settlement import Unsettled, settle
from app.storage.clock import DatabaseClock
from app.storage.database import FairdropDatabase

_log = logging.getLogger(__name__)

TRIGGERS: Mapping[str, Trigger | None] = {
    "payment.authorized": Trigger.AUTHORIZE,
    "payment.declined": Trigger.DECLINE,
    "payment.captured": Trigger.CAPTURE,
    "payment.capture_failed": Trigger.CAPTURE_FAIL,
    "payment.voided": None,
}
"""Every event of a payment; None: the order has ended before, and there is nothing to do."""


class _PaymentData(BaseModel):
    """The part of a payment event's data that names the order; lengths as the columns take them."""

    model_config = ConfigDict(strict=True, extra="ignore")

    order_id: Annotated[str, Field(min_length=1, max_length=36)]
    sale_id: Annotated[str, Field(min_length=1, max_length=64)]
    customer_id: Annotated[str, Field(min_length=1, max_length=128)]
    reason: str | None = None


class PaymentEvents:
    """Settles payment events. Not thread-safe: one consumer owns it."""

    def __init__(self, database: FairdropDatabase, clock: DatabaseClock, writer: str) -> None:
        """No call is made yet."""
        self._database = database
        self._clock = clock
        self._writer = writer

    def handle(self, batch: Sequence[Event]) -> list[Verdict]:
        """Settle a batch, each order's events in their order. What the database did not do comes again."""
        read = [_read(event) for event in batch]
        wishes = [wish for wish in read if isinstance(wish, Settlement)]
        outcomes = iter(settle(self._database, self._clock, wishes, self._writer))
        passed: Counter[str] = Counter()
        verdicts: list[Verdict] = []
        for wish in read:
            verdicts.append(_verdict(next(outcomes), passed) if isinstance(wish, Settlement) else wish)
        if passed:
            # Duplicates mostly; anything else is settled too, for what an order has become is never undone.
            _log.info("payment events that changed nothing: %s", dict(passed))
        return verdicts


def _read(event: Event) -> Settlement | Done | Poison:
    """What the event asks to settle."""
    if event.type not in TRIGGERS:
        return Poison(f"no event of a payment: {event.type[:60]}")
    trigger = TRIGGERS[event.type]
    try:
        data = _PaymentData.model_validate(dict(event.data))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        return Poison(f"{'.'.join(map(str, first['loc']))}: {first['msg']}")
    if data.order_id != event.order_id:
        return Poison("order_id: is not the order that the event is about")
    if trigger is None:
        return Done()
    return Settlement(
        OrderKey(data.customer_id, data.sale_id, data.order_id), trigger, "payments", data.reason, event.traceparent
    )


def _verdict(outcome: Outcome | Unsettled, passed: Counter[str]) -> Verdict:
    if isinstance(outcome, Unsettled):
        return Retry()
    if isinstance(outcome, Refused):
        return _refused(outcome.error, passed)
    return Done()


def _refused(error: FairdropError, passed: Counter[str]) -> Verdict:
    if isinstance(error, OrderNotFound):
        return Poison("there is no such order")
    if not isinstance(error, TransitionRefused):
        return Poison(f"{type(error).__name__}: {error}")
    passed[f"{error.trigger} of {error.status}"] += 1
    return Done()
