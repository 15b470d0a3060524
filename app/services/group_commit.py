"""Group commit: while one commit is in flight the next batch gathers; a lone request never waits for others.

What is taken, and by which transaction, is the subclass's: orders (`lane.py`), cancels (`cancelling.py`).
"""

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from opentelemetry.trace import Span

from app.domain.errors import FairdropError, Overloaded
from app.services.concurrency import Concurrency, Waiter

_log = logging.getLogger(__name__)

Request = TypeVar("Request")
Answer = TypeVar("Answer")

CROWD_REQUESTS = 8
CROWD_INTERVAL_SECONDS = 0.05
"""A transaction costs the client some 3 ms however many requests it has. So while a crowd is there (the last batch had
CROWD_REQUESTS or more), transactions start at most so often, and batches fill; a lone request is never held back."""

CROWD_BATCH = 64
"""So many are enough: they wait no longer. Waiting for more gathers the whole crowd in one batch, and then requests and database
take turns at having nothing to do (measured with 256 connections: 2,400 orders a second, against 3,100)."""

IDLE_SECONDS = 60.0
"""A queue without requests gives its thread back."""


class Ticket(Generic[Request, Answer]):
    """One request in a queue, and the place where its answer appears."""

    __slots__ = ("abandoned", "answer", "deadline", "request", "span", "waiter")

    def __init__(self, request: Request, deadline: float, waiter: Waiter, span: Span | None = None) -> None:
        """Take a place; `deadline` is a monotonic time in seconds, `span` the wait as its trace has it."""
        self.request = request
        self.deadline = deadline
        self.waiter = waiter
        self.span = span
        self.abandoned = False
        self.answer: Answer | FairdropError | None = None

    def wait(self) -> Answer:
        """The answer; raises what was refused, or Overloaded when the deadline passes first (it may still be done)."""
        if not self.waiter.wait(self.deadline - time.monotonic()):
            self.abandoned = True
            raise Overloaded(retry_after_seconds=1)
        if isinstance(self.answer, FairdropError):
            raise self.answer
        if self.answer is None:
            raise AssertionError("a ticket was answered with nothing")
        return self.answer


class GroupCommit(ABC, Generic[Request, Answer]):
    """A bounded queue of requests and the one thread that works on them, in which Spanner's client may block."""

    def __init__(self, concurrency: Concurrency, name: str, capacity: int, batch_limit: int) -> None:
        """Open the queue; its thread starts with the first request and bears the name."""
        self._concurrency = concurrency
        self._name = name
        self._capacity = capacity
        self._batch_limit = batch_limit
        self._queue: SimpleQueue[Ticket[Request, Answer]] = SimpleQueue()
        self._start_lock = threading.Lock()
        self._running = False
        self._filled = threading.Event()

    @property
    def is_full(self) -> bool:
        """Whether a request would be refused now."""
        return self._queue.qsize() >= self._capacity

    @property
    def depth(self) -> int:
        """Requests that wait for the next batch."""
        return self._queue.qsize()

    def submit(self, request: Request, deadline: float, span: Span | None = None) -> Ticket[Request, Answer]:
        """Put a request into the queue; raises Overloaded when it is full."""
        if self.is_full:
            raise Overloaded(retry_after_seconds=1)
        ticket: Ticket[Request, Answer] = Ticket(request, deadline, self._concurrency.waiter(), span)
        self._queue.put(ticket)
        if not self._filled.is_set() and self._queue.qsize() >= self._enough():
            self._filled.set()
        if not self._running:
            with self._start_lock:
                if not self._running:
                    # In this order: a thread that cannot be started is tried again by the next request.
                    threading.Thread(target=self._drain, name=self._name, daemon=True).start()
                    self._running = True
        return ticket

    def _enough(self) -> int:
        """How many requests wait no longer for others."""
        return CROWD_BATCH

    @abstractmethod
    def _run(self, batch: Sequence[Ticket[Request, Answer]]) -> None:
        """Do a batch and answer each ticket. Must never raise: an error of the batch is every ticket's answer."""

    def _drain(self) -> None:
        """The queue's thread: batch after batch, until no request has come for a while."""
        last_started, crowded = 0.0, False
        while True:
            try:
                first = self._queue.get(timeout=IDLE_SECONDS)
            except Empty:
                with self._start_lock:
                    # In this order: whoever then still sees it running has put his request in before, and it is seen here.
                    self._running = False
                    if self._queue.empty():
                        return
                    self._running = True
                continue
            if crowded:
                self._await_more(last_started + CROWD_INTERVAL_SECONDS)
            with self._concurrency.turn:
                last_started = time.monotonic()
                batch = self._gather(first)
                crowded = len(batch) >= CROWD_REQUESTS
                if batch:
                    self._run_guarded(batch)

    def _await_more(self, until: float) -> None:
        """Let the batch fill, until that monotonic time at the latest."""
        self._filled.clear()
        # In this order: whoever fills the batch from here on sets it again.
        if self._queue.qsize() < self._enough():
            self._filled.wait(max(0.0, until - time.monotonic()))

    def _run_guarded(self, batch: Sequence[Ticket[Request, Answer]]) -> None:
        """The thread lives on whatever happens: without it every request would wait for its deadline, for ever after."""
        try:
            self._run(batch)
        except Exception:
            _log.exception("%s: a batch of %d requests failed", self._name, len(batch))

    def _gather(self, first: Ticket[Request, Answer]) -> list[Ticket[Request, Answer]]:
        """What has come by now, in the order in which it came, up to the limit; without those that nobody waits for any more."""
        batch = [first]
        while len(batch) < self._batch_limit:
            try:
                batch.append(self._queue.get_nowait())
            except Empty:
                break
        return [ticket for ticket in batch if not ticket.abandoned]

    def _answer_all(self, batch: Sequence[Ticket[Request, Answer]], error: FairdropError) -> None:
        for ticket in batch:
            ticket.answer = error
        self._concurrency.wake(ticket.waiter for ticket in batch)
