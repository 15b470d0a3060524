"""Requests that wait for another thread are woken in turn, and the server looks at its sockets in between."""

import threading
from collections.abc import Iterator
from types import SimpleNamespace

import gevent
import pytest
from gevent import socket

from app.http.greenlets import WAKE_SLICE, Greenlets

PATIENCE_SECONDS = 60


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    theirs, ours = socket.socketpair()
    yield theirs, ours
    theirs.close()
    ours.close()


def test_many_are_woken_in_their_order_and_a_newcomer_is_heard_before_the_last_of_them(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    theirs, ours = ends
    greenlets, seen = Greenlets(), []
    waiters = [greenlets.waiter() for _ in range(4 * WAKE_SLICE)]

    def wait(number: int) -> None:
        assert waiters[number].wait(PATIENCE_SECONDS)
        seen.append(number)
        if not number:
            theirs._sock.send(b"newcomer")

    def listen() -> None:
        ours.recv(100)
        seen.append(-1)

    waiting = [gevent.spawn(wait, number) for number in range(len(waiters))]
    waiting.append(gevent.spawn(listen))
    gevent.sleep(0.01)
    threading.Thread(target=greenlets.wake, args=[waiters]).start()
    gevent.joinall(waiting, PATIENCE_SECONDS, raise_error=True)
    assert [number for number in seen if number >= 0] == list(range(len(waiters)))
    assert WAKE_SLICE <= seen.index(-1) < len(waiters)


def test_those_woken_meanwhile_come_after_them_and_nobody_is_forgotten() -> None:
    greenlets, seen = Greenlets(), []
    waiters = [greenlets.waiter() for _ in range(3 * WAKE_SLICE)]

    def wait(number: int) -> None:
        assert waiters[number].wait(PATIENCE_SECONDS)
        seen.append(number)

    waiting = [gevent.spawn(wait, number) for number in range(len(waiters))]
    gevent.sleep(0.01)
    pieces = [waiters[:70], waiters[70:71], waiters[71:]]
    threading.Thread(target=lambda: [greenlets.wake(piece) for piece in pieces]).start()
    gevent.joinall(waiting, PATIENCE_SECONDS, raise_error=True)
    assert seen == list(range(len(waiters)))


def test_to_wake_nobody_leaves_the_hub_asleep() -> None:
    greenlets, told = Greenlets(), []
    waiter = greenlets.waiter()
    greenlets._hub = SimpleNamespace(loop=SimpleNamespace(run_callback_threadsafe=told.append))
    greenlets.wake([])
    assert told == []
    greenlets.wake([waiter])
    assert len(told) == 1
