"""One connection's limits, each at its bound: what is too slow or too much ends, and what came in time is read."""

import socket
import threading
import time
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest
from gunicorn.http import errors

from app.http import connections
from app.http.connections import Connection, Lobby, TooSlow, drain

QUICK_SECONDS = 0.2


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HEAD_SECONDS", "BODY_SECONDS", "WAIT_SECONDS", "DRAIN_SECONDS", "CLOSING_SECONDS", "LINGER_SECONDS"):
        monkeypatch.setattr(connections, name, QUICK_SECONDS)


class Pair:
    """A client, and our end of its connection."""

    def __init__(self, lobby: Lobby | None = None) -> None:
        self.client, self._ours = socket.socketpair()
        self.client.settimeout(60)
        self.lobby = lobby or Lobby(100)
        self.lobby.enter()
        self.connection = Connection(self._ours, self.lobby, 3 * QUICK_SECONDS)


@pytest.fixture
def pair() -> Iterator[Pair]:
    made = Pair()
    yield made
    made.client.close()
    made.connection.close()


class Trickle(threading.Thread):
    """Sends a byte every few hundredths of a second until it is stopped."""

    def __init__(self, client: socket.socket) -> None:
        super().__init__(daemon=True)
        self._client = client
        self._enough = threading.Event()

    def run(self) -> None:
        while not self._enough.wait(QUICK_SECONDS / 10):
            self._client.sendall(b"x")

    def __enter__(self) -> "Trickle":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self.join()


def read_on(connection: Connection) -> None:
    give_up = time.monotonic() + 60
    while time.monotonic() < give_up:
        assert connection.recv(8_192)


def test_a_head_that_trickles_is_too_slow(pair: Pair) -> None:
    with Trickle(pair.client), pytest.raises(TooSlow):
        read_on(pair.connection)


def test_a_body_that_trickles_is_too_slow(pair: Pair) -> None:
    pair.client.sendall(b"the head")
    assert pair.connection.recv(8_192) == b"the head"
    pair.connection.begin_answer()
    with Trickle(pair.client), pytest.raises(TooSlow):
        read_on(pair.connection)


def test_a_head_may_be_as_large_as_the_bound_and_not_a_byte_larger(pair: Pair) -> None:
    pair.client.sendall(b"x" * connections.MAX_HEAD_BYTES)
    taken = 0
    while taken < connections.MAX_HEAD_BYTES:
        taken += len(pair.connection.recv(8_192))
    pair.client.sendall(b"x")
    with pytest.raises(errors.LimitRequestHeaders):
        pair.connection.recv(8_192)


def test_the_next_request_begins_with_limits_of_its_own(pair: Pair) -> None:
    for _ in range(5):
        pair.client.sendall(b"x" * (connections.MAX_HEAD_BYTES // 2))
        taken = 0
        while taken < connections.MAX_HEAD_BYTES // 2:
            taken += len(pair.connection.recv(8_192))
        pair.connection.begin_answer()
        pair.connection.await_request()


def test_who_sends_nothing_is_closed_without_a_word(pair: Pair) -> None:
    assert pair.connection.recv(8_192) == b""


def test_who_takes_no_answer_is_given_up(pair: Pair) -> None:
    with pytest.raises(ConnectionResetError):
        pair.connection.sendall(b"x" * 50_000_000)


def test_when_places_are_scarce_the_one_without_a_request_for_longest_gives_way() -> None:
    lobby = Lobby(10)
    pairs = [Pair(lobby) for _ in range(9)]
    asking = pairs[0]
    asking.client.sendall(b"a request")
    assert asking.connection.recv(8_192) == b"a request"
    asking.connection.begin_answer()
    pairs.append(Pair(lobby))
    assert list(lobby.without_request) == [pair.connection for pair in pairs[2:]]
    asking.connection.await_request()
    assert list(lobby.without_request)[-1] is asking.connection
    for pair in pairs:
        lobby.leave(pair.connection)
        pair.client.close()
        pair.connection.close()
    assert lobby.without_request == {}


def test_a_request_that_came_in_the_moment_of_closing_is_still_read(pair: Pair) -> None:
    pair.client.sendall(b"a request")
    pair.lobby.close()
    assert pair.connection.recv(8_192) == b"a request"
    pair.connection.begin_answer()
    pair.connection.sendall(b"an answer")
    assert pair.client.recv(100) == b"an answer"
    pair.connection.await_request()
    assert pair.connection.recv(8_192) == b""


def test_closing_wakes_who_waits(pair: Pair) -> None:
    found: list[bytes] = []
    waits = threading.Thread(target=lambda: found.append(pair.connection.recv(8_192)), daemon=True)
    waits.start()
    pair.lobby.close()
    waits.join(60)
    assert found == [b""]


class Body:
    """A body as gunicorn has it."""

    failed = False
    reader: Any = None

    def __init__(self, length: int) -> None:
        self._left = BytesIO(b"x" * length)

    def read(self, size: int) -> bytes:
        return self._left.read(size)


@pytest.mark.parametrize(("length", "is_taken"), [(0, True), (100_000, True), (connections.MAX_DRAIN_BYTES * 2, False)])
def test_a_body_that_nobody_wanted_is_taken_in_up_to_a_bound(pair: Pair, length: int, is_taken: bool) -> None:
    assert drain(pair.connection, Body(length)) is is_taken


def test_what_comes_behind_a_last_answer_is_taken_in_for_a_moment_only(pair: Pair) -> None:
    with Trickle(pair.client):
        pair.connection.linger()
