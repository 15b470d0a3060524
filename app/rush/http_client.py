"""One keep-alive connection to the service over a non-blocking socket, plain or TLS. It never waits; its owner selects."""

import socket
import ssl
from dataclasses import dataclass
from selectors import EVENT_READ, EVENT_WRITE, BaseSelector
from time import monotonic_ns
from typing import Any, cast

from app.rush.http_parser import BadResponseError, Response, ResponseParser

READ_BYTES = 65_536

_CLOSED, _CONNECTING, _HANDSHAKING, _OPEN = range(4)


class ConnectionFailedError(Exception):
    """The connection gave no answer and is closed now. `kind`: refused, reset, closed, garbage, tls or network."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Target:
    """Where the service is: an address that took a connection before the rush, and the name it goes by."""

    family: int
    address: Any  # what socket.connect takes for this family
    host: str
    port: int
    is_tls: bool
    base_path: str = ""

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.is_tls else 80) else f"{host}:{self.port}"


class Connection:
    """One connection, opened when first needed and again after it was closed; at most one request at a time.

    `sent_ns` is the moment just before the request's first bytes were written, `read_ns` the moment just after the last
    read (time.monotonic_ns).
    """

    __slots__ = (
        "_interest",
        "_outgoing",
        "_parser",
        "_selector",
        "_socket",
        "_state",
        "_target",
        "_tls",
        "read_ns",
        "sent_ns",
    )

    def __init__(self, target: Target, selector: BaseSelector, tls: ssl.SSLContext | None) -> None:
        self._target = target
        self._selector = selector
        self._tls = tls
        self._state = _CLOSED
        self._interest = 0
        self._outgoing = b""
        self.sent_ns = 0
        self.read_ns = 0

    @property
    def is_sent(self) -> bool:
        """Every byte of the request was handed to the kernel."""
        return self._state == _OPEN and not self._outgoing

    @property
    def is_connected(self) -> bool:
        """A request can be sent without connecting first."""
        return self._state == _OPEN

    def open(self) -> None:
        """Begins to connect, unless it has begun before. Raises ConnectionFailedError."""
        if self._state != _CLOSED:
            return
        try:
            self._socket = socket.socket(self._target.family, socket.SOCK_STREAM)
            self._socket.setblocking(False)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._state = _CONNECTING
            self._interest = EVENT_WRITE
            self._selector.register(self._socket, EVENT_WRITE, self)
            self._socket.connect(self._target.address)
        except BlockingIOError:
            return
        except OSError as error:
            raise self._failure(error) from None

    def send(self, request: bytes) -> None:
        """Sends the request, now or as soon as the connection stands. Raises ConnectionFailedError."""
        self._outgoing = request
        if self._state == _OPEN:
            self.sent_ns = monotonic_ns()
            try:
                self._flush()
            except OSError as error:
                raise self._failure(error) from None
            return
        self.sent_ns = 0
        self.open()

    def on_event(self, mask: int) -> Response | None:
        """Goes on after the selector saw an event: the answer, when it is whole. Raises ConnectionFailedError."""
        try:
            if self._state != _OPEN:
                if self._state != _CONNECTING or mask & EVENT_WRITE:
                    self._establish()
                return None
            if self._outgoing:
                self._flush()
            return self._receive() if mask & EVENT_READ else None
        except OSError as error:
            raise self._failure(error) from None
        except BadResponseError:
            self.close()
            raise ConnectionFailedError("garbage") from None

    def silence(self) -> None:
        """No further events: whatever the server answers is not read. Only `close` comes after this."""
        self._want(0)

    def close(self) -> None:
        """Closes the connection, if it is open; what was not sent is forgotten."""
        if self._state == _CLOSED:
            return
        self._want(0)
        self._state = _CLOSED
        self._outgoing = b""
        self._socket.close()

    def _establish(self) -> None:
        if self._state == _CONNECTING:
            error = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                raise OSError(error, "connect")
            if self._tls is not None:
                self._want(0)
                self._socket = self._tls.wrap_socket(
                    self._socket, server_hostname=self._target.host, do_handshake_on_connect=False
                )
                self._state = _HANDSHAKING
        if self._state == _HANDSHAKING:
            try:
                cast("ssl.SSLSocket", self._socket).do_handshake()
            except ssl.SSLWantReadError:
                return self._want(EVENT_READ)
            except ssl.SSLWantWriteError:
                return self._want(EVENT_WRITE)
        self._state = _OPEN
        self._parser = ResponseParser()
        self._want(EVENT_READ)
        if self._outgoing:
            self.sent_ns = monotonic_ns()
            self._flush()
        return None

    def _flush(self) -> None:
        try:
            sent = self._socket.send(self._outgoing)
        except (BlockingIOError, ssl.SSLWantWriteError):
            sent = 0
        except ssl.SSLWantReadError:
            return  # TLS wants to read first; that event brings us back here
        self._outgoing = self._outgoing[sent:]
        interest = EVENT_READ | EVENT_WRITE if self._outgoing else EVENT_READ
        if interest != self._interest:
            self._want(interest)

    def _receive(self) -> Response | None:
        try:
            data = self._socket.recv(READ_BYTES)
            if self._tls is not None:
                data = self._drain(data)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        self.read_ns = monotonic_ns()
        parser = self._parser
        if not data:
            response = parser.end()
            if response is None:
                raise ConnectionResetError(0, "closed")
        else:
            parser.feed(data)
            response = parser.next_response()
        if response is not None and (response.close or self._outgoing or not parser.is_empty):
            self.close()  # nothing more can be asked here, or the server says more than it was asked for
        return response

    def _drain(self, data: bytes) -> bytes:
        """TLS may hold decrypted bytes that no selector will ever announce: they are read as well."""
        while data and (pending := cast("ssl.SSLSocket", self._socket).pending()):
            data += self._socket.recv(pending)
        return data

    def _want(self, interest: int) -> None:
        if interest == self._interest:
            return
        if not interest:
            self._selector.unregister(self._socket)
        elif self._interest:
            self._selector.modify(self._socket, interest, self)
        else:
            self._selector.register(self._socket, interest, self)
        self._interest = interest

    def _failure(self, error: OSError) -> ConnectionFailedError:
        self.close()
        return ConnectionFailedError(_kind_of(error))


def _kind_of(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return "closed" if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError) else "tls"
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    if isinstance(error, ConnectionResetError | BrokenPipeError):
        return "closed" if error.errno == 0 else "reset"
    return "network"
