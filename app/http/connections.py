"""A client's connection with a limit to everything that it may make us wait for, and who gives way when places are scarce.

The web server reads from a Connection as from a socket. A limit counts from the moment when a phase began, not from the last
byte, so that no trickle stretches it. Nothing of the app is imported here: a worker is loaded before it forks.
"""

import errno
import socket
import time
from contextlib import suppress
from typing import Any, Protocol

from gunicorn.http import errors

HEAD_SECONDS = 10.0
"""From the first byte of a request to the last of its head. A phone on a bad network needs one or two."""

MAX_HEAD_BYTES = 32_768
"""Of a request's line and headers together. The server's own bound is half a megabyte a connection, times all of them."""

BODY_SECONDS = 10.0
"""From the end of the head to the end of the body, which is some kilobytes."""

WAIT_SECONDS = 25.0
"""For the client to take a piece of an answer: one that takes nothing for so long is gone, or means us ill. It is the one limit
that a socket has all the time, for to set it costs; so an idle connection is waited for in steps of it."""

DRAIN_SECONDS = 5.0
MAX_DRAIN_BYTES = 2 * 1024 * 1024
"""Of a body that nobody wanted, so that its sender can still read why; past either, the connection is closed."""

LINGER_SECONDS = 1.0
"""The same, behind what was no request at all."""

DRAIN_PIECE_BYTES = 65_536

CLOSING_SECONDS = 1.0
"""How long a connection without a request is listened to once the process is about to end."""

SCARCE_SHARE = 0.9
"""Of a worker's places. Past it, who has held one the longest without a whole request gives way to each newcomer."""


class TooSlow(errors.ParseException):  # type: ignore[misc]  # gunicorn is untyped
    """A request has begun, and has not come to its end in time."""


class Lobby:
    """Who is connected to this worker; of these, who has no whole request with us, the longest-waiting first."""

    def __init__(self, places: int) -> None:
        """Nobody is there."""
        self.is_closed = False
        self.without_request: dict[Connection, None] = {}
        self._scarce = int(places * SCARCE_SHARE)
        self._count = 0

    def enter(self) -> None:
        """Somebody comes; when places are scarce, somebody who has asked for nothing goes."""
        self._count += 1
        if self._count > self._scarce and self.without_request:
            next(iter(self.without_request)).let_go()

    def leave(self, connection: "Connection") -> None:
        """Somebody goes."""
        self._count -= 1
        self.without_request.pop(connection, None)

    def renew(self, connection: "Connection") -> None:
        """Somebody has asked for something, and has been answered without further ado."""
        if self.without_request.pop(connection, self) is None:
            self.without_request[connection] = None

    def close(self) -> None:
        """Let go of all who have no whole request with us; the others are answered first."""
        self.is_closed = True
        for connection in list(self.without_request):
            connection.let_go()


_IDLE, _HEAD, _BODY = range(3)


class FirstBytes(Protocol):
    """How the first bytes of a request are received, as from a socket."""

    def recv(self, size: int) -> bytes:
        """Raises OSError; TimeoutError when nothing came for the socket's own time."""

    def close(self) -> None:
        """The connection is over."""


def never_waiting(client: Any) -> Any:
    """The plain socket of a gevent one, whose calls raise BlockingIOError where gevent's would wait."""
    return client._sock  # gevent has no other name for it


