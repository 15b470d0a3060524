from collections import Counter
from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.rush.plan import DROP_WITHIN_MS, Shares, buyers_of, plan_buyer, poisson_arrivals_ns

MIXED = Shares(double=0.1, retry=0.2, dropped=0.05, false_time=0.15, several=0.4)
MANY = 20_000


@given(st.integers(0, 2**40), st.integers(0, 2**40))
def test_a_buyers_plan_depends_on_seed_and_index_alone(seed: int, index: int) -> None:
    assert plan_buyer(seed, index, MIXED, 5) == plan_buyer(seed, index, MIXED, 5)


def test_no_two_buyers_or_seeds_share_a_key() -> None:
    keys = {plan_buyer(seed, index, MIXED, 5).key for seed in range(3) for index in range(1_000)}
    assert len(keys) == 3_000


def test_the_shares_come_out_near_what_was_asked() -> None:
    plans = [plan_buyer(7, index, MIXED, 5) for index in range(MANY)]
    kinds = Counter(plan.kind for plan in plans)
    for kind, share in {"double": 0.1, "retry": 0.2, "dropped": 0.05, "false_time": 0.15, "plain": 0.5}.items():
        assert kinds[kind] / MANY == pytest.approx(share, abs=0.015)
    assert sum(plan.units > 1 for plan in plans) / MANY == pytest.approx(0.4, abs=0.015)


def test_several_units_are_spread_from_two_to_the_limit() -> None:
    units = Counter(plan_buyer(1, index, Shares(several=1), 5).units for index in range(4_000))
    assert set(units) == {2, 3, 4, 5}
    assert min(units.values()) > 800


def test_nobody_asks_for_several_where_one_is_the_limit() -> None:
    assert {plan_buyer(1, index, Shares(several=1), 1).units for index in range(100)} == {1}


def test_dropped_buyers_hang_up_at_different_moments_within_the_bound() -> None:
    moments = {plan_buyer(1, index, Shares(dropped=1), 1).drop_after_ms for index in range(100)}
    assert len(moments) == 100
    assert 0 <= min(moments) < max(moments) <= DROP_WITHIN_MS


@pytest.mark.parametrize("shares", [{"double": 1.1}, {"several": -0.1}, {"double": 0.6, "retry": 0.5}])
def test_shares_that_cannot_be_are_refused(shares: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="share"):
        Shares(**shares)


@given(st.integers(1, 9), st.integers(0, 200))
def test_every_buyer_belongs_to_one_process(processes: int, buyers: int) -> None:
    everyone = [index for process in range(processes) for index in buyers_of(process, processes, buyers)]
    assert sorted(everyone) == list(range(buyers))


def test_arrivals_have_the_rate_and_the_spread_of_poisson() -> None:
    times = list(islice(poisson_arrivals_ns(3, 0, 1_000.0), MANY))
    gaps_ms = [(late - early) / 1e6 for early, late in pairwise(times)]
    mean = sum(gaps_ms) / len(gaps_ms)
    assert mean == pytest.approx(1.0, rel=0.03)
    assert sum((gap - mean) ** 2 for gap in gaps_ms) / len(gaps_ms) == pytest.approx(1.0, rel=0.1)


def test_arrivals_repeat_with_the_seed_and_differ_between_processes() -> None:
    def first(seed: int, process: int) -> list[int]:
        return list(islice(poisson_arrivals_ns(seed, process, 10.0), 5))

    assert first(1, 0) == first(1, 0)
    assert first(1, 0) != first(1, 1)
    assert first(1, 0) != first(2, 0)
