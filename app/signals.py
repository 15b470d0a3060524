"""Signals handled otherwise for a while: what is half begun when one comes could not be ended."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def handled(handler: Callable[[int, Any], Any] | signal.Handlers, *numbers: signal.Signals) -> Iterator[None]:
    """Handle these signals so within the block. In any thread but the main one nothing changes: signals are the main thread's.

    Processes started within inherit SIG_IGN, and no other handler.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


@contextmanager
def held(*numbers: signal.Signals) -> Iterator[None]:
    """Keep these signals until the end of the block, and let the first that came have its effect then."""
    came: list[int] = []
    try:
        with handled(lambda caught, _frame: came.append(caught), *numbers):
            yield
    finally:
        if came:
            signal.raise_signal(came[0])
