"""When a batch starts: a lone request at once, a crowd's when it is full, or when its time has come."""

import threading
import time
from collections.abc import Sequence

import pytest

from app.services import group_commit
from app.services.concurrency import Threads
from app.services.group_commit import CROWD_BATCH, CROWD_REQUESTS, GroupCommit, Ticket

PATIENCE_SECONDS = 20.0
NEVER_SECONDS = 3_600.0


class Echo(GroupCommit[int, int]):
    """Answers each request with itself, and keeps the batches; held, it works on nothing."""

    def __init__(self) -> None:
        super().__init__(Threads(), "echo", capacity=10_000, batch_limit=256)
        self.batches: list[list[int]] = []
        self.enough = CROWD_BATCH
        self.free = threading.Event()
        self.free.set()

    def _enough(self) -> int:
        return self.enough

    def _run(self, batch: Sequence[Ticket[int, int]]) -> None:
        self.free.wait(PATIENCE_SECONDS)
        self.batches.append([ticket.request for ticket in batch])
        for ticket in batch:
            ticket.answer = ticket.request
        self._concurrency.wake(ticket.waiter for ticket in batch)

    def send(self, count: int) -> list[Ticket[int, int]]:
        return [self.submit(number, time.monotonic() + PATIENCE_SECONDS) for number in range(count)]


def crowded() -> Echo:
    """A queue whose last batch was a crowd's."""
    queue = Echo()
    queue.free.clear()
    first = queue.send(1 + CROWD_REQUESTS)
    queue.free.set()
    for ticket in first:
        ticket.wait()
    while sum(map(len, queue.batches)) < len(first):
        time.sleep(0.001)
    assert len(queue.batches[-1]) >= CROWD_REQUESTS
    return queue


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "CROWD_INTERVAL_SECONDS", NEVER_SECONDS)


@pytest.mark.usefixtures("endless")
def test_a_full_batch_does_not_wait_for_its_time() -> None:
    queue = crowded()
    tickets = queue.send(CROWD_BATCH + 1)
    assert [ticket.wait() for ticket in tickets] == list(range(CROWD_BATCH + 1))


@pytest.mark.usefixtures("endless")
def test_a_batch_that_is_not_full_waits_and_takes_who_comes_meanwhile() -> None:
    queue = crowded()
    before = len(queue.batches)
    early = queue.send(CROWD_BATCH // 2)
    time.sleep(0.05)
    assert len(queue.batches) == before
    # No more than fill the batch, the first being out of the queue already: who came too late for it would wait for ever.
    late = queue.send(CROWD_BATCH + 1 - len(early))
    for ticket in early + late:
        ticket.wait()
    assert len(queue.batches[before]) == CROWD_BATCH + 1


@pytest.mark.usefixtures("endless")
def test_a_queue_for_which_more_is_enough_waits_for_as_many() -> None:
    queue = crowded()
    queue.enough = 3 * CROWD_BATCH
    before = len(queue.batches)
    early = queue.send(2 * CROWD_BATCH)
    time.sleep(0.05)
    assert len(queue.batches) == before
    for ticket in early + queue.send(CROWD_BATCH + 1):
        ticket.wait()
    assert len(queue.batches[before]) > 2 * CROWD_BATCH


def test_a_batch_that_does_not_fill_starts_when_its_time_has_come() -> None:
    queue = crowded()
    assert [ticket.wait() for ticket in queue.send(3)] == [0, 1, 2]


@pytest.mark.usefixtures("endless")
def test_a_lone_request_waits_for_nobody() -> None:
    queue = Echo()
    for _ in range(5):
        [ticket] = queue.send(1)
        assert ticket.wait() == 0


def test_who_comes_while_another_has_the_turn_is_in_the_batch_that_waits_for_it() -> None:
    queue, turn = Echo(), threading.Lock()
    queue._concurrency.turn = turn
    with turn:
        tickets = queue.send(1)
        while queue.depth:
            time.sleep(0.001)
        tickets += queue.send(4)
        assert queue.batches == []
    for ticket in tickets:
        ticket.wait()
    assert queue.batches == [[0, 0, 1, 2, 3]]
