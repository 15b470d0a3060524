"""Counting, and adding up what several processes have counted."""

import os
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from app.services.figures import BATCH_BOUNDS_ORDERS, Distribution, Figures
from app.services.placement import Placement
from app.services.shared_figures import SharedFigures
from app.settings import Settings
from app.storage.database import FairdropDatabase


def test_each_value_is_in_the_bucket_of_the_first_bound_that_is_not_below_it() -> None:
    values = Distribution((1, 2, 4))
    for value in (0.5, 1, 1.5, 2, 3, 5):
        values.add(value)
    assert (values.counts, values.total) == ([2, 2, 1, 1], 13)


@pytest.mark.parametrize(("share", "value"), [(0.5, 1.0), (0.75, 1.5), (1.0, 2.0)])
def test_a_quantile_lies_evenly_within_its_bucket(share: float, value: float) -> None:
    values = Distribution((1, 2, 4), [10, 10, 0, 0])
    assert values.quantile(share) == value
    assert Distribution((1, 2)).quantile(share) is None


def test_what_one_process_tells_another_adds_up_to_the_same() -> None:
    one, other = Figures(), Figures()
    for figures in (one, other, other):
        figures.answered("PLACED", 0.2)
        figures.committed(7)
    other.refused_from_memory = other.waiting_in_lanes = 3
    total = Figures()
    for figures in (one, other):
        total.add(orjson.loads(orjson.dumps(figures.as_json())), is_alive=True)
    assert total.outcomes == {"PLACED": 3}
    assert (sum(total.latency.counts), total.batches.counts[BATCH_BOUNDS_ORDERS.index(8)]) == (3, 3)
    assert (total.refused_from_memory, total.waiting_in_lanes) == (3, 3)


def test_a_process_that_has_ended_still_counts_but_nothing_waits_in_it(
    settings: Settings, database: FairdropDatabase, tmp_path: Path
) -> None:
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    told = Figures(outcomes={"sold-out": 5}, waiting_in_lanes=9)
    (tmp_path / f"{int(ended.stdout)}.json").write_bytes(orjson.dumps(told.as_json()))
    (tmp_path / f"{os.getppid()}.json").write_bytes(b"half a fi")
    placement = Placement(database, settings)
    placement.figures.answered("sold-out", 0.1)
    everybody = SharedFigures(placement, tmp_path).everybody()
    assert (everybody.outcomes, everybody.waiting_in_lanes) == ({"sold-out": 6}, 0)
