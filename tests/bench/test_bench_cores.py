"""A bench's server has a core to itself, where there is more than one."""

import subprocess
import sys

import pytest

from app.bench.cores import on, shares
from app.cores import available, own_core


def test_the_server_has_the_first_core_and_everybody_else_the_others() -> None:
    assert shares({3, 1, 2}) == ({1}, {2, 3})


def test_one_core_is_for_all() -> None:
    assert shares({7}) == ({7}, {7})


@pytest.mark.skipif(len(available()) < 2, reason="needs two cores")
def test_what_is_started_within_the_block_keeps_to_the_cores_and_afterwards_all_are_free_again() -> None:
    before = available()
    server, _ = shares(before)
    with on(server):
        told = subprocess.run(  # our own interpreter
            [sys.executable, "-c", "import os; print(*os.sched_getaffinity(0))"],
            capture_output=True,
            check=True,
            text=True,
        )
    assert told.stdout.split() == [str(core) for core in server]
    assert available() == before


def test_processes_beyond_the_cores_share_them_evenly() -> None:
    count = len(available())
    assert [own_core(number) for number in range(count)] == [own_core(number + count) for number in range(count)]
    assert len({core for number in range(count) for core in own_core(number)}) == count
