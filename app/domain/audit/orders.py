"""Invariants 4, 5 and 6: one row and one gapless, legal history a request; the limit per customer; the opening."""

import uuid
from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import groupby
from operator import attrgetter

from app.domain.audit.findings import Violation, at, order_name
from app.domain.audit.rows import History, OutboxRow, Start, StoredEvent, StoredOrder
from app.domain.ids import outbox_shard
from app.domain.states import NEW, TRANSITIONS, Status, Transition, Trigger

OUTBOX_KEEPS = timedelta(days=7)
"""The row deletion policy of Outbox."""

ORDER_ID_VERSION = 5
"""Order ids are named by what they are of (RFC 9562, version 5)."""

_DUE = {Status.PENDING, Status.AUTHORIZED}
"""Statuses that hold units not yet paid for: without a deadline these would never come back."""

_TRIGGERS = {trigger.value: trigger for trigger in Trigger}


def shared_ids(orders: Iterable[StoredOrder]) -> Iterator[Violation]:
    """Order ids that two orders carry, and ids that no request can have. `orders` come by order id."""
    for order_id, group in groupby(orders, attrgetter("order_id")):
        customers = [order.customer_id for order in group]
        if len(customers) > 1:
            yield Violation(f"order {order_id}", f"is of {len(customers)} customers: {', '.join(customers[:5])}")
        if not _is_order_id(order_id):
            yield Violation(
                order_name(customers[0], order_id), "has an id that names no request (no UUID of version 5)"
            )


def _is_order_id(text: str) -> bool:
    try:
        name = uuid.UUID(text)
    except ValueError:
        return False
    return name.version == ORDER_ID_VERSION and str(name) == text


def shared_positions(orders: Iterable[StoredOrder]) -> Iterator[Violation]:
    """Queue positions that two orders hold. `orders` come by position."""
    for position, group in groupby(orders, attrgetter("position")):
        names = [order.order_id for order in group]
        if len(names) > 1:
            placed_at, shard_id, seq = position
            yield Violation(
                f"position {at(placed_at)}, shard {shard_id}, seq {seq}", f"is held by orders {', '.join(names[:5])}"
            )


def history_breaks(sale_id: str, history: History, outbox_from: int) -> Iterator[Violation]:
    """What is wrong with an order's history: its events, its row and its outbox rows must say the same.

    Events committed before `outbox_from` may have lost their outbox row to its deletion policy.
    """
    order, events, _outbox = history
    row = order_name(order.customer_id, order.order_id)
    status: Status | None = NEW
    last_at = order.placed_at
    for number, event in enumerate(events, start=1):
        if event.event_seq != number:
            yield Violation(row, f"event {number} is missing: the next is event {event.event_seq}")
            return
        step = _step(status, event.trigger)
        if step is None:
            yield Violation(row, f"event {number}: an order that is {status or 'new'} cannot {event.trigger}")
            return
        for says in (
            *_event_breaks(event, step, number, last_at),
            *_outbox_breaks(sale_id, history, event, step, outbox_from),
        ):
            yield Violation(row, f"event {number}: {says}")
        status, last_at = step.status, event.committed_at
    for says in _row_breaks(order, len(events), status):
        yield Violation(row, says)


def _step(status: Status | None, trigger: str) -> Transition | None:
    known = _TRIGGERS.get(trigger)
    return None if known is None else TRANSITIONS.get((status, known))


def _event_breaks(event: StoredEvent, step: Transition, number: int, last_at: int) -> Iterator[str]:
    if event.status != step.status:
        yield f"{event.trigger} leads to {step.status}, not to {event.status}"
    if number == 1 and event.committed_at != last_at:
        yield f"was committed at {at(event.committed_at)}, and PlacedAt is {at(last_at)}"
    if event.committed_at < last_at:
        yield f"was committed at {at(event.committed_at)}, before the event ahead of it"


def _outbox_breaks(
    sale_id: str, history: History, event: StoredEvent, step: Transition, outbox_from: int
) -> Iterator[str]:
    rows: list[OutboxRow] = [row for row in history.outbox if row.event_seq == event.event_seq]
    if len(rows) > 1:
        yield f"has {len(rows)} outbox rows"
    if not rows and event.committed_at >= outbox_from:
        yield "has no outbox row"
    shard = outbox_shard(sale_id, history.order.shard_id)
    for row in rows:
        if (row.event_type, row.status) != (step.event, step.status):
            yield f"its outbox row says {row.event_type}, {row.status}, not {step.event}, {step.status}"
        if row.outbox_shard != shard:
            yield f"its outbox row is in outbox shard {row.outbox_shard}, its order's events are in {shard}"
        if row.created_at != event.committed_at:
            yield f"its outbox row is of {at(row.created_at)}, the event of {at(event.committed_at)}"


def _row_breaks(order: StoredOrder, event_count: int, status: Status | None) -> Iterator[str]:
    if event_count == 0:
        yield "has no events"
        return
    if order.status != status:
        yield f"is {order.status}, its events end in {status}"
    if order.event_seq != event_count:
        yield f"counts {order.event_seq} events, there are {event_count}"
    if order.status == Status.WAITLISTED and order.waitlisted_at != order.placed_at:
        yield f"waits, and stands in the waitlist as of {at(order.waitlisted_at)}, not as of {at(order.placed_at)}"
    if order.status != Status.WAITLISTED and order.waitlisted_at is not None:
        yield f"is {order.status}, and still stands in the waitlist"
    if order.status in _DUE and order.due_at is None:
        yield f"is {order.status} without a deadline: its units would never come back"
    if order.status not in _DUE and order.due_at is not None:
        yield f"is {order.status}, and still due at {at(order.due_at)}"


def over_the_limit(limit: int, terms_changed_at: int, live: Iterable[StoredOrder]) -> Iterator[Violation]:
    """Customers whose live orders pass the limit. `live` come by customer."""
    for customer_id, group in groupby(live, attrgetter("customer_id")):
        units = count = last_at = 0
        for order in group:
            units += order.units
            count += 1
            last_at = max(last_at, order.placed_at)
        if units > limit:
            yield Violation(
                f"customer {customer_id}",
                f"has {units} units in {count} live orders, the limit is {limit}"
                + lowered_hint(last_at, terms_changed_at, "limit was lowered"),
            )


def lowered_hint(happened_at: int, terms_changed_at: int, what: str) -> str:
    """The one excuse there is: the terms of today need not be those of then, and no older terms are kept."""
    if happened_at >= terms_changed_at:
        return ""
    return f" (unless the {what} since: the sale was last changed at {at(terms_changed_at)})"


def before_the_opening(opens_at: int, starts: Iterable[Start]) -> Iterator[Violation]:
    """Orders placed before the opening. `starts` come by queue position."""
    for start in starts:
        if start.placed_at >= opens_at:
            return
        yield Violation(
            order_name(start.customer_id, start.order_id),
            f"was placed at {at(start.placed_at)}, the sale opens at {at(opens_at)}",
        )