class Connection:
    """A socket as gunicorn uses one."""

    __slots__ = (
        "_deadline",
        "_first",
        "_head_bytes",
        "_held",
        "_idle_seconds",
        "_is_at_boundary",
        "_is_head_due",
        "_is_let_go",
        "_lobby",
        "_phase",
        "_raw",
        "_socket",
    )

    def __init__(self, client: Any, lobby: Lobby, idle_seconds: float) -> None:
        """Wait for the first request, for so long at most."""
        client.settimeout(WAIT_SECONDS)
        self._socket = client
        self._lobby = lobby
        self._idle_seconds = idle_seconds
        self._is_let_go = False
        self._deadline: float | None = None
        self._head_bytes = 0
        self._first: FirstBytes | None = None
        self._raw: Any = None
        self._is_head_due = False
        self._held = b""
        self.await_request()

    def receive_first_by(self, first: FirstBytes) -> None:
        """Where a request begins, its bytes come from there, and not from the socket. Not with TLS."""
        self._first = first
        self._raw = never_waiting(self._socket)

    def await_request(self, *, is_begun: bool = False) -> None:
        """The next request may take its time to begin. `is_begun`: some of it came with the one before, and is known already."""
        self._phase = _IDLE
        self._is_at_boundary = not is_begun
        self._lobby.without_request[self] = None

    def renew(self) -> None:
        """A request was answered before it came to the server."""
        self._lobby.renew(self)

    def begin_answer(self) -> None:
        """The head is here: now the body, if there is one, and then our answer."""
        self._phase, self._deadline, self._is_head_due = _BODY, None, True
        self._lobby.without_request.pop(self, None)

    def begin_drain(self) -> None:
        """What still comes of the body is for nobody."""
        self._deadline = time.monotonic() + DRAIN_SECONDS

    def recv(self, size: int) -> bytes:
        """Some bytes, or none when the client, or we, have closed. Raises TooSlow, LimitRequestHeaders and OSError."""
        if self._phase == _IDLE:
            return self._first_bytes(size)
        if self._deadline is None:
            self._deadline = time.monotonic() + (HEAD_SECONDS if self._phase == _HEAD else BODY_SECONDS)
        data = self._bytes_until(self._deadline, size)
        if self._phase == _HEAD:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                raise errors.LimitRequestHeaders("the head is too large")
        return data

    def _first_bytes(self, size: int) -> bytes:
        """The beginning of a request; none when it does not begin."""
        left = self._idle_seconds
        if self._lobby.is_closed:
            left = CLOSING_SECONDS
            self._socket.settimeout(left)
        recv = self._first.recv if self._first is not None and self._is_at_boundary else self._socket.recv
        while True:
            try:
                data: bytes = recv(size)
                break
            except TimeoutError:
                left -= WAIT_SECONDS
                if left <= 0:
                    return b""
            except OSError:
                if not self._is_let_go:
                    raise
                data = self._what_is_there(size)
                break
        self._phase, self._deadline, self._head_bytes = _HEAD, None, len(data)
        return data

    def _bytes_until(self, deadline: float, size: int) -> bytes:
        """More of what has begun. Raises TooSlow."""
        left = deadline - time.monotonic()
        if left <= 0:
            raise TooSlow
        self._socket.settimeout(left)
        try:
            data: bytes = self._socket.recv(size)
        except TimeoutError:
            raise TooSlow from None
        except OSError:
            if not self._is_let_go:
                raise
            return self._what_is_there(size)
        else:
            return data
        finally:
            self._socket.settimeout(WAIT_SECONDS)

    def _what_is_there(self, size: int) -> bytes:
        """A request that came in the moment when we gave up waiting for one is still a request."""
        self._socket.settimeout(0.0)
        try:
            data: bytes = self._socket.recv(size)
        except OSError:
            return b""
        else:
            return data
        finally:
            self._socket.settimeout(WAIT_SECONDS)

    def let_go(self) -> None:
        """Wait for nothing more from this client. What has come already is still read and answered."""
        self._is_let_go = True
        self._lobby.without_request.pop(self, None)
        try:
            self._socket.shutdown(socket.SHUT_RD)
        except OSError:
            return  # it is gone

    def linger(self) -> None:
        """After a last answer: take in what comes still, for a moment, so that the client can read it."""
        give_up = time.monotonic() + LINGER_SECONDS
        taken = 0
        try:
            self._socket.shutdown(socket.SHUT_WR)
            while taken < MAX_DRAIN_BYTES and (left := give_up - time.monotonic()) > 0:
                self._socket.settimeout(left)
                piece = self._socket.recv(DRAIN_PIECE_BYTES)
                if not piece:
                    return
                taken += len(piece)
        except OSError:
            return  # late, or gone

    def sendall(self, data: bytes) -> None:
        """Send all of it, an answer's head with the first piece of its body: gunicorn writes them apart, and two packets cost
        twice as much (measured: a dozen µs an order). Raises ConnectionResetError for a client that does not take it, and OSError.
        """
        if self._is_head_due:
            self._is_head_due = False
            if data.endswith(b"\r\n\r\n") and b"\r\nContent-Length: " in data:
                self._held = data
                return
        if self._held:
            data, self._held = self._held + data, b""
        self._put(data)

    def end_answer(self) -> bool:
        """Nothing more comes of it: send a head that had no body. Returns whether the client has it all, or nobody knows better."""
        self._is_head_due = False
        if self._held:
            head, self._held = self._held, b""
            try:
                self._put(head)
            except OSError:
                return False
        return True

    def _put(self, data: bytes) -> None:
        if self._raw is not None:
            # gevent's sendall asks for the size of the socket's buffer first: it is for much larger answers.
            with suppress(BlockingIOError):
                data = data[self._raw.send(data) :]
            if not data:
                return
        try:
            self._socket.sendall(data)
        except TimeoutError:
            raise ConnectionResetError(errno.ECONNRESET, "the client does not take its answer") from None

    send = sendall
    """gunicorn's word for an interim answer."""

    def close(self) -> None:
        """Close it."""
        if self._first is not None:
            self._first.close()
            # It knows us, too: two that know each other wait for the collector, which hardly ever comes.
            self._first = None
        self._socket.close()

    def setblocking(self, _flag: bool) -> None:
        """Every call has a limit of its own."""

    def __getattr__(self, name: str) -> Any:
        """Whatever else a socket does."""
        return getattr(self._socket, name)


def drain(connection: Connection, body: Any) -> bool:
    """Take in what is left of a request's body; False when it is too much, too slow or broken, and the connection must end."""
    if getattr(body.reader, "length", None) == 0 and not body.failed:
        return True  # the common case, for nothing
    connection.begin_drain()
    taken = 0
    try:
        while taken <= MAX_DRAIN_BYTES:
            piece = body.read(DRAIN_PIECE_BYTES)
            if not piece:
                return not body.failed
            taken += len(piece)
    except (errors.ParseException, OSError):
        return False
    return False
