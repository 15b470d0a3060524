"""An order's outcome over HTTP: the long poll and the stream of server-sent events."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
import pytest
from flask import Flask
from sale_samples import put_up
from werkzeug.test import TestResponse

from app.http import ON_EXIT, streams
from app.http.app import create_app
from app.http.local_issuer import LocalIssuer
from app.services import sales, waiting
from app.settings import Settings
from app.storage.database import FairdropDatabase

PATIENCE_SECONDS = 60.0
"""Ends a test that would hang; no test expects anything to happen within it."""


@pytest.fixture(scope="module")
def app(settings: Settings) -> Flask:
    return create_app(settings)


class Buyer:
    """A customer with a token and one order, which waits for units unless the sale has some."""

    def __init__(self, app: Flask, settings: Settings, database: FairdropDatabase, name: str, **terms: Any) -> None:
        self.app = app
        self.database = database
        self.issuer = LocalIssuer.load(settings)
        self.name = name
        terms = {"stock": 0, "waitlist_limit": 10, "expected_crowd": 100, "shard_count": 2, **terms}
        self.sale_id = put_up(database, **terms).sale_id
        body = {"units": 1, "payment_method": "tok_visa"}
        placed = app.test_client().post(
            f"/v1/sales/{self.sale_id}/orders", json=body, headers={**self.headers(), "Idempotency-Key": "key"}
        )
        assert placed.status_code == 201
        self.order: dict[str, Any] = placed.get_json()
        self.address = f"/v1/sales/{self.sale_id}/orders/{self.order['order_id']}"

    def headers(self, name: str | None = None, lifetime_seconds: int = 3_600) -> dict[str, str]:
        token = self.issuer.token(name or self.name, lifetime_seconds=lifetime_seconds)
        return {"Authorization": f"Bearer {token}"}

    def get(self, ending: str = "", method: str = "GET", **headers: str) -> TestResponse:
        address = self.address + ending
        return self.app.test_client().open(address, method=method, headers={**self.headers(), **headers})

    def stream(self, **headers: str) -> "Stream":
        return Stream(self.get("/events", **headers))

    def promote(self) -> None:
        sales.restock(self.database, self.sale_id, 1, uuid.uuid4().hex, "seller")


class Stream:
    """A stream of events, to be read event by event."""

    def __init__(self, response: TestResponse) -> None:
        assert response.status_code == 200
        self.response = response
        self._blocks = self._read()

    def _read(self) -> Iterator[str]:
        for chunk in self.response.response:
            text = chunk.decode() if isinstance(chunk, bytes) else chunk
            assert text.endswith("\n\n")
            yield from text.removesuffix("\n\n").split("\n\n")

    def block(self) -> str | None:
        """What comes next, a comment included; None at the stream's end."""
        return next(self._blocks, None)

    def event(self) -> dict[str, Any] | None:
        """The next event's order; None at the stream's end."""
        for block in self._blocks:
            fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
            if "data" in fields:
                assert fields.keys() == {"id", "event", "data"}
                assert fields["event"] == "order"
                order: dict[str, Any] = orjson.loads(fields["data"])
                assert fields["id"] == str(order["event_seq"])
                return order
        return None


@pytest.fixture
def buyer(app: Flask, settings: Settings, database: FairdropDatabase) -> Buyer:
    """One who waits for a free unit."""
    return Buyer(app, settings, database, "ann")


@pytest.fixture
def payer(app: Flask, settings: Settings, database: FairdropDatabase) -> Buyer:
    """One who waits for a unit that has a price: the order is not final when it gets one."""
    return Buyer(app, settings, database, "ann", unit_price_minor=500)


def waits(app: Flask) -> int:
    """How many wait in the app."""
    count: int = app.extensions[ON_EXIT].__self__.outcomes._board._count
    return count


