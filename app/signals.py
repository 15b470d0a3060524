"""Signals that wait: what is half begun when one comes could not be ended."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def held(*numbers: signal.Signals) -> Iterator[None]:
    """Keep these signals until the end of the block, and let the first that came have its effect then.

    Processes started within do not inherit it. In any thread but the main one nothing is held: signals are the main thread's.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {number: signal.signal(number, lambda caught, _frame: came.append(caught)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])
