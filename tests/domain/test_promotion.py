"""Who of the waitlist gets freed units."""

from datetime import timedelta

import pytest
from domain_samples import NOON, a_sale, a_shard
from hypothesis import given
from hypothesis import strategies as st

from app.domain import promotion
from app.domain.promotion import WaitingOrder, promote, spread_over
from app.domain.states import Status, Trigger
from app.domain.stock import ShardState, StockBook


def a_line(units: list[int], shard_count: int = 1) -> list[WaitingOrder]:
    """Waiting orders in queue order, one a second, each on the next shard."""
    return [
        WaitingOrder(f"customer-{i}", f"order-{i}", n, i % shard_count, NOON + timedelta(seconds=i), seq=0)
        for i, n in enumerate(units)
    ]


def promoted(units: list[int], free: int, new_units: int = 0, at_most: int = 100) -> list[str]:
    line = a_line(units)
    outcome, _ = promote(a_sale(), StockBook([a_shard(free, waiting=len(line))]), line, new_units, at_most)
    return [order.order_id for order in outcome.orders]


def test_the_queue_position_is_the_commit_time_then_the_shard_then_the_arrival_in_the_commit() -> None:
    late = WaitingOrder("ann", "late", 1, shard_id=0, waitlisted_at=NOON + timedelta(seconds=1), seq=0)
    other_shard = WaitingOrder("bob", "other shard", 1, shard_id=1, waitlisted_at=NOON, seq=0)
    second = WaitingOrder("cat", "second", 1, shard_id=0, waitlisted_at=NOON, seq=1)
    first = WaitingOrder("dan", "first", 1, shard_id=0, waitlisted_at=NOON, seq=0)
    line = sorted([late, other_shard, second, first], key=lambda order: order.position)
    assert [order.order_id for order in line] == ["first", "second", "other shard", "late"]


def test_units_go_to_the_head_of_the_line() -> None:
    assert promoted([1, 1, 1], free=0, new_units=2) == ["order-0", "order-1"]


def test_an_order_too_large_for_what_is_left_lets_smaller_ones_pass() -> None:
    assert promoted([4, 1, 3, 2], free=3) == ["order-1", "order-3"]


def test_units_on_offer_and_new_ones_serve_an_order_together() -> None:
    book = StockBook([a_shard(2, sold=5, waiting=1), a_shard(1, shard_id=1)])
    outcome, used = promote(a_sale(), book, a_line([5]), new_units=2, at_most=9)
    assert (len(outcome.orders), used) == (1, 2)
    # 5 sold before and 5 now, all on the order's own shard; the other shard gave its unit over.
    assert book.changes() == [ShardState(0, 2, 10, 0, 0), ShardState(1, 2, 0, 0, 0)]


def test_at_most_so_many_orders_are_promoted_in_one_step() -> None:
    assert promoted([1] * 5, free=5, at_most=3) == ["order-0", "order-1", "order-2"]


def test_the_line_is_read_no_further_than_there_are_units() -> None:
    line = iter(a_line([1, 1, 1, 1]))
    promote(a_sale(), StockBook([a_shard(2, waiting=4)]), line, 0, at_most=100)
    assert [order.order_id for order in line] == ["order-3"]


@pytest.mark.parametrize(
    ("price", "expected"),
    [
        (0, (Trigger.PROMOTE_FREE, Status.PLACED, "order.placed")),
        (500, (Trigger.PROMOTE, Status.PENDING, "order.reserved")),
    ],
)
def test_a_promoted_order_is_placed_if_free_and_held_if_priced(
    price: int, expected: tuple[Trigger, Status, str]
) -> None:
    book = StockBook([a_shard(1, waiting=1)])
    outcome, _ = promote(a_sale(unit_price_minor=price), book, a_line([1]), 0, at_most=1)
    assert (outcome.trigger, outcome.status, outcome.event) == expected


LINES = st.lists(st.integers(1, 5), max_size=12)


@given(LINES, st.lists(st.integers(0, 8), min_size=1, max_size=4), st.integers(0, 20), st.integers(0, 14))
def test_promotion_keeps_the_order_leaves_nothing_to_those_who_wait_and_conserves_every_unit(
    units: list[int], free: list[int], new_units: int, at_most: int
) -> None:
    line = a_line(units, len(free))
    shards = [
        a_shard(n, shard_id=i, sold=2, waiting=sum(order.shard_id == i for order in line)) for i, n in enumerate(free)
    ]
    book = StockBook(shards)
    outcome, used = promote(a_sale(), book, line, new_units, at_most)
    changed = {shard.shard_id: shard for shard in book.changes()}
    after = [changed.get(shard.shard_id, shard) for shard in shards]
    given_units = sum(order.units for order in outcome.orders)

    assert outcome.orders == [order for order in line if order in outcome.orders]
    assert len(outcome.orders) <= at_most
    assert 0 <= used <= new_units
    assert sum(s.allocated for s in after) == sum(s.allocated for s in shards) + used
    assert sum(s.available for s in after) == sum(free) + used - given_units
    for before, then in zip(shards, after, strict=True):
        own = [order for order in outcome.orders if order.shard_id == before.shard_id]
        assert then.waiting == before.waiting - len(own)
        assert then.allocated - then.available == 2 + sum(order.units for order in own)
    if len(outcome.orders) < at_most:
        left = sum(free) + new_units - given_units
        assert all(order.units > left for order in line if order not in outcome.orders)


@given(LINES, st.integers(0, 30))
def test_each_promoted_order_fitted_and_each_passed_one_did_not_when_its_turn_came(units: list[int], free: int) -> None:
    left, expected = free, []
    for i, n in enumerate(units):
        if n <= left:
            left -= n
            expected.append(f"order-{i}")
    assert promoted(units, free) == expected


@given(st.lists(st.integers(1, 5), max_size=60), st.integers(0, 12), st.integers(1, 4))
def test_passing_by_those_who_want_too_much_promotes_the_same_orders(
    units: list[int], free: int, in_a_row: int
) -> None:
    line, asked = a_line(units), list[int]()

    def behind(order: WaitingOrder, units: int) -> list[WaitingOrder]:
        asked.append(units)
        return [other for other in line if other.position > order.position and other.units <= units]

    book = StockBook([a_shard(free, waiting=len(line))])
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(promotion, "TOO_LARGE_IN_A_ROW", in_a_row)
        passing, _ = promote(a_sale(), book, line, 0, 100, behind)
    assert [order.order_id for order in passing.orders] == promoted(units, free)
    # Each time for less than the last: it comes to an end.
    assert asked == sorted(set(asked), reverse=True)


def test_one_unit_left_over_is_taken_past_no_more_large_orders_than_the_bound() -> None:
    *_, last = orders = a_line([2] * 1_000 + [1])
    line = iter(orders)
    result, _ = promote(a_sale(), StockBook([a_shard(1, waiting=1_001)]), line, 0, 100, lambda *_: [last])
    assert result.orders == [last]
    assert len(list(line)) == 1_001 - promotion.TOO_LARGE_IN_A_ROW


@given(st.lists(st.integers(0, 9), min_size=1, max_size=6), st.integers(0, 40))
def test_units_nobody_waits_for_are_spread_evenly(free: list[int], units: int) -> None:
    book = StockBook([a_shard(n, shard_id=i) for i, n in enumerate(free)])
    spread_over(book, range(len(free)), units)
    added = [book.available(i) - n for i, n in enumerate(free)]
    assert sum(added) == units
    assert max(added) - min(added) <= 1
