"""Events on the wire."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.messaging.events import ORDERS_SOURCE, Event, Malformed, decode, encode

EVENT = Event("order.reserved", "o-1", "o-1:1", datetime(2026, 11, 27, 12, 0, 0, 123456, UTC), {"units": 2})

SPAN = f"00-{'a' * 32}-{'b' * 16}-01"


def test_an_event_is_a_cloud_event_of_version_1_0() -> None:
    body = orjson.loads(encode(EVENT, ORDERS_SOURCE))
    assert body == {
        "specversion": "1.0",
        "id": "o-1:1",
        "source": "/fairdrop/orders",
        "type": "fairdrop.order.reserved",
        "subject": "o-1",
        "time": "2026-11-27T12:00:00.123456Z",
        "datacontenttype": "application/json",
        "data": {"units": 2},
    }


def test_an_event_comes_back_as_it_was() -> None:
    assert decode(encode(EVENT, ORDERS_SOURCE)) == EVENT


@pytest.mark.parametrize(
    "change",
    [
        {"specversion": "0.3"},
        {"type": "somebody.elses"},
        {"type": 1},
        {"subject": None},
        {"id": 7},
        {"data": "text"},
        {"time": "noon"},
        {"time": "2026-11-27T12:00:00"},
        {"time": None},
    ],
)
def test_a_message_of_another_shape_is_malformed(change: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        decode(orjson.dumps(orjson.loads(encode(EVENT, ORDERS_SOURCE)) | change))


@pytest.mark.parametrize(
    ("said", "known"),
    [
        (SPAN, SPAN),
        (None, None),
        ("nonsense", None),
        (f"{SPAN}-of-a-later-version", None),  # longer than what it would be written to
        (SPAN.replace("a", "0"), None),
    ],
)
def test_a_message_that_names_no_span_is_an_event_that_continues_no_trace(said: str | None, known: str | None) -> None:
    assert decode(encode(EVENT, ORDERS_SOURCE), said).traceparent == known


@given(st.binary(max_size=200))
def test_any_bytes_are_an_event_or_malformed_and_never_anything_worse(message: bytes) -> None:
    try:
        decode(message)
    except Malformed:
        return
