"""docs/events.md names every event that there is, and the envelope as it is."""

import re
from pathlib import Path

import orjson

from app.domain.states import TRANSITIONS as ORDERS
from app.messaging.events import ORDERS_SOURCE, decode, encode
from app.messaging.topics import ROUTES
from app.payments.states import TRANSITIONS as PAYMENTS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "events.md").read_text()


def test_the_table_has_every_type_and_no_other() -> None:
    rows = re.findall(r"^\| (`(?:order|payment)\..*?) \| (\w+) \|", PAGE, re.MULTILINE)
    found = {(source, name) for names, source in rows for name in re.findall(r"`([\w.]+)`", names)}
    expected = {("orders", outcome.event) for outcome in ORDERS.values()}
    expected |= {("payments", outcome.event) for outcome in PAYMENTS.values() if outcome.event is not None}
    assert found == expected


def test_the_envelope_shown_is_what_is_sent() -> None:
    (shown,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert orjson.loads(encode(decode(shown.encode()), ORDERS_SOURCE)) == orjson.loads(shown)


def test_every_topic_and_subscription_is_named() -> None:
    for route in ROUTES:
        for name in (route.topic, route.subscription, route.dead_topic):
            assert f"`{name}`" in PAGE
