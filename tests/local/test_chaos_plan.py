"""A chaos run's faults are drawn from its seed: the same again, never two at once on one target, and in time of every kind."""

import pytest

from app.local.chaos import MEMBERS
from app.local.chaos_plan import GAP_SECONDS, LASTS_SECONDS, Kind, plan

HOUR = 3_600.0


def test_the_same_seed_plans_the_same_faults_and_another_one_others() -> None:
    assert plan(1, 120.0, MEMBERS) == plan(1, 120.0, MEMBERS)
    assert plan(1, 120.0, MEMBERS) != plan(2, 120.0, MEMBERS)


@pytest.mark.parametrize("seed", range(20))
def test_faults_come_in_order_are_over_in_time_and_never_two_at_once_on_one_target(seed: int) -> None:
    faults = plan(seed, 300.0, MEMBERS)
    assert len(faults) > 300.0 / (2 * GAP_SECONDS[1])
    free_at: dict[str, float] = {}
    for before, fault in zip([faults[0], *faults], faults, strict=False):
        assert before.at_seconds <= fault.at_seconds
        assert fault.at_seconds + fault.lasts_seconds <= 300.001
        low, high = LASTS_SECONDS[fault.kind]
        assert low <= fault.lasts_seconds <= high
        assert fault.at_seconds >= free_at.get(fault.target, 0.0)
        free_at[fault.target] = fault.at_seconds + fault.lasts_seconds


def test_in_time_every_process_is_killed_and_stopped_and_every_other_kind_comes_too() -> None:
    faults = plan(3, HOUR, MEMBERS)
    for kind in (Kind.KILL, Kind.SUSPEND, Kind.NO_FILES, Kind.DISK_FULL):
        assert {fault.target for fault in faults if fault.kind is kind} == set(MEMBERS)
    assert {fault.kind for fault in faults} == set(Kind)


@pytest.mark.parametrize("seed", range(20))
def test_a_run_of_a_minute_has_every_kind(seed: int) -> None:
    assert {fault.kind for fault in plan(seed, 60.0, MEMBERS)} == set(Kind)


def test_kinds_that_a_system_cannot_do_are_left_out() -> None:
    possible = [kind for kind in Kind if kind is not Kind.DISK_FULL]
    assert {fault.kind for fault in plan(3, HOUR, MEMBERS, possible)} == set(possible)
