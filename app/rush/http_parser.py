"""Reads HTTP/1.x responses from bytes that arrive in any pieces. No sockets here.

Small on purpose: bodies are framed by Content-Length or by the end of the connection; Transfer-Encoding is refused (the
service does not use it), and so is everything else that two readers could understand differently.
"""

import re
from functools import lru_cache
from typing import NamedTuple

HEAD_LIMIT_BYTES = 65_536
BODY_LIMIT_BYTES = 1_048_576

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])(?: .*)?")
_LENGTH_DIGITS = 10

_HEADS_KEPT = 256
"""Heads that are remembered: in a second of a rush, most answers' heads are the same bytes."""


class BadResponseError(Exception):
    """The bytes are not a response that this parser takes."""


class Response(NamedTuple):
    """One response; header names in lower case, to be read only. `close`: the server takes no other request on this connection."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes
    close: bool


class _Head(NamedTuple):
    status: int
    headers: dict[bytes, bytes]
    length: int | None  # None: the body ends with the connection
    close: bool


class ResponseParser:
    """Feed it what was read, then ask for the next response. After BadResponseError it is of no further use."""

    __slots__ = ("_buffer", "_head")

    def __init__(self) -> None:
        self._buffer = b""
        self._head: _Head | None = None

    @property
    def is_empty(self) -> bool:
        """Nothing has been read since the last whole response."""
        return not self._buffer and self._head is None

    def feed(self, data: bytes) -> None:
        """Adds bytes from the connection."""
        self._buffer = self._buffer + data if self._buffer else data

    def next_response(self) -> Response | None:
        """The next whole response, or None until more is fed. Raises BadResponseError."""
        while True:
            head = self._head or self._read_head()
            if head is None:
                return None
            if head.status < 200:  # noqa: PLR2004 - interim responses (RFC 9110, 15.2) come before the real one
                self._head = None
                continue
            if head.length is None:
                if len(self._buffer) > BODY_LIMIT_BYTES:
                    raise BadResponseError("the body is too long")
                return None
            if len(self._buffer) < head.length:
                return None
            return self._take(head, head.length)

    def end(self) -> Response | None:
        """The connection has ended: the response whose body ends with it, or None if nothing was begun.

        Raises BadResponseError when a response was cut off. All whole responses must have been taken before.
        """
        if self.is_empty:
            return None
        if self._head is None or self._head.length is not None:
            raise BadResponseError("the connection ended within a response")
        return self._take(self._head, len(self._buffer))

    def _take(self, head: _Head, length: int) -> Response:
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        self._head = None
        return Response(head.status, head.headers, body, head.close)

    def _read_head(self) -> _Head | None:
        buffer = self._buffer
        end = buffer.find(b"\r\n\r\n")
        if end > HEAD_LIMIT_BYTES or (end < 0 and len(buffer) > HEAD_LIMIT_BYTES + 3):
            raise BadResponseError("the head is too long")
        if end < 0:
            if not b"HTTP/".startswith(buffer[:5]):
                raise BadResponseError("no HTTP response")
            return None
        self._head = _parse_head(buffer[:end])
        self._buffer = buffer[end + 4 :]
        return self._head


@lru_cache(_HEADS_KEPT)
def _parse_head(block: bytes) -> _Head:
    lines = block.split(b"\r\n")
    status_line = _STATUS_LINE.fullmatch(lines[0])
    if status_line is None:
        raise BadResponseError("no HTTP status line")
    status = int(status_line[1])
    headers: dict[bytes, bytes] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        if not colon or not name or b" " in name or b"\t" in name:
            raise BadResponseError("a header line that is none")
        name = name.lower()
        value = value.strip(b" \t")
        if name == b"content-length" and headers.get(name, value) != value:
            raise BadResponseError("two different Content-Lengths")
        headers[name] = value
    connection = headers.get(b"connection", b"").lower()
    close = connection == b"close" or (block.startswith(b"HTTP/1.0") and connection != b"keep-alive")
    length = _body_length(status, headers)
    return _Head(status, headers, length, close or length is None)


def _body_length(status: int, headers: dict[bytes, bytes]) -> int | None:
    if b"transfer-encoding" in headers:
        raise BadResponseError("Transfer-Encoding is not understood here")
    if status < 200 or status in (204, 304):  # noqa: PLR2004 - these have no body (RFC 9112, 6.3)
        if status == 101:  # noqa: PLR2004 - another protocol would follow, which nobody asked for
            raise BadResponseError("101 Switching Protocols was not asked for")
        return 0
    text = headers.get(b"content-length")
    if text is None:
        return None
    if not text.isdigit() or len(text) > _LENGTH_DIGITS or int(text) > BODY_LIMIT_BYTES:
        raise BadResponseError("a Content-Length that is no acceptable number")
    return int(text)
