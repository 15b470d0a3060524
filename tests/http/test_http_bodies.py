"""Bodies: what is no order is refused with the field and the rule, whatever is sent, and leaves nothing behind."""

from collections.abc import Callable
from typing import Any

import pytest
from http_samples import Caller, Shop, broken_rule, problem
from werkzeug.test import TestResponse

from app.settings import Settings


def send(buyer: Caller, path: str, body: bytes, content_type: str | None = "application/json") -> TestResponse:
    headers = {"Content-Type": content_type} if content_type is not None else {}
    return buyer.post(path, key="key", data=body, headers=headers)


def in_chunks(buyer: Caller, path: str, body: bytes) -> TestResponse:
    """As a server passes on a body whose length was not declared."""
    environ = {"wsgi.input_terminated": True, "CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked"}
    headers = {"Content-Type": "application/json"}
    return buyer.post(path, key="key", data=body, headers=headers, environ_overrides=environ)


@pytest.fixture(scope="module")
def path(shop: Shop) -> str:
    return f"/v1/sales/{shop.put_up().sale_id}/orders"


@pytest.mark.parametrize(
    "units",
    ["0", "-1", "1.5", "1.0", '"1"', "true", "null", "[1]", "{}", "1001", "1e3", "9" * 4_000, "1e400", "-0.0"],
)
def test_units_are_a_whole_number_from_1_to_a_thousand(shop: Shop, path: str, units: str) -> None:
    with shop.nothing_written():
        response = send(shop.buyer(), path, b'{"units": %b}' % units.encode())
    assert broken_rule(response)[0] == "units"
    assert units not in response.text or len(units) < 10


@pytest.mark.parametrize("method", ["", " ", "x" * 257, "with space", "nul\0", "ü", "new\nline", 4242, ["tok"], {}])
def test_a_payment_method_is_up_to_256_visible_characters(shop: Shop, path: str, method: Any) -> None:
    with shop.nothing_written():
        response = shop.buyer().post(path, key="key", json={"units": 1, "payment_method": method})
    assert broken_rule(response)[0] == "payment_method"


@pytest.mark.parametrize(
    "field", ["price", "unit_price_minor", "placed_at", "position", "customer_id", "sale_id", "Units", ""]
)
def test_an_unknown_field_is_refused_a_client_gives_no_time_price_or_position(
    shop: Shop, path: str, field: str
) -> None:
    with shop.nothing_written():
        response = shop.buyer().post(path, key="key", json={"units": 1, field: 1})
    assert broken_rule(response)[0] == (field or "body")


def test_what_is_left_out_is_named(shop: Shop, path: str) -> None:
    assert broken_rule(shop.buyer().post(path, key="key", json={})) == ("units", "Field required")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b'{"units": 1',
        b'{"units": }',
        b'{"units": 1}}',
        b'{"units": 1} {"units": 1}',
        b"{'units': 1}",
        b'{"units": NaN}',
        b'{"units": Infinity}',
        b'{"units": 01}',
        b'{"units": 1,}',
        b'\xef\xbb\xbf{"units": 1}',
        b'{"units": 1, "payment_method": "\xff\xfe"}',
        b'{"units": 1, "payment_method": "\\ud800"}',
        '{"units": 1}'.encode("utf-16"),
        b"\x00" * 100,
        b"units=1",
        b"[" * 16_000,
        b'{"a":' * 3_000,
        b"null",
        b"1",
        b'"text"',
        b"[]",
        b'{"units": %b}' % (b"9" * 5_000),
        b'[{"units": 1}]',
    ],
)
def test_what_is_no_json_object_is_refused(shop: Shop, path: str, body: bytes) -> None:
    with shop.nothing_written():
        broken_rule(send(shop.buyer(), path, body))


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonp",
        "json",
    ],
)
def test_another_content_type_is_415(shop: Shop, path: str, content_type: str | None) -> None:
    with shop.nothing_written():
        problem(send(shop.buyer(), path, b'{"units": 1}', content_type), 415, "unsupported-media-type")


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/json;v=1"]
)
def test_parameters_and_case_of_the_content_type_do_not_matter(shop: Shop, path: str, content_type: str) -> None:
    assert send(shop.buyer(), path, b'{"units": 1}', content_type).status_code == 201


def test_a_body_of_a_megabyte_is_413_declared_or_not(shop: Shop, path: str) -> None:
    body = b'{"units": 1, "x": "%b"}' % (b"x" * 1_000_000)
    with shop.nothing_written():
        problem(send(shop.buyer(), path, body), 413, "body-too-large")
        problem(in_chunks(shop.buyer(), path, body), 413, "body-too-large")


@pytest.mark.parametrize("way", [send, in_chunks])
def test_a_body_of_the_longest_size_is_read_and_a_byte_more_is_not(
    shop: Shop, path: str, settings: Settings, way: Callable[[Caller, str, bytes], TestResponse]
) -> None:
    limit = settings.max_body_bytes
    assert way(shop.buyer(), path, b'{"units": 1}'.ljust(limit)).status_code == 201
    problem(way(shop.buyer(), path, b'{"units": 1}'.ljust(limit + 1)), 413, "body-too-large")


def test_nothing_that_was_sent_is_repeated_in_the_refusal(shop: Shop, path: str) -> None:
    for body in (b'{"units": "<script>"}', b'{"units": 1, "payment_method": "4242 4242 <script>"}', b"<script>"):
        assert "<script>" not in send(shop.buyer(), path, body).text
