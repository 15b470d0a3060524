"""The answers file: one JSON line for every attempt, written as it ends. What each field means is in docs/rush.md."""

from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import orjson

from app.rush.buyer import Buyer
from app.rush.http_parser import Response

PROBLEM_PREFIX = "urn:fairdrop:problem:"
NOT_OPEN_STATUS, NOT_OPEN = 409, b'problem:sale-not-open"'
BUFFER_BYTES = 262_144
BODIES_KEPT = 256
"""Refusals that are remembered: a crowd that is refused hears the same words."""

UNREADABLE = "unreadable"
"""The `error` of an answer that came but does not say what it must: an order with its id, for 200 and 201."""


class Attempt(NamedTuple):
    """One sending of a request: the buyer's how-manieth, due (open loop) and sent when (monotonic nanoseconds)."""

    buyer: Buyer
    number: int
    due_ns: int | None
    sent_ns: int


def failed_line(attempt: Attempt, error: str) -> bytes:
    """The line of an attempt that got no answer."""
    return _encode(_line(attempt), error=error)


def answered_line(attempt: Attempt, answered_ns: int, response: Response) -> tuple[bytes, bool]:
    """The line of an answered attempt, and whether the answer can be used by the buyer."""
    line = _line(attempt)
    line["answered_ns"] = answered_ns
    line["status"] = response.status
    if response.status >= 300:  # noqa: PLR2004 - not a success
        line["problem"], line["as_of"], line["age_ms"] = _refusal(response.body)
        return _encode(line), True
    said = _object(response.body)
    line["order_id"] = said.get("order_id")
    line["order_status"] = said.get("status")
    line["claim_code"] = said.get("claim_code")
    position = said.get("position")
    if isinstance(position, dict):
        line["placed_at"] = position.get("placed_at")
        line["shard_id"] = position.get("shard_id")
        line["seq"] = position.get("seq")
    line["replayed"] = response.headers.get(b"idempotent-replayed", b"").lower() == b"true"
    if isinstance(line["order_id"], str) and isinstance(line["order_status"], str):
        return _encode(line), True
    return _encode(line, error=UNREADABLE), False


@lru_cache(BODIES_KEPT)
def _refusal(body: bytes) -> tuple[str | None, Any, Any]:
    said = _object(body)
    kind = said.get("type")
    return kind.removeprefix(PROBLEM_PREFIX) if isinstance(kind, str) else None, said.get("as_of"), said.get("age_ms")


def _object(body: bytes) -> dict[str, Any]:
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return said if isinstance(said, dict) else {}


def opens_in_seconds(response: Response) -> float | None:
    """How long it is until the sale opens, if that is what the answer says; None else."""
    if response.status != NOT_OPEN_STATUS or NOT_OPEN not in response.body:
        return None
    try:
        left_ms = orjson.loads(response.body)["opens_in_ms"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    return left_ms / 1e3 if isinstance(left_ms, int | float) else None


def _line(attempt: Attempt) -> dict[str, Any]:
    buyer, number, due_ns, sent_ns = attempt
    return {
        "buyer": buyer.customer_id,
        "key": buyer.plan.key,
        "attempt": number,
        "kind": buyer.plan.kind,
        "units": buyer.plan.units,
        "due_ns": due_ns,
        "sent_ns": sent_ns,
        "answered_ns": None,
        "status": None,
        "order_id": None,
        "order_status": None,
        "placed_at": None,
        "shard_id": None,
        "seq": None,
        "claim_code": None,
        "problem": None,
        "as_of": None,
        "age_ms": None,
        "replayed": False,
        "error": None,
    }


def _encode(line: dict[str, Any], error: str | None = None) -> bytes:
    line["error"] = error
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


class AnswersWriter:
    """Writes lines to a new file, some hundred at a time; all of them are in the file once it is closed."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=BUFFER_BYTES)
        self.write = self._file.write

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
