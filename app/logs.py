"""How a process logs: lines of text for people, or JSON as Cloud Logging reads it. No line carries a token or a payment method."""

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from app.settings import Settings

TEXT_FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"

MESSAGE_LIMIT = 60_000
"""Characters of a message with its traceback; Cloud Logging takes 256 KiB an entry, and a character may be four bytes."""

_SECRETS = re.compile(
    r"eyJ[\w-]{8,}(?:\.[\w-]*){0,2}"  # a JWT begins with {" in base64
    r"|(?<=Bearer )[^\s'\",;]+"
    r"|\b(?:tok|pm|sk|rk|whsec)_\w+|\b(?:src|card)_[A-Za-z0-9]{14,}"  # the gateway's names of payment methods, and its keys
)
_REMOVED = "[removed]"


@dataclass(frozen=True, slots=True)
class Trace:
    """The trace of a request, as its headers name it; or its own span, when it is traced here."""

    trace_id: str
    span_id: str
    is_sampled: bool = False


def no_trace() -> Trace | None:
    """Where there are no requests."""
    return None


def without_secrets(text: str) -> str:
    """The text with whatever looks like a token, a payment method or a key taken out."""
    return _SECRETS.sub(_REMOVED, text)


class TextLines(logging.Formatter):
    """A line for people; a traceback follows on lines of its own."""

    def __init__(self) -> None:
        super().__init__(TEXT_FORMAT)

    def format(self, record: logging.LogRecord) -> str:
        """The record as text."""
        return without_secrets(super().format(record))


class JsonLines(logging.Formatter):
    """A JSON object a line, with the fields that Cloud Logging knows. The trace is asked for only when there is a line to write."""

    def __init__(self, project: str, trace: Callable[[], Trace | None] = no_trace) -> None:
        """`project` is the Google Cloud project of the traces."""
        super().__init__("%(message)s")
        self._project = project
        self._trace = trace

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON; a traceback is part of the message, where Error Reporting looks for it."""
        line: dict[str, Any] = {
            "severity": record.levelname,
            "message": without_secrets(super().format(record))[:MESSAGE_LIMIT],
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds"),
            "logger": record.name,
        }
        trace = self._trace()
        if trace is not None:
            line["logging.googleapis.com/trace"] = f"projects/{self._project}/traces/{trace.trace_id}"
            line["logging.googleapis.com/spanId"] = trace.span_id
            line["logging.googleapis.com/trace_sampled"] = trace.is_sampled
        # A surrogate that a client has smuggled in is no UTF-8.
        line["message"] = line["message"].encode("utf-8", "replace").decode()
        return orjson.dumps(line).decode()


def line_format(settings: Settings, trace: Callable[[], Trace | None] = no_trace) -> logging.Formatter:
    """The formatter that the settings ask for."""
    wanted = settings.log_format or ("json" if settings.environment == "production" else "text")
    return JsonLines(settings.spanner_project, trace) if wanted == "json" else TextLines()


def start_logging(settings: Settings, trace: Callable[[], Trace | None] = no_trace) -> None:
    """Log from INFO up to stderr. Call it once a process, before anything is logged; handlers that are there stay."""
    handler = logging.StreamHandler()
    handler.setFormatter(line_format(settings, trace))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
