"""The states of an order: one table holds every allowed transition, its stock effect and its event; nothing else decides.

`docs/states.md` is derived from the table, and a test holds the two equal. The lottery's states join with the lottery.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from app.domain.errors import TransitionRefused


class Status(StrEnum):
    """Where an order stands."""

    PENDING = "PENDING"
    AUTHORIZED = "AUTHORIZED"
    PLACED = "PLACED"
    WAITLISTED = "WAITLISTED"
    PAYMENT_FAILED = "PAYMENT_FAILED"
    EXPIRED = "EXPIRED"
    CANCELLED = "CANCELLED"
    LAPSED = "LAPSED"


class Trigger(StrEnum):
    """What moves an order."""

    RESERVE = "reserve"
    CLAIM = "claim"
    WAITLIST = "waitlist"
    PROMOTE = "promote"
    PROMOTE_FREE = "promote_free"
    AUTHORIZE = "authorize"
    DECLINE = "decline"
    EXPIRE = "expire"
    CAPTURE = "capture"
    CAPTURE_FAIL = "capture_fail"
    CANCEL = "cancel"
    LAPSE = "lapse"


class StockEffect(StrEnum):
    """What a transition does to the stock of the order's shard."""

    TAKE = "take"
    KEEP = "keep"
    RELEASE = "release"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Transition:
    """The outcome of a trigger: the status from then on, what happens to the stock, and the event to publish."""

    status: Status
    stock: StockEffect
    event: str


NEW: None = None
"""The state before an order exists."""

_RELEASED = "order.released"

TRANSITIONS: Mapping[tuple[Status | None, Trigger], Transition] = {
    (NEW, Trigger.RESERVE): Transition(Status.PENDING, StockEffect.TAKE, "order.reserved"),
    (NEW, Trigger.CLAIM): Transition(Status.PLACED, StockEffect.TAKE, "order.placed"),
    (NEW, Trigger.WAITLIST): Transition(Status.WAITLISTED, StockEffect.NONE, "order.waitlisted"),
    (Status.WAITLISTED, Trigger.PROMOTE): Transition(Status.PENDING, StockEffect.TAKE, "order.reserved"),
    (Status.WAITLISTED, Trigger.PROMOTE_FREE): Transition(Status.PLACED, StockEffect.TAKE, "order.placed"),
    (Status.WAITLISTED, Trigger.CANCEL): Transition(Status.CANCELLED, StockEffect.NONE, "order.cancelled"),
    (Status.WAITLISTED, Trigger.LAPSE): Transition(Status.LAPSED, StockEffect.NONE, "order.lapsed"),
    (Status.PENDING, Trigger.AUTHORIZE): Transition(Status.AUTHORIZED, StockEffect.KEEP, "order.authorized"),
    (Status.PENDING, Trigger.DECLINE): Transition(Status.PAYMENT_FAILED, StockEffect.RELEASE, _RELEASED),
    (Status.PENDING, Trigger.EXPIRE): Transition(Status.EXPIRED, StockEffect.RELEASE, _RELEASED),
    (Status.PENDING, Trigger.CANCEL): Transition(Status.CANCELLED, StockEffect.RELEASE, _RELEASED),
    (Status.AUTHORIZED, Trigger.CAPTURE): Transition(Status.PLACED, StockEffect.KEEP, "order.placed"),
    (Status.AUTHORIZED, Trigger.CAPTURE_FAIL): Transition(Status.PAYMENT_FAILED, StockEffect.RELEASE, _RELEASED),
    (Status.AUTHORIZED, Trigger.CANCEL): Transition(Status.CANCELLED, StockEffect.RELEASE, _RELEASED),
}

HOLDING: frozenset[Status] = frozenset({Status.PENDING, Status.AUTHORIZED, Status.PLACED})
"""Statuses whose units are out of the shard's available stock."""

LIVE: frozenset[Status] = HOLDING | {Status.WAITLISTED}
"""Statuses that count towards the limit per customer."""


def transition(status: Status | None, trigger: Trigger) -> Transition:
    """The outcome of a trigger in a state; raises TransitionRefused when the state does not take it."""
    outcome = TRANSITIONS.get((status, trigger))
    if outcome is None:
        raise TransitionRefused(status=status.value if status else "new", trigger=trigger.value)
    return outcome
