"""How a request waits for work that runs in another thread: the services' one tie to how the server does many things at once.

Spanner's client blocks its thread, so it runs in plain threads: one for each lane and look. The requests that wait for them are
threads in tests and tools, and greenlets under gunicorn (`app/http/greenlets.py`).
"""

import threading
from collections.abc import Callable, Iterable
from typing import ParamSpec, Protocol, TypeVar

from app.services.turns import NO_TURNS, Turn

Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")


class Waiter(Protocol):
    """A place to wait for one event."""

    def wait(self, seconds: float) -> bool:
        """Wait at most so long; whether the event came."""


class Concurrency(Protocol):
    """Makes requests wait, and wakes them."""

    turn: Turn
    """At the database, for each transaction of a queue."""

    def waiter(self) -> Waiter:
        """A new place to wait, for the request that asks for it."""

    def wake(self, waiters: Iterable[Waiter]) -> None:
        """Let the event come for these, from any thread."""

    def run(self, work: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        """Do blocking work on behalf of a request, without holding up the others."""


class _LockWaiter:
    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def wait(self, seconds: float) -> bool:
        return self._lock.acquire(timeout=max(0.0, seconds))

    def come(self) -> None:
        self._lock.release()


class Threads:
    """Requests are threads: waiting blocks them, and blocking work harms nobody."""

    turn = NO_TURNS

    def waiter(self) -> Waiter:
        """A lock that the event opens."""
        return _LockWaiter()

    def wake(self, waiters: Iterable[Waiter]) -> None:
        """Open the locks."""
        for waiter in waiters:
            if isinstance(waiter, _LockWaiter):
                waiter.come()

    def run(self, work: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        """Do it here."""
        return work(*args, **kwargs)
