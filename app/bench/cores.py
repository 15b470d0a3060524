"""Who runs on which core while a bench measures: the server on its own, and the crowd and the database on the others.

Otherwise the scheduler puts two busy threads on one core while the other has nothing to do, and the load that a bench makes takes
the time of what it measures (at four times the capacity a worker waited 15 % of the time for a core, on a machine that stood idle
for 18 %).
"""

from collections.abc import Iterator
from contextlib import contextmanager

from app.cores import Cores, available, keep_to


def shares(cores: Cores) -> tuple[Cores, Cores]:
    """The server's core and everybody else's; the same for both where there is only one."""
    first, *others = sorted(cores)
    return frozenset({first}), frozenset(others or [first])


@contextmanager
def on(cores: Cores) -> Iterator[None]:
    """What this thread starts within the block runs on these cores only, and so does the thread."""
    before = available()
    keep_to(cores)
    try:
        yield
    finally:
        keep_to(before)