def until(condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < give_up, "it never came to that"
        time.sleep(0.005)


def test_an_order_says_which_state_it_is_in_and_whether_that_is_its_last(buyer: Buyer) -> None:
    assert (buyer.order["event_seq"], buyer.order["is_final"]) == (1, False)
    assert buyer.get().get_json() == buyer.order
    buyer.promote()
    order = buyer.get().get_json()
    assert (order["status"], order["event_seq"], order["is_final"]) == ("PLACED", 2, True)
    listed = buyer.app.test_client().get(f"/v1/orders?sale_id={buyer.sale_id}", headers=buyer.headers()).get_json()
    assert listed["orders"] == [order]


def test_a_long_poll_is_answered_when_the_order_changes(app: Flask, buyer: Buyer) -> None:
    with ThreadPoolExecutor(2) as clients:
        polls = [clients.submit(buyer.get, query) for query in ("?wait=30&after=1", "?wait=30")]
        until(lambda: waits(app) == 2)
        watches = [w for t in app.extensions[ON_EXIT].__self__.outcomes._board._topics.values() for w in t.watches]
        until(lambda: all(watch.known == 1 for watch in watches))
        buyer.promote()
        answers = [poll.result() for poll in polls]
    for answer in answers:
        assert answer.status_code == 200
        assert answer.get_json()["status"] == "PLACED"
        assert answer.headers["Cache-Control"] == "no-store"
    assert waits(app) == 0


def test_a_long_poll_that_waits_in_vain_is_answered_with_the_order_as_it_stands(buyer: Buyer) -> None:
    answer = buyer.get("?wait=1&after=1")
    assert (answer.status_code, answer.get_json()) == (200, buyer.order)


@pytest.mark.parametrize("query", ["?wait=30&after=0", "?wait=0&after=1", "?after=1", "?wait=0"])
def test_a_poll_that_has_nothing_to_wait_for_is_answered_at_once(app: Flask, buyer: Buyer, query: str) -> None:
    assert buyer.get(query).get_json() == buyer.order


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("?wait=31", "wait"),
        ("?wait=-1", "wait"),
        ("?wait=1.5", "wait"),
        ("?wait=", "wait"),
        ("?wait=٣", "wait"),
        ("?wait=9" + "9" * 4_000, "wait"),
        ("?wait=1&after=x", "after"),
        ("?wait=1&after=-1", "after"),
        ("?wait=1&after=2147483648", "after"),
    ],
)
def test_a_poll_that_breaks_a_rule_is_refused_with_the_rule(buyer: Buyer, query: str, field: str) -> None:
    answer = buyer.get(query)
    assert (answer.status_code, answer.get_json()["field"]) == (400, field)


@pytest.mark.parametrize("ending", ["?wait=30", "?wait=30&after=1", "/events"])
def test_somebody_else_s_order_is_not_found_however_one_waits_for_it(app: Flask, buyer: Buyer, ending: str) -> None:
    answer = buyer.get(ending, **buyer.headers("eve"))
    assert (answer.status_code, answer.get_json()["type"]) == (404, "urn:fairdrop:problem:order-not-found")
    assert buyer.get(ending, Authorization="").status_code == 401
    assert waits(app) == 0


def test_a_stream_tells_the_state_as_it_is_then_each_change_and_ends_with_the_last(app: Flask, payer: Buyer) -> None:
    stream = payer.stream()
    assert stream.response.mimetype == "text/event-stream"
    assert stream.response.headers["Cache-Control"] == "no-store"
    assert stream.response.headers["X-Accel-Buffering"] == "no"
    assert "Content-Length" not in stream.response.headers
    assert stream.block() == "retry: 2000"
    assert stream.event() == payer.order
    payer.promote()
    order = stream.event()
    assert order is not None
    assert (order["status"], order["event_seq"]) == ("PENDING", 2)
    cancelled = app.test_client().post(f"{payer.address}/cancel", headers=payer.headers()).get_json()
    assert stream.event() == cancelled
    assert (cancelled["status"], cancelled["event_seq"], cancelled["is_final"]) == ("CANCELLED", 3, True)
    assert stream.event() is None
    stream.response.close()
    assert waits(app) == 0


def test_a_stream_that_is_taken_up_again_tells_only_what_the_client_does_not_know(app: Flask, payer: Buyer) -> None:
    stream = payer.stream(**{"Last-Event-ID": "1"})
    payer.promote()
    order = stream.event()
    assert order is not None
    assert order["event_seq"] == 2
    stream.response.close()
    later = payer.stream(**{"Last-Event-ID": "1"})
    assert later.event() == order
    later.response.close()


def test_who_knows_the_final_state_is_told_not_to_come_again(app: Flask, buyer: Buyer) -> None:
    buyer.promote()
    answer = buyer.get("/events", **{"Last-Event-ID": "2"})
    assert (answer.status_code, answer.data) == (204, b"")
    stream = buyer.stream(**{"Last-Event-ID": "1"})
    order = stream.event()
    assert order is not None
    assert order["is_final"]
    assert stream.event() is None
    stream.response.close()
    assert waits(app) == 0


@pytest.mark.parametrize("last", ["x", "-1", "1.0", "2147483648", "9" * 4_000, "٣"])
def test_a_last_event_id_that_is_none_of_ours_is_refused(app: Flask, buyer: Buyer, last: str) -> None:
    answer = buyer.get("/events", **{"Last-Event-ID": last})
    assert (answer.status_code, answer.get_json()["field"]) == (400, "Last-Event-ID")


