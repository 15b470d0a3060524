"""Server-sent events, of whatever (https://html.spec.whatwg.org, 9.2): how long a stream lasts, and its answer."""

import random
from collections.abc import Callable, Iterator

from flask import Response, request

from app.http.openapi import EVENT_STREAM
from app.http.responses import NO_STORE, SECURITY_HEADERS

HEARTBEAT_SECONDS = 15.0
"""Proxies give up on a silent connection after 30 s or more; and a client that is gone is noticed when we write to it."""

STREAM_SECONDS = 300.0
STREAM_JITTER_SHARE = 0.2
"""Then the client reconnects, to wherever there is room now. Streams of one rush end over the last fifth, not all at once."""

RECONNECT_MS = 2_000


def stream_seconds() -> float:
    """How long a stream lasts: STREAM_SECONDS at most."""
    return STREAM_SECONDS * (1.0 - STREAM_JITTER_SHARE * random.random())  # noqa: S311  # jitter is no secret


def event_stream(frames: Iterator[bytes], close: Callable[[], None]) -> Response:
    """The answer that sends these frames; `close` is called once, however it ends."""
    # X-Accel-Buffering: nginx would keep the events until it has a page full of them.
    headers = [*SECURITY_HEADERS, NO_STORE, ("X-Accel-Buffering", "no")]
    response = Response(frames, headers=headers, content_type=EVENT_STREAM)
    # The generator's own end is not enough: one that was never begun has none.
    response.call_on_close(close)
    if request.method == "HEAD":
        response.close()
    return response
