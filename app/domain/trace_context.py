"""Which trace a request or an event belongs to, and which requests are traced at all. No spans here: most requests have none."""

import re
from collections.abc import Callable
from dataclasses import dataclass

_TRACEPARENT = re.compile(r"(?!ff|00.{54})[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
"""Of version 00 nothing more than its 55 characters; of a later one whatever comes behind them."""

_CLOUD_TRACE = re.compile(r"([0-9a-f]{32})/(\d{1,20})(?:;o=(\d))?", re.IGNORECASE)
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16
_SAMPLED = 1
_RATIO_DIGITS = 16
_RATIO_BOUND = float(2**64)
"""Of a trace id: its last eight bytes are random whoever made it (W3C), and OpenTelemetry's own ratio goes by them."""

SPAN_BITS = 64
TRACEPARENT_LENGTH = 55


@dataclass(frozen=True, slots=True)
class TraceContext:
    """A trace and the span in it that caused this, in small hex digits; whether whoever made it records the trace."""

    trace_id: str
    span_id: str
    is_sampled: bool


def parse_traceparent(text: str) -> TraceContext | None:
    """What a `traceparent` (W3C Trace Context) says; None when it is none."""
    found = _TRACEPARENT.fullmatch(text)
    if found is None or found[1] == _NO_TRACE or found[2] == _NO_SPAN:
        return None
    return TraceContext(found[1], found[2], bool(int(found[3], 16) & _SAMPLED))


def parse_cloud_trace(text: str) -> TraceContext | None:
    """What an `X-Cloud-Trace-Context` (Google's older header) says; None when it is none."""
    found = _CLOUD_TRACE.fullmatch(text)
    if found is None or found[1] == _NO_TRACE or not 0 < int(found[2]) < 2**SPAN_BITS:
        return None
    return TraceContext(found[1].lower(), f"{int(found[2]):016x}", found[3] == "1")


@dataclass(slots=True)
class Sampling:
    """Which requests are traced: those whose caller traces them, and a share of all others; never more than so many a second.

    The bound is for whoever sends the sampled flag, or trace ids that are within the share, with every request. Not thread-safe:
    two threads may let one too many in.
    """

    share: float
    per_second: int
    _second: int = -1
    _taken: int = 0

    def wants(self, caller: TraceContext | None, chance: Callable[[], float], now_seconds: float) -> bool:
        """Whether this request is traced. `chance` gives a number from 0 up to 1, and is asked when there is no trace to go by;
        the time is of a clock that never goes back.
        """
        return self._is_chosen(caller, chance) and self._has_room(int(now_seconds))

    def _is_chosen(self, caller: TraceContext | None, chance: Callable[[], float]) -> bool:
        if caller is None:
            return chance() < self.share
        return caller.is_sampled or is_in_share(caller.trace_id, self.share)

    def _has_room(self, second: int) -> bool:
        if second != self._second:
            self._second, self._taken = second, 0
        self._taken += 1
        return self._taken <= self.per_second


def is_in_share(trace_id: str, share: float) -> bool:
    """Whether a trace is of those that this share chooses: the same answer in every process, and a larger share has all of a
    smaller one's.
    """
    return int(trace_id[-_RATIO_DIGITS:], 16) < share * _RATIO_BOUND
