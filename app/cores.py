"""The processor cores that a thread may use, and keeping it to some of them, on systems that let one (Linux)."""

import os
from collections.abc import Set

Cores = Set[int]


def available() -> Cores:
    """The cores that this thread may use; where the system does not say which, all there are."""
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(os.cpu_count() or 1))


def keep_to(cores: Cores) -> None:
    """Let this thread, and all that it starts from now on, use these cores only; elsewhere than on Linux it does nothing."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)


def own_core(number: int) -> Cores:
    """The core of the so-manieth of several processes; with fewer cores than processes they share them evenly."""
    cores = sorted(available())
    return frozenset({cores[number % len(cores)]})
