"""The simulation: the same by seed, no unit made or lost, and each design fails in the way its kind must."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.planning.plan import Figures, plan
from app.domain.planning.shape import PRESETS
from app.simulation.calibration import calibrate
from app.simulation.designs import DESIGNS, Assumed, crdt_counter, log_with_tasks, sharded_postgres
from app.simulation.group_commit import simulate
from app.simulation.setting import MAX_REQUESTS, Setting
from app.simulation.study import setting_of

CROWD = Setting(requests=6_000, per_second=20_000, stock=1_000, lanes=12, shards=8)

SETTINGS = st.builds(
    Setting,
    requests=st.integers(1, 1_500),
    per_second=st.floats(50, 50_000),
    stock=st.integers(0, 2_000),
    lanes=st.integers(1, 12),
    shards=st.integers(1, 12),
    waitlist=st.integers(0, 100),
    batch_limit=st.integers(1, 256),
    single_writer=st.booleans(),
    seed=st.integers(0, 1_000),
)


def test_the_same_seed_gives_the_same_result_and_another_one_does_not() -> None:
    assert simulate(CROWD) == simulate(CROWD)
    assert simulate(CROWD) != simulate(replace(CROWD, seed=2))
    for design in DESIGNS:
        assert design(CROWD, Assumed()) == design(CROWD, Assumed())


@settings(max_examples=60)
@given(SETTINGS)
def test_group_commit_sells_all_that_is_wanted_and_no_more_and_refuses_nobody_while_stock_is_left(
    setting: Setting,
) -> None:
    found = simulate(setting)
    assert found.sold == min(setting.stock, setting.requests)
    assert (found.oversold, found.unsold, found.refused_with_stock_left, found.overtaken) == (0, 0, 0, 0)
    assert 0 < found.commits <= setting.requests


@settings(max_examples=40)
@given(SETTINGS)
def test_no_design_but_the_counter_that_merges_later_oversells(setting: Setting) -> None:
    assert simulate(replace(setting, take_over=False)).oversold == 0
    for design in DESIGNS:
        found = design(setting, Assumed())
        assert found.oversold == 0 or design is crdt_counter
        assert found.sold + found.unsold >= min(setting.stock, setting.requests)


def test_without_taking_over_buyers_are_refused_while_stock_is_left() -> None:
    assert simulate(replace(CROWD, take_over=False)).refused_with_stock_left > 0
    assert log_with_tasks(CROWD, Assumed()).refused_with_stock_left > 0
    assert sharded_postgres(CROWD, Assumed()).refused_with_stock_left > 0


def test_a_lane_without_a_shard_s_stock_leaves_units_unsold_unless_it_takes_them_over() -> None:
    few = replace(CROWD, lanes=2)
    assert simulate(replace(few, take_over=False)).unsold > 0
    assert simulate(few).unsold == 0


def test_a_counter_that_merges_later_oversells_and_one_replica_does_not() -> None:
    assert crdt_counter(CROWD, Assumed()).oversold > 0
    assert crdt_counter(CROWD, Assumed(crdt_replicas=1)).oversold == 0


def test_shared_commits_take_more_orders_a_second_than_a_transaction_an_order() -> None:
    alone = DESIGNS[0](CROWD, Assumed())
    assert simulate(CROWD).sold_per_second > 3 * alone.sold_per_second


def test_a_second_of_two_writers_on_a_shard_meets_a_conflict() -> None:
    assert simulate(replace(CROWD, shards=1, stock=6_000)).conflicts > 0
    assert simulate(replace(CROWD, shards=12, stock=600_000)).conflicts == 0


def test_the_prediction_is_within_half_of_every_run_that_was_measured() -> None:
    for pair in calibrate(requests=2_000):
        assert abs(pair.error) < 0.5, pair


@pytest.mark.parametrize("name", PRESETS)
def test_a_plan_s_sale_is_scaled_so_that_its_tail_shows(name: str) -> None:
    setting = setting_of(plan(PRESETS[name]), Figures(), requests=10_000)
    assert setting.requests == 10_000
    assert 0 < setting.stock < setting.requests
    assert setting.shards == plan(PRESETS[name]).shards


@pytest.mark.parametrize("changes", [{"requests": 0}, {"requests": MAX_REQUESTS + 1}, {"lanes": 0}, {"stock": -1}])
def test_what_cannot_be_run_is_refused(changes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="a run has"):
        replace(CROWD, **changes)
