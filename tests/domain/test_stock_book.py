"""The stock book: changes to shards add up, stock moves without loss, versions grow by one where anything changed."""

import pytest
from domain_samples import a_shard
from hypothesis import given
from hypothesis import strategies as st

from app.domain.stock import ShardState, StockBook

SHARDS = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20)), min_size=1, max_size=6).map(
    lambda counts: [a_shard(available, shard_id=i, sold=sold) for i, (available, sold) in enumerate(counts)]
)


def changed(book: StockBook) -> dict[int, ShardState]:
    return {shard.shard_id: shard for shard in book.changes()}


def test_holding_takes_from_what_is_on_offer_and_keeps_what_is_allocated() -> None:
    book = StockBook([a_shard(5, sold=1)])
    book.hold(0, 3)
    book.hold(0, 2)
    assert book.changes() == [ShardState(0, 2, allocated=6, available=0, waiting=0)]


def test_holding_more_than_is_on_offer_is_a_fault_of_the_caller() -> None:
    with pytest.raises(AssertionError, match="hold of 2 from shard 0 with 1 available"):
        StockBook([a_shard(1)]).hold(0, 2)


def test_new_units_are_on_offer() -> None:
    book = StockBook([a_shard(1, sold=4)])
    book.allocate(0, 10)
    assert book.changes() == [ShardState(0, 2, allocated=15, available=11, waiting=0)]


def test_only_shards_that_differ_are_changes_each_at_its_next_version() -> None:
    book = StockBook([a_shard(3, version=4), a_shard(3, shard_id=1, version=9), a_shard(3, shard_id=2, version=2)])
    book.hold(1, 1)
    book.wait(2, 1)
    book.wait(2, 1)
    book.wait(0, 1)
    book.wait(0, -1)
    assert {shard_id: shard.version for shard_id, shard in changed(book).items()} == {1: 10, 2: 3}


def test_gathering_takes_half_of_the_richest_shard_so_that_the_next_orders_need_not_ask_again() -> None:
    book = StockBook([a_shard(0), a_shard(30, shard_id=1), a_shard(40, shard_id=2)])
    assert book.gather(0, 1)
    assert {shard_id: shard.available for shard_id, shard in changed(book).items()} == {0: 20, 2: 20}


def test_gathering_goes_on_to_the_next_richest_until_there_is_enough() -> None:
    book = StockBook([a_shard(0), a_shard(2, shard_id=1), a_shard(3, shard_id=2), a_shard(0, shard_id=3)])
    assert book.gather(0, 5)
    assert {shard_id: shard.available for shard_id, shard in changed(book).items()} == {0: 5, 1: 0, 2: 0}


def test_among_equally_rich_shards_the_first_gives() -> None:
    book = StockBook([a_shard(0), a_shard(4, shard_id=1), a_shard(4, shard_id=2)])
    book.gather(0, 1)
    assert sorted(changed(book)) == [0, 1]


def test_gathering_what_is_there_already_moves_nothing() -> None:
    book = StockBook([a_shard(5), a_shard(9, shard_id=1)])
    assert book.gather(0, 5)
    assert book.changes() == []


@given(SHARDS, st.data(), st.integers(0, 200))
def test_gathering_conserves_units_and_what_is_sold_of_each_shard(
    shards: list[ShardState], data: st.DataObject, units: int
) -> None:
    taker = data.draw(st.sampled_from(shards)).shard_id
    book = StockBook(shards)
    total = book.total_available
    enough = book.gather(taker, units)
    assert enough == (units <= total)
    assert book.total_available == total
    after = [changed(book).get(shard.shard_id, shard) for shard in shards]
    assert sum(s.allocated for s in after) == sum(s.allocated for s in shards)
    assert [s.allocated - s.available for s in after] == [s.allocated - s.available for s in shards]
    assert all(s.available >= 0 for s in after)
    if enough:
        assert book.available(taker) >= units
    else:
        assert after == shards
