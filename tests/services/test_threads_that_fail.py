"""The threads behind the requests: one that cannot be started, or meets a fault of ours, leaves nothing that hangs."""

import threading
import time
from collections.abc import Callable, Sequence

import pytest
from counter_samples import PATIENCE_SECONDS, open_counter, order
from sale_samples import put_up
from waiting_world import wait, waiting_room, waitlisted, watch, watches

from app.domain.states import Status
from app.services.concurrency import Threads
from app.services.group_commit import GroupCommit, Ticket
from app.settings import Settings
from app.storage.database import FairdropDatabase


class Doubling(GroupCommit[int, int]):
    """Answers with twice the number; of 0 it dies."""

    def __init__(self) -> None:
        super().__init__(Threads(), "doubling", capacity=10, batch_limit=10)

    def _run(self, batch: Sequence[Ticket[int, int]]) -> None:
        for ticket in batch:
            ticket.answer = 2 // ticket.request * ticket.request**2
        self._concurrency.wake(ticket.waiter for ticket in batch)

    def ask(self, number: int) -> Ticket[int, int]:
        return self.submit(number, time.monotonic() + PATIENCE_SECONDS)


@pytest.fixture
def refuse_once(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Lets the next thread of a name not start, as when the system has no more of them."""
    start = threading.Thread.start
    refused: set[str] = set()

    def start_or_refuse(thread: threading.Thread) -> None:
        if thread.name in refused:
            refused.remove(thread.name)
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_or_refuse)
    return refused.add


def test_a_batch_that_dies_of_a_fault_does_not_take_the_queue_with_it() -> None:
    queue = Doubling()
    queue.ask(0)
    while not queue._queue.empty():
        time.sleep(0.001)
    assert queue.ask(1).wait() == 2


def test_a_queue_whose_thread_cannot_be_started_starts_it_with_the_next_request(
    refuse_once: Callable[[str], None],
) -> None:
    queue = Doubling()
    refuse_once("doubling")
    with pytest.raises(RuntimeError):
        queue.ask(1)
    assert queue.ask(1).wait() == 2


def test_a_look_that_cannot_be_started_keeps_nobody_from_looking_again(
    settings: Settings, database: FairdropDatabase, refuse_once: Callable[[str], None]
) -> None:
    sale, counter = put_up(database), open_counter(settings)
    refuse_once(f"look {sale.sale_id}")
    with pytest.raises(RuntimeError):
        order(counter, sale, "ann")
    assert order(counter, sale, "ann").order.status is Status.PLACED


def test_who_waits_for_an_outcome_is_followed_when_the_thread_can_be_started_again(
    settings: Settings, database: FairdropDatabase, refuse_once: Callable[[str], None]
) -> None:
    _, (mine,) = waitlisted(settings, database, 1)
    room = waiting_room(settings)
    refuse_once("outcomes")
    with pytest.raises(RuntimeError):
        watch(room, mine)
    assert watches(room) == []
    assert wait(room, mine, after=0) == mine
