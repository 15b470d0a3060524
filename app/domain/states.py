"""The states of an order: one table holds every allowed transition, its stock effect and its event; nothing else decides.

`docs/states.md` is derived from the table, and a test holds the two equal.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from app.domain.errors import TransitionRefused


class Status(StrEnum):
    """Where an order stands."""

    ENTERED = "ENTERED"
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

    ENTER = "enter"
    DRAW = "draw"
    DRAW_FREE = "draw_free"
    RESERVE = "reserve"
    CLAIM = "claim"
    WAITLIST = "waitlist"
    PROMOTE = "promote"
    PROMOTE_FREE = "promote_free"
    AUTHORIZE = "authorize"
    DECLINE = "decline"
    EXPIRE = "expire"
    CONFIRM = "confirm"
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
    (NEW, Trigger.ENTER): Transition(Status.ENTERED, StockEffect.NONE, "order.entered"),
    (Status.ENTERED, Trigger.DRAW): Transition(Status.PENDING, StockEffect.TAKE, "order.reserved"),
    (Status.ENTERED, Trigger.DRAW_FREE): Transition(Status.PLACED, StockEffect.TAKE, "order.placed"),
    (Status.ENTERED, Trigger.WAITLIST): Transition(Status.WAITLISTED, StockEffect.NONE, "order.waitlisted"),
    (Status.ENTERED, Trigger.LAPSE): Transition(Status.LAPSED, StockEffect.NONE, "order.lapsed"),
    (Status.ENTERED, Trigger.CANCEL): Transition(Status.CANCELLED, StockEffect.NONE, "order.cancelled"),
    (Status.WAITLISTED, Trigger.PROMOTE): Transition(Status.PENDING, StockEffect.TAKE, "order.reserved"),
    (Status.WAITLISTED, Trigger.PROMOTE_FREE): Transition(Status.PLACED, StockEffect.TAKE, "order.placed"),
    (Status.WAITLISTED, Trigger.CANCEL): Transition(Status.CANCELLED, StockEffect.NONE, "order.cancelled"),
    (Status.WAITLISTED, Trigger.LAPSE): Transition(Status.LAPSED, StockEffect.NONE, "order.lapsed"),
    (Status.PENDING, Trigger.AUTHORIZE): Transition(Status.AUTHORIZED, StockEffect.KEEP, "order.authorized"),
    (Status.PENDING, Trigger.DECLINE): Transition(Status.PAYMENT_FAILED, StockEffect.RELEASE, _RELEASED),
    (Status.PENDING, Trigger.EXPIRE): Transition(Status.EXPIRED, StockEffect.RELEASE, _RELEASED),
    (Status.PENDING, Trigger.CANCEL): Transition(Status.CANCELLED, StockEffect.RELEASE, _RELEASED),
    (Status.AUTHORIZED, Trigger.CONFIRM): Transition(Status.AUTHORIZED, StockEffect.KEEP, "order.confirmed"),
    (Status.AUTHORIZED, Trigger.CAPTURE): Transition(Status.PLACED, StockEffect.KEEP, "order.placed"),
    (Status.AUTHORIZED, Trigger.CAPTURE_FAIL): Transition(Status.PAYMENT_FAILED, StockEffect.RELEASE, _RELEASED),
    (Status.AUTHORIZED, Trigger.CANCEL): Transition(Status.CANCELLED, StockEffect.RELEASE, _RELEASED),
    # Money that comes too late is sent back: the order stays as it ended, and says again that its payment is to be undone.
    (Status.PAYMENT_FAILED, Trigger.AUTHORIZE): Transition(Status.PAYMENT_FAILED, StockEffect.NONE, _RELEASED),
    (Status.PAYMENT_FAILED, Trigger.CAPTURE): Transition(Status.PAYMENT_FAILED, StockEffect.NONE, _RELEASED),
    (Status.EXPIRED, Trigger.AUTHORIZE): Transition(Status.EXPIRED, StockEffect.NONE, _RELEASED),
    (Status.EXPIRED, Trigger.CAPTURE): Transition(Status.EXPIRED, StockEffect.NONE, _RELEASED),
    (Status.CANCELLED, Trigger.AUTHORIZE): Transition(Status.CANCELLED, StockEffect.NONE, _RELEASED),
    (Status.CANCELLED, Trigger.CAPTURE): Transition(Status.CANCELLED, StockEffect.NONE, _RELEASED),
}

HOLDING: frozenset[Status] = frozenset({Status.PENDING, Status.AUTHORIZED, Status.PLACED})
"""Statuses whose units are out of the shard's available stock."""

LIVE: frozenset[Status] = HOLDING | {Status.WAITLISTED, Status.ENTERED}
"""Statuses that count towards the limit per customer."""

FINAL: frozenset[Status] = frozenset(Status) - {
    before for (before, _), after in TRANSITIONS.items() if before is not None and after.status is not before
}
"""Statuses that never change again, whatever still comes for the order."""


DEADLINES: Mapping[Status, Trigger] = {Status.PENDING: Trigger.EXPIRE, Status.AUTHORIZED: Trigger.CONFIRM}
"""What is due to an order of each status when its deadline has passed; orders of any other status have none."""


def transition(status: Status | None, trigger: Trigger) -> Transition:
    """The outcome of a trigger in a state; raises TransitionRefused when the state does not take it."""
    outcome = TRANSITIONS.get((status, trigger))
    if outcome is None:
        raise TransitionRefused(status=status.value if status else "new", trigger=trigger.value)
    return outcome
