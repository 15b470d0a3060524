"""The states of a payment: one table holds every allowed transition and its event; nothing else decides.

A payment has what is *wanted* of it, which the order service's events say and which only grows, and a *state*, which is what
is known of the money. A state either rests, or the gateway owes the answer to one operation. `docs/payments.md` shows the table,
and a test holds the two equal.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """What is known of the money."""

    AUTHORIZING = "AUTHORIZING"
    AUTHORIZED = "AUTHORIZED"
    DECLINED = "DECLINED"
    CAPTURING = "CAPTURING"
    CAPTURED = "CAPTURED"
    CAPTURE_FAILED = "CAPTURE_FAILED"
    VOIDING = "VOIDING"
    VOIDED = "VOIDED"
    VOID_FAILED = "VOID_FAILED"
    REFUNDING = "REFUNDING"
    REFUNDED = "REFUNDED"
    REFUND_FAILED = "REFUND_FAILED"


class Operation(StrEnum):
    """What a gateway is asked for."""

    AUTHORIZE = "authorize"
    CAPTURE = "capture"
    VOID = "void"
    REFUND = "refund"


class Wanted(StrEnum):
    """How far the order service wants the payment to go. In this order: a later one stands over an earlier one."""

    AUTHORIZE = "AUTHORIZE"
    CAPTURE = "CAPTURE"
    VOID = "VOID"


class Verdict(StrEnum):
    """What the gateway says to the operation that is in progress."""

    APPROVED = "approved"
    DECLINED = "declined"


Cue = Wanted | Verdict
"""What moves a payment."""


@dataclass(frozen=True, slots=True)
class Transition:
    """The outcome of a cue: the state from then on, and the event to publish, if any."""

    state: State
    event: str | None = None


NEW: None = None
"""The state before a payment exists."""

_AUTHORIZED, _DECLINED, _VOIDED = "payment.authorized", "payment.declined", "payment.voided"
_CAPTURED, _CAPTURE_FAILED = "payment.captured", "payment.capture_failed"

TRANSITIONS: Mapping[tuple[State | None, Cue], Transition] = {
    (NEW, Wanted.AUTHORIZE): Transition(State.AUTHORIZING),
    (NEW, Wanted.CAPTURE): Transition(State.AUTHORIZING),
    (NEW, Wanted.VOID): Transition(State.VOIDED, _VOIDED),
    (State.AUTHORIZING, Verdict.APPROVED): Transition(State.AUTHORIZED, _AUTHORIZED),
    (State.AUTHORIZING, Verdict.DECLINED): Transition(State.DECLINED, _DECLINED),
    (State.AUTHORIZED, Wanted.CAPTURE): Transition(State.CAPTURING),
    (State.AUTHORIZED, Wanted.VOID): Transition(State.VOIDING),
    (State.CAPTURING, Verdict.APPROVED): Transition(State.CAPTURED, _CAPTURED),
    (State.CAPTURING, Verdict.DECLINED): Transition(State.CAPTURE_FAILED, _CAPTURE_FAILED),
    # A capture that failed may leave the authorization standing.
    (State.CAPTURE_FAILED, Wanted.VOID): Transition(State.VOIDING),
    (State.CAPTURED, Wanted.VOID): Transition(State.REFUNDING),
    (State.VOIDING, Verdict.APPROVED): Transition(State.VOIDED, _VOIDED),
    (State.VOIDING, Verdict.DECLINED): Transition(State.VOID_FAILED),
    (State.REFUNDING, Verdict.APPROVED): Transition(State.REFUNDED, _VOIDED),
    (State.REFUNDING, Verdict.DECLINED): Transition(State.REFUND_FAILED),
}

IN_PROGRESS: Mapping[State, Operation] = {
    State.AUTHORIZING: Operation.AUTHORIZE,
    State.CAPTURING: Operation.CAPTURE,
    State.VOIDING: Operation.VOID,
    State.REFUNDING: Operation.REFUND,
}
"""States in which the gateway owes an answer, and to what."""

FOR_A_PERSON: frozenset[State] = frozenset({State.VOID_FAILED, State.REFUND_FAILED})
"""The gateway refused to give money back: no program can settle that."""


def further(one: Wanted, other: Wanted) -> Wanted:
    """The one that stands."""
    return max(one, other, key=list(Wanted).index)
