"""A sale's terms, its phases, and why it takes no orders."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from domain_samples import NOON, a_sale
from hypothesis import given
from hypothesis import strategies as st

from app.domain import sale as rules
from app.domain.errors import InvalidValue, SaleClosed, SaleNotOpen, SalePaused
from app.domain.sale import Phase, SaleState, changed, check_terms, default_shard_count, spread

MOMENT = timedelta(microseconds=1)
CLOSING = NOON + timedelta(hours=1)

BOUNDS = {
    "stock": (0, 1_000_000_000),
    "unit_price_minor": (0, 1_000_000_000_000),
    "limit_per_customer": (1, 1_000),
    "waitlist_limit": (0, 1_000_000),
    "expected_crowd": (1, 1_000_000_000),
    "shard_count": (1, 512),
    "hold_seconds": (10, 604_800),
    "cancel_window_seconds": (0, 2_592_000),
}


@pytest.mark.parametrize("field", BOUNDS)
def test_a_term_may_be_anything_from_its_lower_to_its_upper_bound(field: str) -> None:
    low, high = BOUNDS[field]
    for value in (low, high):
        check_terms(a_sale(**{field: value}))
    for value in (low - 1, high + 1):
        with pytest.raises(InvalidValue) as refused:
            check_terms(a_sale(**{field: value}))
        assert (refused.value.field, refused.value.rule) == (field, f"must be from {low} to {high}")


@pytest.mark.parametrize(
    ("field", "terms"),
    [
        ("name", {"name": " \t"}),
        ("currency", {"currency": "EUX"}),
        ("currency", {"currency": "eur"}),
        ("closes_at", {"closes_at": NOON}),
        ("closes_at", {"closes_at": NOON + timedelta(days=90) + MOMENT}),
    ],
)
def test_terms_that_make_no_sense_are_refused_by_name(field: str, terms: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue) as refused:
        check_terms(a_sale(**terms))
    assert refused.value.field == field


def test_a_sale_may_last_a_moment_or_ninety_days() -> None:
    check_terms(a_sale(closes_at=NOON + MOMENT))
    check_terms(a_sale(closes_at=NOON + timedelta(days=90)))


@pytest.mark.parametrize(
    ("state", "now", "phase"),
    [
        (SaleState.SCHEDULED, NOON - MOMENT, Phase.SCHEDULED),
        (SaleState.SCHEDULED, NOON, Phase.OPEN),
        (SaleState.SCHEDULED, CLOSING - MOMENT, Phase.OPEN),
        (SaleState.SCHEDULED, CLOSING, Phase.CLOSED),
        (SaleState.PAUSED, NOON - MOMENT, Phase.PAUSED),
        (SaleState.PAUSED, NOON, Phase.PAUSED),
        (SaleState.PAUSED, CLOSING, Phase.CLOSED),
        (SaleState.CLOSED, NOON - MOMENT, Phase.CLOSED),
        (SaleState.CLOSED, NOON, Phase.CLOSED),
    ],
)
def test_the_phase_follows_from_the_state_and_the_database_s_clock(
    state: SaleState, now: datetime, phase: Phase
) -> None:
    assert a_sale(state=state).phase(now) is phase


@given(
    st.sampled_from(SaleState), st.timedeltas(timedelta(hours=-2), timedelta(hours=2)).map(lambda after: NOON + after)
)
def test_orders_are_taken_exactly_in_the_open_phase(state: SaleState, now: datetime) -> None:
    sale = a_sale(state=state)
    assert (sale.refusal(now, now) is None) == (sale.phase(now) is Phase.OPEN)


def test_the_opening_is_judged_by_proven_time_however_late_the_estimate_is() -> None:
    refusal = a_sale().refusal(proven_time=NOON - MOMENT, estimated_time=NOON + timedelta(minutes=30))
    assert isinstance(refusal, SaleNotOpen)
    assert (refusal.opens_at, refusal.seconds_left) == (NOON, 0.0)
    assert a_sale().refusal(proven_time=NOON, estimated_time=NOON - timedelta(minutes=30)) is None


def test_the_time_left_until_the_opening_is_estimated() -> None:
    refusal = a_sale().refusal(proven_time=NOON - timedelta(hours=1), estimated_time=NOON - timedelta(seconds=90))
    assert isinstance(refusal, SaleNotOpen)
    assert refusal.seconds_left == 90.0


def test_the_closing_is_judged_by_estimated_time() -> None:
    refusal = a_sale().refusal(proven_time=NOON, estimated_time=CLOSING)
    assert isinstance(refusal, SaleClosed)
    assert refusal.closes_at == CLOSING
    assert a_sale().refusal(proven_time=NOON, estimated_time=CLOSING - MOMENT) is None


def test_a_paused_sale_says_so_and_a_closed_one_says_that() -> None:
    assert isinstance(a_sale(state=SaleState.PAUSED).refusal(NOON, NOON), SalePaused)
    assert isinstance(a_sale(state=SaleState.CLOSED).refusal(NOON, NOON), SaleClosed)


@given(st.integers(0, rules.MAX_STOCK_UNITS), st.integers(1, rules.MAX_SHARD_COUNT))
def test_the_stock_is_spread_evenly_and_none_of_it_is_lost(stock: int, shard_count: int) -> None:
    shares = spread(stock, shard_count)
    assert len(shares) == shard_count
    assert sum(shares) == stock
    assert max(shares) - min(shares) <= 1


@given(st.integers(0, rules.MAX_STOCK_UNITS), st.integers(1, rules.MAX_EXPECTED_CROWD))
def test_the_default_shard_count_is_a_power_of_two_with_ten_units_a_shard_and_no_larger_than_the_crowd_wants(
    stock: int, crowd: int
) -> None:
    count = default_shard_count(stock, crowd)
    assert count.bit_count() == 1
    assert count <= rules.MAX_SHARD_COUNT
    assert count == 1 or stock >= count * rules.MIN_UNITS_PER_SHARD
    enough = max(4, crowd / rules.CUSTOMERS_PER_SHARD)
    assert count < 2 * enough
    twice = count * 2
    assert count >= enough or twice > rules.MAX_SHARD_COUNT or stock < twice * rules.MIN_UNITS_PER_SHARD


@pytest.mark.parametrize(
    ("stock", "crowd", "count"),
    [(1_000, 100_000, 8), (6_000_000, 6_000_000, 512), (100, 100_000_000, 8), (0, 1, 1), (39, 10**9, 2)],
)
def test_the_three_sales_get_as_many_shards_as_they_can_use(stock: int, crowd: int, count: int) -> None:
    assert default_shard_count(stock, crowd) == count


@given(st.integers(0, rules.MAX_STOCK_UNITS))
def test_the_defaults_computed_from_the_stock_are_terms_that_a_sale_may_have(stock: int) -> None:
    crowd = rules.default_expected_crowd(stock)
    check_terms(
        a_sale(
            stock=stock,
            expected_crowd=crowd,
            waitlist_limit=rules.default_waitlist_limit(stock),
            shard_count=default_shard_count(stock, crowd),
        )
    )


def test_before_the_opening_all_terms_may_change() -> None:
    changes = {"stock": 7, "unit_price_minor": 5, "opens_at": NOON + timedelta(minutes=5)}
    assert changed(a_sale(), dict(changes), Phase.SCHEDULED) == replace(a_sale(), **changes)  # type: ignore[arg-type]


def test_while_paused_only_what_nobody_was_promised_may_change() -> None:
    later = CLOSING + timedelta(hours=1)
    changes = {"name": "Bun", "limit_per_customer": 2, "waitlist_limit": 3, "closes_at": later}
    assert changed(a_sale(), dict(changes), Phase.PAUSED) == replace(a_sale(), **changes)  # type: ignore[arg-type]
    for field, value in {"stock": 7, "unit_price_minor": 5, "opens_at": NOON, "shard_count": 1}.items():
        with pytest.raises(InvalidValue) as refused:
            changed(a_sale(), {field: value}, Phase.PAUSED)
        assert refused.value.field == field


def test_a_change_must_keep_the_terms_in_range() -> None:
    with pytest.raises(InvalidValue, match="limit_per_customer: must be from 1 to 1000"):
        changed(a_sale(), {"limit_per_customer": 0}, Phase.PAUSED)
