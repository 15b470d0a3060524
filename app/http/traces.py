"""The trace that the request at hand belongs to: read from its headers when a log line is written, and not before."""

import re

from flask import has_request_context, request

from app.logs import Trace

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?")
_CLOUD_TRACE = re.compile(r"([0-9a-f]{32})/(\d{1,20})(?:;o=\d)?", re.IGNORECASE)
_NONE = "0" * 32
SPAN_BITS = 64


def current_trace() -> Trace | None:
    """By `traceparent` (W3C), else by `X-Cloud-Trace-Context` (Google); None without a request or such a header."""
    if not has_request_context():
        return None
    found = _TRACEPARENT.fullmatch(request.headers.get("traceparent", ""))
    if found and found[1] != _NONE:
        return Trace(found[1], found[2])
    found = _CLOUD_TRACE.fullmatch(request.headers.get("X-Cloud-Trace-Context", ""))
    if found and found[1] != _NONE and int(found[2]) < 2**SPAN_BITS:
        return Trace(found[1].lower(), f"{int(found[2]):016x}")
    return None
