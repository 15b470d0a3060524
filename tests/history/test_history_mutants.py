"""The history checker finds every fault that is planted into the running code, and nothing in the true code under the same
workloads and faults: servers' clocks that are wrong, aborts, kills, clients that hang up, a broker that is away.
"""

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from history_judge import Verdict
from history_mutants import MUTANTS
from history_stage import Stage, gateway
from history_workloads import WORKLOADS

from app.settings import Settings
from emulator import running

AT_ONCE = 4
"""Runs at the same time: each mostly waits."""

MORE_TRIES = 2

WITHOUT_MONEY = tuple(name for name, workload in WORKLOADS.items() if not workload.with_money)
WITH_MONEY = tuple(name for name, workload in WORKLOADS.items() if workload.with_money)

Run = Future[dict[str, Verdict]]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Emulators of the module's own: this Spanner aborts at random."""
    folder = tmp_path_factory.mktemp("stage")
    with ExitStack() as stack:
        emulators = stack.enter_context(
            running(spanner=True, pubsub=True, fresh=True, spanner_arguments=("--enable_fault_injection",))
        )
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in emulators.environment.items():
            patch.setenv(name, value)
        settings = Settings(spanner_project="history", spanner_instance="history", state_dir=folder)
        yield Stage(settings, folder, os.environ["PUBSUB_EMULATOR_HOST"], stack.enter_context(gateway(folder)))


@pytest.fixture(scope="module")
def runs(stage: Stage, request: pytest.FixtureRequest) -> Iterator[dict[str, Run]]:
    """A run for each test of this module that was asked for, some at once."""
    wanted = {item.callspec.params["run"] for item in request.session.items if item.path == Path(__file__)}  # type: ignore[attr-defined]
    pool = ThreadPoolExecutor(AT_ONCE)
    yield {name: pool.submit(stage.play, MUTANTS.get(name), _workloads(name)) for name in RUNS if name in wanted}
    pool.shutdown(cancel_futures=True)


def _workloads(run: str) -> tuple[str, ...]:
    if run in MUTANTS:
        return (MUTANTS[run].workload,)
    return WITH_MONEY if run == "with money" else WITHOUT_MONEY


TRUE_CODE = ("without money", "with money")
RUNS = (*TRUE_CODE, *MUTANTS)


@pytest.mark.parametrize("run", TRUE_CODE)
def test_the_true_code_is_clean_under_every_workload(runs: dict[str, Run], run: str) -> None:
    for workload, verdict in runs[run].result().items():
        assert not verdict.violations, (workload, verdict.as_json())
        assert verdict.figures["calls"] > 10
        assert verdict.figures["looks"] > 2


@pytest.mark.parametrize("run", list(MUTANTS))
def test_a_planted_fault_is_named(stage: Stage, runs: dict[str, Run], run: str) -> None:
    """Some faults need luck to do harm (an answer that is lost, a race): then the same is played again, but not for ever."""
    (verdict,) = runs[run].result().values()
    for _ in range(MORE_TRIES):
        if MUTANTS[run].rule in verdict.rules_broken:
            break
        (verdict,) = stage.play(MUTANTS[run], _workloads(run)).values()
    assert MUTANTS[run].rule in verdict.rules_broken, verdict.as_json()
