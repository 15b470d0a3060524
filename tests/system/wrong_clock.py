"""A wrong clock for a test's processes; where there can be none, the test is skipped."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from app.local import wrong_clock
from app.local.wrong_clock import ClocksAreTrue, bury_the_dead


class WrongClock(wrong_clock.WrongClock):
    """Off by so many seconds from the true time, for processes that look at it each time they ask for it."""

    def __init__(self, folder: Path, shift_seconds: float) -> None:
        super().__init__(folder / "wrong-clock", shift_seconds)

    @property
    def environment(self) -> Mapping[str, str]:
        """Start a process with these, and it has this clock. Skips the test where that cannot be."""
        bury_the_dead()
        try:
            return self.variables()
        except ClocksAreTrue as why:
            pytest.skip(str(why.__doc__))
