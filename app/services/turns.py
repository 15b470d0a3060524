"""Turns at the database, for one that takes a single read-write transaction at a time and aborts the others: Spanner's emulator.

There two workers of one server, or two sales of one worker, abort each other about once a batch, and an abort costs the client a
third of a transaction (measured with two workers: a tenth more orders with turns). Spanner itself runs them side by side, so
there are no turns at it. A turn is courtesy, and nothing rests on it: without any the transactions are as right.
"""

import multiprocessing
import os
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from app.settings import Settings

LONGEST_SECONDS = 0.25
"""Whoever has not had the turn by then goes ahead without: who had it was killed or suspended, or there are many."""


class Turns:
    """One at a time of the threads of this process and of those forked from it later: a context manager that never fails."""

    def __init__(self) -> None:
        """Nobody has the turn."""
        self._free = multiprocessing.get_context("fork").Semaphore(1)

    def __enter__(self) -> None:
        """Wait for the turn, but not for ever."""
        if self._free.acquire(timeout=LONGEST_SECONDS):
            # Somebody may have gone ahead without, and given back as well what he had not.
            while self._free.acquire(block=False):
                pass

    def __exit__(self, *_: object) -> None:
        """The next one, please. Also of one who went ahead: so a turn that was lost with its holder is there again."""
        self._free.release()


Turn = AbstractContextManager[Any]

NO_TURNS: Turn = nullcontext()

_inherited: Turn = NO_TURNS


def share(settings: Settings) -> None:
    """From now on this process, and those that it forks, take turns: on the emulator, unless the settings say otherwise."""
    global _inherited  # noqa: PLW0603  # a fork hands over memory and nothing else
    if settings.take_turns and os.environ.get("SPANNER_EMULATOR_HOST"):
        _inherited = Turns()


def inherited() -> Turn:
    """The turns of this process and its siblings; NO_TURNS where nobody has shared any."""
    return _inherited
