"""The rule of the draw, by properties: it follows from seed, entries and stock alone, and from all of them."""

import uuid
from itertools import accumulate

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.domain.draw import (
    SEED_BYTES,
    Allotment,
    Drawn,
    Entry,
    NotCanonical,
    Result,
    allot,
    commitment_of,
    digest_of,
    rank_of,
)

seeds = st.binary(min_size=SEED_BYTES, max_size=SEED_BYTES)
order_ids = st.uuids(version=5).map(str)
entry_lists = st.lists(st.builds(Entry, order_ids, st.integers(1, 5)), max_size=40, unique_by=lambda entry: entry[0])


def drawn(seed: bytes, entries: list[Entry], stock: int, waitlist_limit: int = 10**6) -> list[Drawn]:
    """The whole draw, in memory, of entries in whatever order."""
    digest = digest_of(sorted(entries)).hex
    return list(allot(sorted(entries, key=lambda e: rank_of(seed, digest, e.order_id)), stock, waitlist_limit))


@given(seeds, entry_lists, st.integers(0, 60), st.randoms(use_true_random=False))
def test_the_draw_is_the_same_in_whatever_order_the_entries_are_read(seed, entries, stock, random) -> None:  # type: ignore[no-untyped-def]
    shuffled = list(entries)
    random.shuffle(shuffled)
    assert drawn(seed, shuffled, stock) == drawn(seed, entries, stock)


@given(seeds, entry_lists, st.integers(0, 60), st.integers(0, 10))
def test_every_entry_has_one_place_and_a_result(
    seed: bytes, entries: list[Entry], stock: int, waitlist_limit: int
) -> None:
    results = drawn(seed, entries, stock, waitlist_limit)
    assert [one.place for one in results] == list(range(1, len(entries) + 1))
    assert sorted(Entry(one.order_id, one.units) for one in results) == sorted(entries)
    assert sum(one.result is Result.WAITLISTED for one in results) <= waitlist_limit


@given(seeds, entry_lists, st.integers(0, 60), st.integers(0, 10))
def test_an_entry_wins_exactly_if_its_units_are_left_at_its_turn(
    seed: bytes, entries: list[Entry], stock: int, waitlist_limit: int
) -> None:
    results = drawn(seed, entries, stock, waitlist_limit)
    won = [0, *accumulate(one.units if one.result is Result.WON else 0 for one in results)]
    assert won[-1] <= stock
    for taken, one in zip(won, results, strict=False):
        assert (one.result is Result.WON) == (one.units <= stock - taken)
    lapsed = [one.place for one in results if one.result is Result.LAPSED]
    assert all(one.place < lapsed[0] for one in results if lapsed and one.result is Result.WAITLISTED)


@given(seeds, st.lists(order_ids, min_size=1, max_size=40, unique=True), st.integers(0, 50))
def test_with_a_unit_each_the_winners_are_the_first_places(seed: bytes, ids: list[str], stock: int) -> None:
    results = drawn(seed, [Entry(order_id, 1) for order_id in ids], stock)
    assert [one.result is Result.WON for one in results] == [place < stock for place in range(len(ids))]


@given(seeds, entry_lists, st.data())
def test_another_entry_another_seed_or_other_units_make_another_draw_for_all(
    seed: bytes, entries: list[Entry], data: st.DataObject
) -> None:
    assume(entries)
    digest = digest_of(sorted(entries)).hex
    one = data.draw(st.sampled_from(entries))
    rank = rank_of(seed, digest, one.order_id)
    fewer = digest_of(sorted(entry for entry in entries if entry is not one)).hex
    larger = digest_of(sorted(entry if entry is not one else Entry(one.order_id, 6) for entry in entries)).hex
    more = digest_of(sorted([*entries, Entry(str(uuid.uuid5(uuid.NAMESPACE_DNS, digest)), 1)])).hex
    other_seed = bytes([seed[0] ^ 1]) + seed[1:]
    assert len({digest, fewer, larger, more}) == 4
    assert (
        len(
            {rank, rank_of(other_seed, digest, one.order_id), *(rank_of(seed, d, one.order_id) for d in (larger, more))}
        )
        == 4
    )
    assert commitment_of(seed) != commitment_of(other_seed)


def test_the_rule_never_changes() -> None:
    """Worked out once with other tools (`printf`, `sha256sum`, `openssl dgst -mac hmac`); old records must hold for ever."""
    seed = bytes(range(SEED_BYTES))
    first, second = "00000000-0000-5000-8000-000000000001", "00000000-0000-5000-8000-000000000002"
    digest = digest_of([Entry(first, 1), Entry(second, 2)]).hex
    assert commitment_of(seed) == "630dcd2966c4336691125448bbb25b4ff412a49c732db2c8abc1b8581bd710dd"
    assert digest == "b9f50864251f2f6799d3324d073504e956b0f5de37bfa30313e8f64e59a45d2b"
    assert rank_of(seed, digest, first).hex() == "299846b2c77c2e703793205639c22a357f7c0e72f9538fc61914ec133557e6a5"
    assert rank_of(seed, digest, second).hex() == "05dac1e314f348459b7669a6f672aa3022c753137d692dd8ebb3d3d65f626198"


def test_entries_twice_or_out_of_order_have_no_digest() -> None:
    one, two = Entry("1", 1), Entry("2", 1)
    for entries in ([one, one], [two, one]):
        with pytest.raises(NotCanonical) as refused:
            digest_of(entries)
        assert refused.value.order_id == "1"


def test_an_entry_too_large_for_what_is_left_does_not_block_a_smaller_one() -> None:
    allotment = Allotment(stock=3, waitlist_limit=1)
    results = [allotment.result(units) for units in (2, 2, 1, 1)]
    assert results == [Result.WON, Result.WAITLISTED, Result.WON, Result.LAPSED]
