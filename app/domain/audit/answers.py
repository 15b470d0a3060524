"""What the answers of a rush must agree with: the orders stored, the stock at the time, and each other.

Times of sending and answering are nanoseconds of one machine's monotonic clock; all others are the database's microseconds.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from app.domain.audit.findings import Violation, at, order_name
from app.domain.audit.orders import lowered_hint
from app.domain.audit.rows import Position, StoredOrder

REFUSAL_MAX_AGE_MS = 250
"""A refusal from memory speaks for a moment at most so long ago."""

TAKEN = 201
CONFIRMED = (200, TAKEN)


class Attempt(NamedTuple):
    """One line of an answers file. `order_id` is the one that the key names, whatever was answered."""

    line: int
    customer_id: str
    order_id: str
    units: int
    sent_ns: int
    answered_ns: int | None
    status: int | None
    said_order_id: str | None
    said_status: str | None
    placed_at: int | None
    shard_id: int | None
    seq: int | None
    problem: str | None
    as_of: int | None
    age_ms: float | None
    error: str | None


class Confirmation(NamedTuple):
    """An answer with an order, and what is stored of that order; None when it is not stored.

    `first_status` is that of the order's first event; `was_ever` tells whether the status answered was ever the order's.
    """

    attempt: Attempt
    units: int | None
    position: Position | None
    first_status: str | None
    was_ever: bool


class Sending(NamedTuple):
    """When an order's request was first sent."""

    sent_ns: int
    position: Position
    customer_id: str
    order_id: str


class Answered(NamedTuple):
    """When an order was first confirmed."""

    answered_ns: int
    position: Position
    order_id: str


class SoldOutAnswer(NamedTuple):
    """A refusal, the stock at the database time it speaks for, and when that changed next (None: not since)."""

    line: int
    customer_id: str
    units: int
    sent_ns: int
    as_of: int | None
    age_ms: float | None
    available: int | None
    waiting: int | None
    next_change: int | None


class Denied(NamedTuple):
    """A refusal of a request whose order is stored."""

    line: int
    customer_id: str
    order_id: str
    problem: str | None


class LimitAnswer(NamedTuple):
    """A refusal for the limit, and the units of all other orders the customer ever had in the sale."""

    line: int
    customer_id: str
    units: int
    other_units: int


def confirmation_breaks(confirmations: Iterable[Confirmation], snapshot_at: int) -> Iterator[Violation]:
    """Confirmed orders that are not stored as they were confirmed. Only the status may have moved on."""
    for confirmation in confirmations:
        attempt = confirmation.attempt
        if attempt.placed_at is not None and attempt.placed_at > snapshot_at:
            continue
        row = f"line {attempt.line}: {order_name(attempt.customer_id, attempt.said_order_id or attempt.order_id)}"
        for says in _confirmation_breaks(confirmation):
            yield Violation(row, says)


def _confirmation_breaks(confirmation: Confirmation) -> Iterator[str]:
    attempt, _units, position, first_status, was_ever = confirmation
    if attempt.said_order_id != attempt.order_id:
        yield f"its key names order {attempt.order_id}"
    if position is None:
        yield f"was confirmed ({attempt.status}), and is not stored"
        return
    if confirmation.units != attempt.units:
        yield f"was asked for with {attempt.units} units, and is stored with {confirmation.units}"
    said = (attempt.placed_at, attempt.shard_id, attempt.seq)
    if said != position:
        yield f"was told the position {_spoken(said)}, and holds {_spoken(position)}"
    if attempt.status == TAKEN and attempt.said_status != first_status:
        yield f"was taken as {attempt.said_status}, and began as {first_status}"
    elif not was_ever:
        yield f"was said to be {attempt.said_status}, and never was"


def _spoken(position: tuple[int | None, int | None, int | None]) -> str:
    placed_at, shard_id, seq = position
    return f"{at(placed_at)}/{shard_id}/{seq}"


def taken_twice(takings: Iterable[tuple[str, str, int]]) -> Iterator[Violation]:
    """Orders that were answered as new (201) more than once; (customer, order id, how often)."""
    for customer_id, order_id, count in takings:
        if count > 1:
            yield Violation(order_name(customer_id, order_id), f"was answered as new {count} times")


def denied(refusals: Iterable[Denied], says: str) -> Iterator[Violation]:
    """Refusals that cannot be, for their order is stored."""
    for refusal in refusals:
        yield Violation(
            f"line {refusal.line}: {order_name(refusal.customer_id, refusal.order_id)}",
            f"was refused ({refusal.problem}) {says}",
        )


