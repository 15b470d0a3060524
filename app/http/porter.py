"""Who comes first is let in first, and who is too many is told so at the door.

libev calls back the connections of one look at the sockets in the reverse of the order in which they became readable (it works its
list off from the end). A porter takes note of them, and once the look is over lets them in as they came. While the turnstile is
shut, an order is refused right there: between two steps of the hub, with no greenlet, no parser and no app. It costs a
thirtieth of what a whole request costs, so a crowd that is too large takes little from those who were let in.

Only what is beyond doubt an order is refused unread (`sheddable`); everything else goes to the server's parser as ever. Nothing of
the app is imported here: a worker is loaded before it forks.
"""

import errno
import re
import time
from collections.abc import Callable
from typing import Any, Protocol

from gevent.hub import Waiter

from app.http.connections import Lobby, never_waiting

FIRST_BYTES = 8_192
"""Of a request, read at once. Longer ones are for the parser."""

_BUFFER = memoryview(bytearray(FIRST_BYTES))
"""Of the process's one hub: what is refused needs no memory of its own."""

_OTHER_LINE = rb"(?!(?i:content-length|transfer-encoding|connection|expect|upgrade))[A-Za-z0-9-]+:[ -~]*\r\n"
_ORDER = re.compile(
    rb"POST /v1/sales/[A-Za-z0-9._~-]{1,200}/orders HTTP/1\.1\r\n"
    rb"(?:" + _OTHER_LINE + rb")*"
    rb"(?i:content-length): ?([0-9]{1,5})\r\n"
    rb"(?:" + _OTHER_LINE + rb")*"
    rb"\r\n"
)
"""The head of an order: whole lines of plain characters, one length, no coding, nothing expected and nothing said of the
connection. One pass over it costs a seventh of as many searches (1.5 µs of 10). Each line ends where the next begins and in no
other way, so it needs no possessive quantifiers; with these Python 3.11.2 does not find the whole."""

_READ = 1


class Gate(Protocol):
    """Whether one more order would be too many, and who is told of those refused."""

    @property
    def is_shut(self) -> bool:
        """Whether to refuse."""

    def refused(self, orders: int) -> None:
        """So many were."""


def sheddable(data: bytes | memoryview) -> int:
    """The length of the order that these bytes begin with; 0 when they begin with anything that is not, beyond doubt, a whole one.

    The bytes must begin where a request begins. Beyond doubt: every server and proxy agrees where this request ends.
    """
    head = _ORDER.match(data)
    if head is None:
        return 0
    end = head.end() + int(head[1])
    return end if end <= len(data) else 0


class Porter:
    """One worker's: the connections whose next request has begun, in the order in which that happened."""

    def __init__(self, hub: Any, gate: Gate | None, lobby: Lobby, refusal: Callable[[], bytes]) -> None:
        """Without a gate nobody is refused. `refusal` gives the answer, without its date."""
        self._hub = hub
        self._gate = gate
        self._refusal = refusal
        self._answer = b""
        self._answer_second = 0
        self._lobby = lobby
        self._came: list[Door] = []

    def door(self, client: Any, on_refused: Callable[[], None]) -> "Door":
        """A connection's own; `client` is a gevent socket without TLS. `on_refused` is told when orders were refused there."""
        return Door(self, self._hub, client, on_refused)

    def take_note(self, door: "Door") -> None:
        """Something can be read there. From the hub."""
        self._came.append(door)
        if len(self._came) == 1:
            self._hub.loop.run_callback(self._let_in)

    def _let_in(self) -> None:
        came, self._came = self._came, []
        refused = 0
        for door in reversed(came):
            refused += door.open()
        if refused and self._gate is not None:
            self._gate.refused(refused)

    @property
    def is_shut(self) -> bool:
        """Whether orders are refused now: not by a process that is about to end, for others then take them."""
        return self._gate is not None and self._gate.is_shut and not self._lobby.is_closed

    def answer(self) -> bytes:
        """To an order that is refused now."""
        second = int(time.time())
        if second != self._answer_second:
            date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(second))
            line, _, rest = self._refusal().partition(b"\r\n")
            self._answer = line + b"\r\nDate: " + date.encode() + b"\r\n" + rest
            self._answer_second = second
        return self._answer


class Door:
    """Where a connection's next request begins."""

    __slots__ = ("_hub", "_on_refused", "_porter", "_raw", "_refused", "_socket", "_waiter", "_watcher")

    def __init__(self, porter: Porter, hub: Any, client: Any, on_refused: Callable[[], None]) -> None:
        self._porter = porter
        self._on_refused = on_refused
        self._hub = hub
        self._socket = client
        self._raw = never_waiting(client)
        self._watcher = hub.loop.io(client.fileno(), _READ)
        self._waiter: Any = None
        self._refused = False

    def recv(self, _size: int) -> bytes:
        """The first bytes of the next request that is not refused at the door; none when the client has closed.

        Raises OSError; TimeoutError when for the socket's own time nothing came at all. Only where a request may begin.
        """
        while True:
            self._refused = False
            try:
                return self._first_bytes()
            except TimeoutError:
                if not self._refused:
                    raise

    def _first_bytes(self) -> bytes:
        waiter = self._waiter = Waiter(self._hub)
        timer = self._hub.loop.timer(self._socket.gettimeout())
        self._watcher.start(self._porter.take_note, self)
        timer.start(waiter.throw, TimeoutError)
        try:
            data: bytes = waiter.get()
            return data
        finally:
            self._waiter = None
            self._watcher.stop()
            timer.close()

    def open(self) -> int:
        """Read what has come, and refuse it or hand it in; returns how many orders were refused. From the hub."""
        waiter = self._waiter
        if waiter is None:
            return 0  # it gave up in the meantime
        orders = 0
        try:
            data = _BUFFER[: self._raw.recv_into(_BUFFER)]
            if self._porter.is_shut:
                while length := sheddable(data):
                    orders += 1
                    data = data[length:]
                if orders:
                    self._refused = True
                    self._on_refused()
                    self._send(self._porter.answer() * orders)
                    if not data:
                        return orders
        except BlockingIOError:
            return 0  # nothing there after all
        except OSError as error:
            waiter.throw(error)
        else:
            waiter.switch(bytes(data))
        return orders

    def _send(self, answer: bytes) -> None:
        """All of it at once: there is no greenlet here to wait, and room for it, unless earlier answers were not taken."""
        try:
            is_sent = self._raw.send(answer) == len(answer)
        except BlockingIOError:
            is_sent = False
        if not is_sent:
            raise ConnectionResetError(errno.ECONNRESET, "the client does not take its answers")

    def close(self) -> None:
        """The connection is over."""
        self._watcher.close()
