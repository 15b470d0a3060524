from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from app.domain.sale import Policy, Sale, SaleState
from app.storage.split_points import (
    LONGEST_LIFE,
    MAX_POINTS,
    Alphabet,
    SplitTooEarly,
    even_prefixes,
    expiry,
    plan,
    sampled_prefixes,
)

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)


def sale(**changes: Any) -> Sale:
    terms: dict[str, Any] = {
        "sale_id": "phones",
        "name": "Phones",
        "state": SaleState.SCHEDULED,
        "policy": Policy.FCFS,
        "unit_price_minor": 0,
        "currency": "EUR",
        "stock": 1_000,
        "shard_count": 8,
        "limit_per_customer": 1,
        "waitlist_limit": 0,
        "expected_crowd": 1_000,
        "opens_at": NOON,
        "closes_at": NOON + timedelta(hours=2),
        "hold_seconds": 600,
        "cancel_window_seconds": 0,
    }
    return Sale(**{**terms, **changes})


@pytest.mark.parametrize("alphabet", Alphabet)
@pytest.mark.parametrize("count", [1, 3, 16, MAX_POINTS])
def test_prefixes_of_an_alphabet_are_in_spanners_order_and_evenly_apart(alphabet: Alphabet, count: int) -> None:
    prefixes = even_prefixes(alphabet, count)
    assert len(prefixes) == count
    assert all(before.encode() < after.encode() for before, after in pairwise(prefixes))


def test_hex_prefixes_quarter_the_uuids() -> None:
    assert even_prefixes(Alphabet.HEX, 3) == ["40", "80", "c0"]


def test_a_sample_is_parted_in_the_order_of_its_bytes() -> None:
    assert sampled_prefixes(["b", "a", "Z", "é", "a"], 3) == ["a", "b", "é"]


@pytest.mark.parametrize("ids", [["one"], ["one", "one"], []])
def test_a_sample_too_small_gives_fewer_points_and_none_before_the_first(ids: list[str]) -> None:
    assert sampled_prefixes(ids, 5) == []


@pytest.mark.parametrize(("shard_count", "points"), [(8, 100), (8, 3), (512, 16), (1, 1), (512, MAX_POINTS)])
def test_a_plan_is_bounded_and_has_no_point_twice(shard_count: int, points: int) -> None:
    splits = plan(sale(shard_count=shard_count), even_prefixes(Alphabet.BASE62, points), points)
    assert len(set(splits)) == len(splits)
    for where in {(split.table, split.index) for split in splits}:
        keys = [split.key for split in splits if (split.table, split.index) == where]
        assert len(keys) <= points


def test_a_plan_parts_between_shards_when_there_are_points_enough() -> None:
    splits = plan(sale(shard_count=4), [], 16)
    assert [split.key for split in splits if split.table == "StockShards"] == [("phones", str(i)) for i in range(4)]


def test_split_points_go_a_day_after_the_sale_or_as_late_as_spanner_allows() -> None:
    assert expiry(sale(), NOON - timedelta(days=2)) == NOON + timedelta(hours=2, days=1)
    long = sale(closes_at=NOON + timedelta(days=80))
    assert NOON < expiry(long, NOON) < NOON + LONGEST_LIFE


def test_split_points_that_would_go_before_the_opening_are_refused() -> None:
    with pytest.raises(SplitTooEarly, match="30 days"):
        expiry(sale(), NOON - timedelta(days=30))
