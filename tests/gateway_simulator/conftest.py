"""A simulator for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway_simulator.simulator_process import Simulator


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[Simulator]:
    """Not started yet: a test starts it with the faults it wants."""
    process = Simulator(tmp_path)
    yield process
    process.stop()
