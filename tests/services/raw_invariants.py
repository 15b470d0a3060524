"""The invariants of docs/design.md, judged from raw rows at every commit there ever was, without any of the service's code.

The auditor has checks of its own; these are written apart from it, so that a mistake in one is not a mistake in both. For small
sales: it goes through all orders at every commit.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any

HOLDS = {"PENDING", "AUTHORIZED", "PLACED"}
LIVE = HOLDS | {"WAITLISTED"}

_SALE = "SELECT Stock, LimitPerCustomer, WaitlistLimit, OpensAt, ClosesAt FROM Sales WHERE SaleId = @sale"
_SHARDS = "SELECT ShardId, Version, Allocated, Available, Waiting FROM StockShards WHERE SaleId = @sale"
_LEDGER = (
    "SELECT CommittedAt, ShardId, Version, Allocated, Available, Waiting, Cause FROM StockLedger WHERE SaleId = @sale "
    "ORDER BY CommittedAt, ShardId, Version"
)
_ORDERS = "SELECT OrderId, CustomerId, Status, Units, ShardId, Seq, PlacedAt FROM Orders WHERE SaleId = @sale"
_EVENTS = (
    "SELECT CommittedAt, OrderId, EventSeq, Status, Trigger FROM OrderEvents WHERE SaleId = @sale "
    "ORDER BY CommittedAt, OrderId, EventSeq"
)
_OUTBOX = "SELECT OrderId, EventSeq, CreatedAt FROM Outbox WHERE JSON_VALUE(Payload, '$.sale_id') = @sale"


@dataclass
class Moment:
    """The sale right after one commit."""

    at: datetime
    available: int
    waiting: int
    status: dict[str, str]


@dataclass
class History:
    """All rows of a sale, and the sale after each commit."""

    stock: int
    limit: int
    waitlist_limit: int
    opens_at: datetime
    closes_at: datetime
    shards: Sequence[Any]
    ledger: Sequence[Any]
    orders: dict[str, Any]
    events: Sequence[Any]
    outbox: set[tuple[str, int, datetime]]
    moments: list[Moment] = field(default_factory=list)

    def as_of(self, at: datetime) -> Moment:
        """The sale at a timestamp."""
        return [moment for moment in self.moments if moment.at <= at][-1]


def read_history(database: Any, sale_id: str) -> History:
    """Everything, at one timestamp."""
    with database.snapshot(multi_use=True) as reads:
        sale, shards, ledger, orders, events, outbox = (
            [tuple(row) for row in reads.execute_sql(sql, params={"sale": sale_id})]
            for sql in (_SALE, _SHARDS, _LEDGER, _ORDERS, _EVENTS, _OUTBOX)
        )
    history = History(*sale[0], shards, ledger, {row[0]: row for row in orders}, events, set(outbox))
    latest: dict[int, tuple[int, int]] = {}
    status: dict[str, str] = {}
    changes = sorted([(row[0], 0, row) for row in ledger] + [(row[0], 1, row) for row in events], key=lambda it: it[:2])
    for at, group in groupby(changes, key=lambda change: change[0]):
        for _, is_event, row in group:
            if is_event:
                status[row[1]] = row[3]
            else:
                latest[row[1]] = (row[4], row[5])
        available, waiting = (sum(pair[place] for pair in latest.values()) for place in (0, 1))
        history.moments.append(Moment(at, available, waiting, dict(status)))
    return history


def check_history(history: History) -> None:
    """Raise AssertionError for the first invariant that any commit broke."""
    _stock_adds_up(history)
    _nobody_waits_for_what_is_there(history)
    _promotions_follow_the_line(history)
    _limits_and_opening_hold(history)
    _events_tell_everything(history)


def _stock_adds_up(history: History) -> None:
    assert sum(allocated for _, _, allocated, _, _ in history.shards) == history.stock
    held: Counter[int] = Counter()
    waiting: Counter[int] = Counter()
    for _, _, status, units, shard_id, _, _ in history.orders.values():
        held[shard_id] += units if status in HOLDS else 0
        waiting[shard_id] += status == "WAITLISTED"
    for shard_id, version, allocated, available, waits in history.shards:
        assert 0 <= available <= allocated
        assert (allocated - available, waits) == (held[shard_id], waiting[shard_id]), f"shard {shard_id}"
        versions = [row[2] for row in history.ledger if row[1] == shard_id]
        assert sorted(versions) == list(range(1, version + 1)), f"the ledger of shard {shard_id} has gaps"
    for moment in history.moments:
        units = sum(history.orders[order][3] for order, status in moment.status.items() if status in HOLDS)
        waits = sum(status == "WAITLISTED" for status in moment.status.values())
        assert moment.waiting == waits, moment.at
        assert moment.available >= 0
        assert moment.available + units == _allocated(history, moment.at), moment.at


def _allocated(history: History, at: datetime) -> int:
    return sum({row[1]: row[3] for row in history.ledger if row[0] <= at}.values())


def _nobody_waits_for_what_is_there(history: History) -> None:
    for moment in history.moments:
        for order_id, status in moment.status.items():
            units = history.orders[order_id][3]
            assert status != "WAITLISTED" or units > moment.available, f"{order_id} waits at {moment.at} in vain"


def _promotions_follow_the_line(history: History) -> None:
    for moment in history.moments:
        waiting = [history.orders[key] for key, status in moment.status.items() if status == "WAITLISTED"]
        for at, order_id, _, _, trigger in history.events:
            if at != moment.at or not trigger.startswith("promote"):
                continue
            promoted = history.orders[order_id]
            passed = [row for row in waiting if _place(row) < _place(promoted) and row[3] <= promoted[3]]
            assert not passed, f"{order_id} was promoted before {passed[0][0]}"


def _place(row: Any) -> tuple[datetime, int, int]:
    return (row[6], row[4], row[5])


def _limits_and_opening_hold(history: History) -> None:
    places = [_place(row) for row in history.orders.values()]
    assert len(set(places)) == len(places)
    for row in history.orders.values():
        assert history.opens_at <= row[6] < history.closes_at
    for moment in history.moments:
        live: Counter[str] = Counter()
        for order_id, status in moment.status.items():
            live[history.orders[order_id][1]] += history.orders[order_id][3] if status in LIVE else 0
        assert not live or max(live.values()) <= history.limit, moment.at
        assert moment.waiting <= history.waitlist_limit


def _events_tell_everything(history: History) -> None:
    seen: dict[str, list[int]] = {}
    for at, order_id, seq, _, _ in history.events:
        seen.setdefault(order_id, []).append(seq)
        assert (order_id, seq, at) in history.outbox
    assert seen.keys() == history.orders.keys()
    assert all(seqs == list(range(1, len(seqs) + 1)) for seqs in seen.values())
    last = history.moments[-1].status
    assert all(last[order_id] == row[2] for order_id, row in history.orders.items())
