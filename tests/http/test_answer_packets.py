"""An answer's head goes out with its body, and never waits for a body that does not come."""

from collections.abc import Iterator
from typing import Any

import gevent
import pytest
from gevent import socket

from app.http.connections import Connection, Lobby

HEAD = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n"
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Line:
    """A connection in the midst of an answer, and the packets that its client gets."""

    def __init__(self, *, is_plain: bool) -> None:
        # Datagrams keep what was sent at once apart from what was sent later.
        self.client, self._ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.client.setblocking(False)
        self.connection = Connection(self._ours, Lobby(10), 1.0)
        if is_plain:
            self.connection.receive_first_by(Nobody())
        self.connection.begin_answer()

    def packets(self) -> list[bytes]:
        """Those that have come."""
        packets = []
        while True:
            try:
                packets.append(self.client._sock.recv(8_192))
            except BlockingIOError:
                return packets

    def close(self) -> None:
        """Both ends."""
        self.connection.close()
        self.client.close()


class Nobody:
    """First bytes that never come."""

    def recv(self, size: int) -> bytes:
        """None."""
        raise AssertionError(size)

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture(params=[True, False], ids=["plain", "by gevent"])
def line(request: Any) -> Iterator[Line]:
    line = Line(is_plain=request.param)
    yield line
    line.close()


def test_the_head_and_the_body_are_one_packet_and_what_follows_is_sent_at_once(line: Line) -> None:
    line.connection.sendall(HEAD)
    assert line.packets() == []
    line.connection.sendall(b"{}")
    line.connection.sendall(b"more")
    assert line.connection.end_answer()
    assert line.packets() == [HEAD + b"{}", b"more"]


def test_a_head_that_has_no_body_is_sent_when_the_answer_ends_and_once(line: Line) -> None:
    line.connection.sendall(HEAD)
    assert line.connection.end_answer()
    assert line.connection.end_answer()
    assert line.packets() == [HEAD]


@pytest.mark.parametrize(
    "head", [STREAM, CONTINUE, HEAD + b"{}"], ids=["a stream", "an interim answer", "a whole answer"]
)
def test_a_head_that_does_not_surely_have_its_body_behind_it_waits_for_nothing(line: Line, head: bytes) -> None:
    line.connection.sendall(head)
    assert line.packets() == [head]


def test_what_is_sent_before_or_after_an_answer_waits_for_nothing(line: Line) -> None:
    line.connection.end_answer()
    line.connection.sendall(HEAD)
    assert line.packets() == [HEAD]


def test_the_next_answer_on_a_connection_is_one_packet_too(line: Line) -> None:
    for _ in range(2):
        line.connection.begin_answer()
        line.connection.sendall(HEAD)
        line.connection.sendall(b"{}")
        line.connection.end_answer()
    assert line.packets() == [HEAD + b"{}"] * 2


def test_of_a_client_that_has_gone_it_is_said_that_it_has_not_all(line: Line) -> None:
    line.connection.sendall(HEAD)
    line.client.close()
    assert not line.connection.end_answer()


def test_an_answer_larger_than_the_socket_takes_at_once_comes_whole() -> None:
    client, ours = socket.socketpair()
    connection = Connection(ours, Lobby(10), 1.0)
    connection.receive_first_by(Nobody())
    connection.begin_answer()
    body = bytes(range(256)) * 20_000
    sending = gevent.spawn(lambda: [connection.sendall(HEAD), connection.sendall(body)])
    came = b""
    while len(came) < len(HEAD) + len(body):
        came += client.recv(65_536)
    sending.join()
    assert came == HEAD + body
    connection.close()
    client.close()
