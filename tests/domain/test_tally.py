"""A sale counted from its events: whatever the way of an order, it counts once, and where it stands."""

import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain import tally as module
from app.domain.states import FINAL, TRANSITIONS, Status
from app.domain.tally import SaleEvent, Tally

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def event(order: str, seq: int, kind: str, status: Status, at: float = 0.0, shard: int = 0) -> SaleEvent:
    return SaleEvent(shard, NOON + timedelta(seconds=at), order, seq, kind, status)


@st.composite
def lives(draw: st.DrawFn) -> list[list[SaleEvent]]:
    """Orders that go any way that the table of states allows."""
    orders = []
    for number in range(draw(st.integers(1, 6))):
        order_id, status, events = str(uuid.UUID(int=number)), None, []
        for seq in range(1, draw(st.integers(1, 7)) + 1):
            ways = [after for (before, _), after in TRANSITIONS.items() if before is status]
            if not ways:
                break
            way = draw(st.sampled_from(ways))
            status = way.status
            events.append(event(order_id, seq, way.event, status, at=seq))
        orders.append(events)
    return orders


@given(lives())
def test_the_counts_are_those_of_the_orders_as_they_stand(orders: list[list[SaleEvent]]) -> None:
    tally = Tally()
    for events in orders:
        for each in events:
            tally.count(each)
    counts = tally.counts()
    assert counts.by_status is not None
    assert Counter({k: v for k, v in counts.by_status.items() if v}) == Counter(e[-1].status for e in orders)
    assert counts.orders == len(orders)
    ends = [next((each.status for each in events if each.status in FINAL), None) for events in orders]
    assert (counts.failed, counts.expired) == (ends.count(Status.PAYMENT_FAILED), ends.count(Status.EXPIRED))


def test_orders_of_one_commit_are_one_commit_and_counted_in_its_second() -> None:
    tally = Tally()
    for number, (at, shard) in enumerate([(0.2, 0), (0.2, 0), (0.7, 0), (3.0, 0), (0.9, 1), (3.1, 1)]):
        tally.count(event(str(uuid.UUID(int=number)), 1, "order.placed", Status.PLACED, at, shard))
    counts = tally.counts()
    assert (counts.orders, counts.commits) == (6, 5)
    start = int(NOON.timestamp())
    assert [(s.at - start, s.taken, s.commits) for s in counts.seconds] == [(0, 4, 3), (3, 2, 2)]


def test_seconds_are_kept_so_long_and_no_longer() -> None:
    tally = Tally()
    for second in range(module.SECONDS_KEPT + 50):
        tally.count(event(str(uuid.UUID(int=second)), 1, "order.placed", Status.PLACED, second))
    assert len(tally.counts().seconds) == module.SECONDS_KEPT
    tally.count(event(str(uuid.UUID(int=10_000)), 1, "order.placed", Status.PLACED, 3, shard=1))
    assert len(tally.counts().seconds) == module.SECONDS_KEPT


def test_with_too_many_live_orders_no_status_is_told_and_all_else_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_LIVE_ORDERS", 3)
    tally = Tally()
    for number in range(5):
        tally.count(event(str(uuid.UUID(int=number)), 1, "order.reserved", Status.PENDING))
    assert (tally.counts().by_status, tally.counts().orders) == (None, 5)
