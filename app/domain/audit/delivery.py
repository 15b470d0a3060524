"""Invariant 8: no event is lost. The logs of both services against their relays' cursors, and against what the other side did."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from app.domain.audit.accounts import Patience
from app.domain.audit.findings import Violation, at
from app.domain.states import TRANSITIONS, Status, Trigger


class LogShard(NamedTuple):
    """A cursor of an outbox: the last row published (None before the first), how many it counts, and how many rows there are up to
    it, of all sales.
    """

    outbox_shard: int
    created_at: int | None
    order_id: str | None
    event_seq: int | None
    published: int
    rows: int


class LogRow(NamedTuple):
    """A row of one of the two outboxes. `log` is whose: `order` or `payment`."""

    log: str
    order_id: str
    event_seq: int
    event_type: str
    outbox_shard: int
    created_at: int

    @property
    def name(self) -> str:
        """How a violation names it."""
        return f"outbox row of {self.log} {self.order_id}, event {self.event_seq} ({self.event_type})"


class PaymentLog(NamedTuple):
    """A payment, and its outbox rows: how many, the lowest and the highest number, and the type of the newest."""

    order_id: str
    state: str
    event_seq: int
    created_at: int
    rows: int
    lowest: int | None
    highest: int | None
    newest_type: str | None


class Asked(NamedTuple):
    """A published event of an order that asks something of the payment, and how far the payment has been asked (None: there is
    none). `asks` and `wanted` are ranks: a higher one stands over a lower one.
    """

    row: LogRow
    asks: int
    wanted: int | None


class Outcome(NamedTuple):
    """A published event of a payment, and its order: the status (None: no such order), and how many of its events are of the
    trigger that the payment's event is.
    """

    row: LogRow
    trigger: str
    status: str | None
    taken: int


def cursor_breaks(log: str, shards: Iterable[LogShard], *, may_lack_the_oldest: bool) -> Iterator[Violation]:
    """Cursors that do not count what they have passed. Old rows may have been deleted by age, and then only more may be counted."""
    for shard in shards:
        row = f"cursor of the {log} outbox's shard {shard.outbox_shard}"
        if shard.published < shard.rows:
            yield Violation(
                row, f"counts {shard.published} rows published, {shard.rows} are at or before it: it passed some over"
            )
        elif shard.published > shard.rows and not may_lack_the_oldest:
            yield Violation(
                row, f"counts {shard.published} rows published, only {shard.rows} are at or before it: some are lost"
            )


def unpublished(rows: Iterable[LogRow]) -> Iterator[Violation]:
    """Rows after their shard's cursor, when all is said to be settled."""
    for row in rows:
        yield Violation(row.name, f"is not published: it lies after the cursor of shard {row.outbox_shard}")


def payment_log_breaks(
    logs: Iterable[PaymentLog], event_of: Mapping[str, str | None], outbox_from: int
) -> Iterator[Violation]:
    """Payments whose outbox rows are not 1, 2, 3… up to their newest event, or do not end in what their state tells.

    `event_of` gives a state's event, where it has one. Of payments older than `outbox_from` rows may have been deleted by age.
    """
    for log in logs:
        row = f"payment of order {log.order_id}"
        expected = (log.event_seq, log.event_seq and 1, log.event_seq)
        found = (log.rows, log.lowest or 0, log.highest or 0)
        if found != expected and log.created_at >= outbox_from:
            yield Violation(row, f"has told {log.event_seq} events, and has {_numbered(log)}")
        event = event_of.get(log.state)
        if event is not None and log.rows and log.highest == log.event_seq and log.newest_type != event:
            yield Violation(row, f"is {log.state}, and its newest outbox row says {log.newest_type}, not {event}")


def _numbered(log: PaymentLog) -> str:
    if not log.rows:
        return "no outbox row"
    return f"{log.rows} outbox row{'s' if log.rows > 1 else ''}, from {log.lowest} to {log.highest}"


class ArrivalJudge:
    """Judges whether what was published has been acted on. `in_flight` counts what is excused, by event type."""

    def __init__(self, patience: Patience) -> None:
        """Nothing is counted yet."""
        self._patience = patience
        self.in_flight: Counter[str] = Counter()
        self.arrived = 0

    def at_payments(self, asked: Iterable[Asked]) -> Iterator[Violation]:
        """Events of orders that the payment service does not know of."""
        for row, asks, wanted in asked:
            if wanted is not None and wanted >= asks:
                self.arrived += 1
            elif self._patience.allows(row.created_at):
                self.in_flight[row.event_type] += 1
            else:
                found = "there is no such payment" if wanted is None else "its payment was never asked for that"
                yield Violation(row.name, f"was published, has not reached the payment service: {found}")

    def at_orders(self, outcomes: Iterable[Outcome]) -> Iterator[Violation]:
        """Events of payments that their order should have taken, and has not."""
        for row, trigger, status, taken in outcomes:
            if taken or (status is not None and not _takes(status, trigger)):
                self.arrived += 1
            elif self._patience.allows(row.created_at):
                self.in_flight[row.event_type] += 1
            else:
                found = "there is no such order in this sale" if status is None else f"it is {status} still"
                yield Violation(
                    row.name, f"was published at or after {at(row.created_at)}, has not reached its order: {found}"
                )


_STATUSES = {status.value: status for status in Status}
_TRIGGERS = {trigger.value: trigger for trigger in Trigger}


def _takes(status: str, trigger: str) -> bool:
    """Whether an order in that status would still take the trigger. What it does not take has nothing left to do."""
    known, moves = _STATUSES.get(status), _TRIGGERS.get(trigger)
    return known is not None and moves is not None and (known, moves) in TRANSITIONS