def unasked(orders: Iterable[StoredOrder]) -> Iterator[Violation]:
    """Orders of the rush's buyers that no attempt of theirs asked for."""
    for order in orders:
        yield Violation(order_name(order.customer_id, order.order_id), "is stored, and no attempt has asked for it")


def out_of_line(sendings: Iterable[Sending], answers: Iterable[Answered]) -> Iterator[Violation]:
    """Orders that stand before one which was confirmed before they were sent. `sendings` and `answers` come by their times."""
    line = _Answers(answers)
    for sending in sendings:
        last = line.furthest_before(sending.sent_ns)
        if last is not None and last.position > sending.position:
            yield Violation(
                order_name(sending.customer_id, sending.order_id),
                f"stands at {_spoken(sending.position)}, before order {last.order_id} at {_spoken(last.position)}, "
                "which had been confirmed before this one was sent",
            )


class _Answers:
    """The furthest queue position confirmed before a moment, asked in the order of time."""

    def __init__(self, answers: Iterable[Answered]) -> None:
        self._rest = iter(answers)
        self._next = next(self._rest, None)
        self._furthest: Answered | None = None

    def furthest_before(self, time_ns: int) -> Answered | None:
        while self._next is not None and self._next.answered_ns < time_ns:
            if self._furthest is None or self._next.position > self._furthest.position:
                self._furthest = self._next
            self._next = next(self._rest, None)
        return self._furthest


def sold_out_breaks(
    refusals: Iterable[SoldOutAnswer],
    answers: Iterable[Answered],
    waitlist_limit: int,
    terms_changed_at: int,
    snapshot_at: int,
) -> Iterator[Violation]:
    """Buyers told "sold out" who should not have been. `refusals` come by sending, `answers` by their time.

    At the time that the refusal speaks for there must have been no stock for the units and no room on the waitlist; and that
    time must not be long ago, neither by what the answer says of its age nor by what had been confirmed before the sending.
    """
    line = _Answers(answers)
    for refusal in refusals:
        confirmed = line.furthest_before(refusal.sent_ns)
        row = f"line {refusal.line}: customer {refusal.customer_id}"
        if refusal.as_of is None or refusal.age_ms is None:
            yield Violation(row, "was told sold out, as of no time")
            continue
        if refusal.age_ms > REFUSAL_MAX_AGE_MS:
            yield Violation(row, f"was told sold out from a memory {refusal.age_ms} ms old")
        if refusal.as_of > snapshot_at or refusal.available is None or refusal.waiting is None:
            continue
        when = f"as of {at(refusal.as_of)}"
        if refusal.available >= refusal.units:
            yield Violation(
                row, f"was told sold out {when} for {refusal.units} units, when {refusal.available} were available"
            )
        if refusal.waiting < waitlist_limit:
            yield Violation(
                row,
                f"was told sold out {when}, when {refusal.waiting} of {waitlist_limit} places in the waitlist were taken"
                + lowered_hint(refusal.as_of, terms_changed_at, "waitlist was made longer"),
            )
        if confirmed is not None and _is_stale(refusal.next_change, confirmed.position[0]):
            yield Violation(
                row,
                f"was told sold out {when}: the stock changed at {at(refusal.next_change)}, and when the request was sent "
                f"an order of {at(confirmed.position[0])} had been confirmed",
            )


def _is_stale(next_change: int | None, proven_at: int) -> bool:
    return next_change is not None and proven_at > next_change + REFUSAL_MAX_AGE_MS * 1000


def refused_though_open(not_open: Iterable[tuple[int, str, int]], first_answered_ns: int | None) -> Iterator[Violation]:
    """Buyers told "not open yet" after an order was confirmed; (line, customer, sent_ns). A memory's age is allowed for."""
    for line, customer_id, sent_ns in not_open:
        if first_answered_ns is not None and sent_ns > first_answered_ns + REFUSAL_MAX_AGE_MS * 1_000_000:
            late_ms = (sent_ns - first_answered_ns) / 1e6
            yield Violation(
                f"line {line}: customer {customer_id}",
                f"was told the sale is not open, {late_ms:.0f} ms after an order had been confirmed",
            )


def refused_within_the_limit(refusals: Iterable[LimitAnswer], limit: int) -> Iterator[Violation]:
    """Buyers refused for the limit who could not have reached it with all the orders they ever had."""
    for refusal in refusals:
        if refusal.other_units + refusal.units <= limit:
            yield Violation(
                f"line {refusal.line}: customer {refusal.customer_id}",
                f"was refused {refusal.units} units for the limit of {limit}, having {refusal.other_units} in other orders",
            )
