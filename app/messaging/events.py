"""An event on the wire: CloudEvents 1.0, structured JSON. `docs/events.md` lists every type."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from app.domain.timestamps import rfc3339
from app.domain.trace_context import TRACEPARENT_LENGTH, parse_traceparent

ORDERS_SOURCE = "/fairdrop/orders"
PAYMENTS_SOURCE = "/fairdrop/payments"
TYPE_PREFIX = "fairdrop."
SPEC_VERSION = "1.0"
TRACEPARENT = "traceparent"
"""The attribute of a message that names its span, as W3C and CloudEvents call it."""


class Malformed(Exception):
    """The bytes are no event of ours; the message says why and repeats none of them."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to an order. `id` is the same at every delivery; `time` is the commit timestamp. `traceparent` names
    the span that it continues; it travels beside the event, in the message's attributes.
    """

    type: str
    order_id: str
    id: str
    time: datetime
    data: Mapping[str, Any]
    traceparent: str | None = None


def encode(event: Event, source: str) -> bytes:
    """The event as a message's data."""
    return orjson.dumps(
        {
            "specversion": SPEC_VERSION,
            "id": event.id,
            "source": source,
            "type": TYPE_PREFIX + event.type,
            "subject": event.order_id,
            "time": rfc3339(event.time),
            "datacontenttype": "application/json",
            "data": event.data,
        }
    )


def attributes(event: Event) -> dict[str, str]:
    """What a message says beside its data."""
    told = {"ce-id": event.id, "ce-type": event.type}
    if event.traceparent is not None:
        told[TRACEPARENT] = event.traceparent
    return told


def decode(message: bytes, traceparent: str | None = None) -> Event:
    """The event of a message's data, and the span that its attributes name. Raises Malformed, but not for a `traceparent` that is
    none, or is longer than the columns it would be written to: no event waits for its trace.
    """
    try:
        body = orjson.loads(message)
    except orjson.JSONDecodeError as error:
        raise Malformed("not JSON") from error
    if not isinstance(body, dict) or body.get("specversion") != SPEC_VERSION:
        raise Malformed(f"not a CloudEvent of version {SPEC_VERSION}")
    kind, order_id, name, time, data = (body.get(key) for key in ("type", "subject", "id", "time", "data"))
    if not isinstance(kind, str) or not kind.startswith(TYPE_PREFIX):
        raise Malformed(f"its type does not begin with {TYPE_PREFIX}")
    if not isinstance(order_id, str) or not isinstance(name, str) or not isinstance(data, dict):
        raise Malformed("subject and id must be texts, and data an object")
    return Event(kind.removeprefix(TYPE_PREFIX), order_id, name, _moment(time), data, _span_named(traceparent))


def _span_named(traceparent: str | None) -> str | None:
    if traceparent is None or len(traceparent) > TRACEPARENT_LENGTH or parse_traceparent(traceparent) is None:
        return None
    return traceparent


def _moment(text: object) -> datetime:
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise Malformed("time must be an RFC 3339 text")
    return moment