def test_a_silent_stream_has_a_heartbeat(buyer: Buyer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT_SECONDS", 0.05)
    stream = buyer.stream(**{"Last-Event-ID": "1"})
    assert [stream.block() for _ in range(4)] == ["retry: 2000", *[": no change"] * 3]
    stream.response.close()


def test_a_stream_ends_after_a_while_and_when_its_token_does(buyer: Buyer, monkeypatch: pytest.MonkeyPatch) -> None:
    brief = buyer.stream(**buyer.headers(lifetime_seconds=2))
    assert brief.event() == buyer.order
    assert brief.event() is None
    monkeypatch.setattr(streams, "STREAM_SECONDS", 0.3)
    stream = buyer.stream()
    assert stream.event() == buyer.order
    assert stream.event() is None
    for ended in (brief, stream):
        ended.response.close()


def test_streams_last_no_longer_than_promised_and_do_not_all_end_at_once() -> None:
    lengths = {streams.stream_seconds() for _ in range(100)}
    assert len(lengths) > 90
    assert streams.STREAM_SECONDS * 0.8 <= min(lengths) < max(lengths) <= streams.STREAM_SECONDS


def test_a_place_is_given_back_however_a_stream_ends(app: Flask, buyer: Buyer) -> None:
    never_read = buyer.stream()
    begun = buyer.stream()
    begun.event()
    assert waits(app) == 2
    for stream in (never_read, begun):
        stream.response.close()
    assert waits(app) == 0
    assert buyer.get("/events", method="HEAD").status_code == 200
    assert waits(app) == 0


def test_a_stream_that_newer_ones_take_the_place_of_ends(
    app: Flask, buyer: Buyer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "WAITS_PER_CUSTOMER", 1)
    oldest = buyer.stream()
    assert oldest.event() == buyer.order
    newest = buyer.stream()
    assert oldest.event() is None
    assert newest.event() == buyer.order
    buyer.promote()
    order = newest.event()
    assert order is not None
    assert order["status"] == "PLACED"
    for stream in (oldest, newest):
        stream.response.close()


def test_a_long_poll_that_newer_ones_take_the_place_of_is_told_so(
    app: Flask, buyer: Buyer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "WAITS_PER_CUSTOMER", 1)
    with ThreadPoolExecutor(1) as clients:
        poll = clients.submit(buyer.get, "?wait=30")
        until(lambda: waits(app) == 1)
        newest = buyer.stream()
        answer = poll.result()
        newest.response.close()
    problem = answer.get_json()
    assert (answer.status_code, problem["type"]) == (429, "urn:fairdrop:problem:wait-superseded")
    assert problem["limit"] == 1
    assert int(answer.headers["Retry-After"]) > 0


def test_past_the_bound_of_the_process_a_wait_is_refused_and_a_look_is_not(
    app: Flask, buyer: Buyer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "WAITS_PER_PROCESS", 0)
    for ending in ("?wait=30", "/events"):
        answer = buyer.get(ending)
        assert (answer.status_code, answer.get_json()["type"]) == (503, "urn:fairdrop:problem:too-many-waiting")
        assert int(answer.headers["Retry-After"]) > 0
    assert buyer.get("?wait=0").status_code == 200


def test_a_worker_that_is_told_to_end_lets_go_of_all_who_wait(settings: Settings, database: FairdropDatabase) -> None:
    app = create_app(settings)
    buyer = Buyer(app, settings, database, "ann")
    stream = buyer.stream()
    assert stream.event() == buyer.order
    with ThreadPoolExecutor(1) as clients:
        poll = clients.submit(buyer.get, "?wait=30")
        until(lambda: waits(app) == 2)
        threading.Timer(0.1, app.extensions[ON_EXIT]).start()
        assert stream.event() is None
        assert poll.result().get_json() == buyer.order
    stream.response.close()


def test_the_interface_s_description_has_both_ways_to_wait(app: Flask) -> None:
    paths = app.test_client().get("/openapi.json").get_json()["paths"]
    order = "/v1/sales/{sale_id}/orders/{order_id}"
    assert {p["name"] for p in paths[order]["get"]["parameters"]} >= {"wait", "after"}
    assert {"404", "429", "503"} <= paths[order]["get"]["responses"].keys()
    stream = paths[order + "/events"]["get"]
    assert "text/event-stream" in stream["responses"]["200"]["content"]
    assert "Last-Event-ID" in {p["name"] for p in stream["parameters"]}
    assert "204" in stream["responses"]
