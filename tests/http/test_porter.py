"""Requests are let in as they came, and orders too many are answered between two steps of the hub."""

import gc
import weakref
from collections.abc import Iterator
from typing import Any

import gevent
import pytest
from gevent import socket
from test_sheddable import ORDER

from app.http.connections import Connection, Lobby
from app.http.porter import Porter

ANSWER = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\n{}"
LOOK = b"GET /healthz HTTP/1.1\r\nHost: fairdrop\r\n\r\n"
CONNECTIONS = 50
PATIENCE_SECONDS = 60


class Gate:
    """Shut until somebody opens it."""

    def __init__(self) -> None:
        self.is_shut = True
        self.count = 0

    def refused(self, orders: int) -> None:
        """Count them."""
        self.count += orders


class Ends:
    """Connections to a porter, and what was let in, in order."""

    def __init__(self, gate: Gate | None, idle_seconds: float) -> None:
        self.let_in: list[tuple[int, bytes | type[BaseException]]] = []
        self.lobby = Lobby(1_000)
        self._porter = Porter(gevent.get_hub(), gate, self.lobby, lambda: ANSWER)
        self._idle_seconds = idle_seconds
        self.clients: list[Any] = []
        self.connections: list[Connection] = []
        self.greenlets: list[gevent.Greenlet[..., None]] = []
        for number in range(CONNECTIONS):
            self._connect(number)
        # Long enough for the kernel to be asked of each: only what it has been asked of has an order.
        gevent.sleep(0.01)
        gevent.sleep(0.01)

    def _connect(self, number: int) -> None:
        client, ours = socket.socketpair()
        client.settimeout(PATIENCE_SECONDS)
        self.lobby.enter()
        connection = Connection(ours, self.lobby, self._idle_seconds)
        connection.receive_first_by(self._porter.door(ours, connection.renew))
        self.clients.append(client)
        self.connections.append(connection)
        self.greenlets.append(gevent.spawn(self._read, number, connection))

    def _read(self, number: int, connection: Connection) -> None:
        try:
            self.let_in.append((number, connection.recv(8_192)))
        except OSError as error:
            self.let_in.append((number, type(error)))

    def wait(self) -> None:
        """Until somebody was let in."""
        with gevent.Timeout(PATIENCE_SECONDS):
            while not self.let_in:
                gevent.sleep(0.001)

    def close(self) -> None:
        """Everything."""
        gevent.killall(self.greenlets)
        for connection in (*self.connections, *self.clients):
            connection.close()


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def ends(gate: Gate) -> Iterator[Ends]:
    made = Ends(gate, PATIENCE_SECONDS)
    yield made
    made.close()


def test_who_came_first_is_let_in_first(ends: Ends, gate: Gate) -> None:
    gate.is_shut = False
    turn = [(7 * number) % CONNECTIONS for number in range(CONNECTIONS)]
    for number in turn:
        ends.clients[number]._sock.send(ORDER)
    gevent.joinall(ends.greenlets, PATIENCE_SECONDS)
    assert ends.let_in == [(number, ORDER) for number in turn]


def test_orders_are_refused_while_the_gate_is_shut_and_whoever_asks_for_something_else_is_let_in(
    ends: Ends, gate: Gate
) -> None:
    ends.clients[0].sendall(ORDER + ORDER)
    ends.clients[1].sendall(LOOK)
    ends.clients[2].sendall(ORDER + LOOK)
    ends.clients[3].sendall(ORDER[:-1])
    ends.wait()
    assert ends.let_in == [(1, LOOK), (2, LOOK), (3, ORDER[:-1])]
    assert ends.clients[0].recv(8_192).count(b"HTTP/1.1 503") == 2
    assert ends.clients[2].recv(8_192).count(b"HTTP/1.1 503") == 1
    assert gate.count == 3


def test_who_was_refused_is_let_in_on_the_same_connection_once_the_gate_is_open(ends: Ends, gate: Gate) -> None:
    for _ in range(3):
        ends.clients[0].sendall(ORDER)
        head, _, body = ends.clients[0].recv(8_192).partition(b"\r\n\r\n")
        assert b"\r\nDate: " in head
        assert body == b"{}"
    gate.is_shut = False
    ends.clients[0].sendall(ORDER)
    ends.wait()
    assert ends.let_in == [(0, ORDER)]


def test_who_was_refused_gives_way_after_those_who_have_asked_for_nothing(ends: Ends) -> None:
    assert next(iter(ends.lobby.without_request)) is ends.connections[0]
    ends.clients[0].sendall(ORDER)
    ends.clients[0].recv(8_192)
    assert list(ends.lobby.without_request)[-1] is ends.connections[0]


def test_who_does_not_take_the_refusals_is_let_go(ends: Ends) -> None:
    with gevent.Timeout(PATIENCE_SECONDS):
        while not ends.let_in:
            ends.clients[0]._sock.send(ORDER)
            gevent.sleep(0.001)  # the next one comes alone
    assert ends.let_in == [(0, ConnectionResetError)]


def test_a_process_that_is_about_to_end_refuses_nobody_unread(ends: Ends) -> None:
    ends.clients[0].sendall(ORDER)  # has come before the lobby closes
    ends.lobby.is_closed = True
    ends.wait()
    assert ends.let_in == [(0, ORDER)]


def test_a_connection_that_is_over_leaves_nothing_to_the_collector(gate: Gate) -> None:
    client, ours = socket.socketpair()
    lobby = Lobby(1)
    lobby.enter()
    connection = Connection(ours, lobby, PATIENCE_SECONDS)
    connection.receive_first_by(Porter(gevent.get_hub(), gate, lobby, lambda: ANSWER).door(ours, connection.renew))
    client.sendall(LOOK)
    assert connection.recv(8_192) == LOOK
    over = weakref.ref(ours)
    gc.disable()
    try:
        connection.close()
        lobby.leave(connection)
        del connection, ours
        gevent.sleep(0)  # a socket is closed by the hub
        assert over() is None
    finally:
        gc.enable()
        client.close()


def test_a_client_that_hangs_up_is_heard_of_and_an_idle_one_is_waited_for_no_longer(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.http.connections.WAIT_SECONDS", 0.05)
    ends = Ends(gate, 0.1)
    ends.clients[0].close()
    gevent.joinall(ends.greenlets, PATIENCE_SECONDS)
    assert sorted(ends.let_in) == [(number, b"") for number in range(CONNECTIONS)]
    assert ends.let_in[0] == (0, b"")
    ends.close()
