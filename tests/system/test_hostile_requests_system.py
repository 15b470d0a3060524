"""Requests made to be misread: each gets one clear answer, and nothing behind it is taken for another request."""

import pytest
from raw_requests import exchange, order_request
from sale_samples import put_up
from system_service import Service, units_left

from app.storage.database import FairdropDatabase

SMUGGLED = b"GET /v1/orders HTTP/1.1\r\nHost: smuggled\r\n\r\n"
HEAD = b"POST /v1/sales/x/orders HTTP/1.1\r\nHost: x\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = b"0\r\n\r\n"


@pytest.mark.parametrize(
    ("sent", "statuses"),
    [
        # Two lengths: whoever is before us may have believed the other one.
        (HEAD + b"Content-Length: 5\r\n" + CHUNKED + b"\r\n" + CHUNKS + SMUGGLED, {400}),
        (HEAD + CHUNKED + b"Content-Length: 5\r\n\r\n" + CHUNKS + SMUGGLED, {400}),
        (HEAD + b"Content-Length: 0\r\nContent-Length: 44\r\n\r\n" + SMUGGLED, {400}),
        (HEAD + b"Content-Length: 0, 44\r\n\r\n" + SMUGGLED, {400}),
        (HEAD + b"Content-Length: 44\r\nContent-Length: 44\r\n\r\n" + SMUGGLED, {400}),
        # Lengths that are none.
        (HEAD + b"Content-Length: -1\r\n\r\n" + SMUGGLED, {400}),
        (HEAD + b"Content-Length: +4\r\n\r\n" + SMUGGLED, {400}),
        (HEAD + b"Content-Length: 0x4\r\n\r\n" + SMUGGLED, {400}),
        (HEAD + b"Content-Length: 4_4\r\n\r\n" + SMUGGLED, {400}),
        (HEAD + b"Content-Length: 4 4\r\n\r\n" + SMUGGLED, {400}),
        (HEAD + b"Content-Length: \xb2\r\n\r\n" + SMUGGLED, {400}),
        (HEAD + b"Content-Length:\r\n\r\n" + SMUGGLED, {400}),
        (HEAD + b"Content-Length : 4\r\n\r\n" + SMUGGLED, {400}),
        (HEAD + b"Content-Length: " + b"9" * 400 + b"\r\n\r\n" + SMUGGLED, {400, 413}),
        # Codings that are none, or not the last.
        (HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n" + CHUNKS + SMUGGLED, {400, 501}),
        (HEAD + b"Transfer-Encoding: xchunked\r\n\r\n" + CHUNKS + SMUGGLED, {400, 501}),
        (HEAD + b"Transfer-Encoding: \x0bchunked\r\n\r\n" + CHUNKS + SMUGGLED, {400, 501}),
        (HEAD + b"Transfer-Encoding : chunked\r\n\r\n" + CHUNKS + SMUGGLED, {400}),
        (HEAD + b"Transfer-Encoding:\r\n chunked\r\n\r\n" + CHUNKS + SMUGGLED, {400}),
        (HEAD + CHUNKED + CHUNKED + b"\r\n" + CHUNKS + SMUGGLED, {400, 501}),
        (HEAD.replace(b"1.1", b"1.0") + CHUNKED + b"\r\n" + CHUNKS + SMUGGLED, {400, 501}),
        # Chunks that another reader would end elsewhere.
        (HEAD + CHUNKED + b"\r\n" + b"0_0\r\n\r\n" + SMUGGLED, {400}),
        (HEAD + CHUNKED + b"\r\n" + b"0x0\r\n\r\n" + SMUGGLED, {400}),
        (HEAD + CHUNKED + b"\r\n" + b"-1\r\n\r\n" + SMUGGLED, {400}),
        (HEAD + CHUNKED + b"\r\n" + b"2\r\n{}XX0\r\n\r\n" + SMUGGLED, {400}),
        (HEAD + CHUNKED + b"\r\n" + b"0;\x00=1\r\n\r\n" + SMUGGLED, {400}),
        (HEAD + CHUNKED + b"\r\n" + b"0" * 30_000 + b"\r\n\r\n" + SMUGGLED, {400}),
        (HEAD + CHUNKED + b"\r\n" + b"0\r\nContent-Length: 44\r\n\r\n" + SMUGGLED, {400}),
        (HEAD + CHUNKED + b"\r\n" + b"0\r\n" + b"X: y\r\n" * 200_000 + b"\r\n" + SMUGGLED, {400, 431}),
        # Lines that another reader would split otherwise.
        (b"GET /healthz HTTP/1.1\nHost: x\n\n" + SMUGGLED, {400}),
        (b"GET /healthz HTTP/1.1\r\nHost: x\nX: y\r\n\r\n" + SMUGGLED, {400}),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: a\rb\r\n\r\n" + SMUGGLED, {400}),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n" + SMUGGLED, {400}),
        (b"GET  /healthz HTTP/1.1\r\nHost: x\r\n\r\n" + SMUGGLED, {400}),
        (b"GET /health\x00z HTTP/1.1\r\nHost: x\r\n\r\n" + SMUGGLED, {400}),
        (b"GET /health\xffz HTTP/1.1\r\nHost: x\r\n\r\n" + SMUGGLED, {400}),
        (b"get /healthz HTTP/1.1\r\nHost: x\r\n\r\n" + SMUGGLED, {400}),
        (b"GET /healthz\r\n\r\n" + SMUGGLED, {400}),
        (b"GET /healthz HTTP/2.0\r\n\r\n" + SMUGGLED, {400}),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SMUGGLED, {400}),
        (
            b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X%d: %b\r\n" % (n, b"y" * 8_000) for n in range(9)),
            {431},
        ),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nExpect: a miracle\r\n\r\n" + SMUGGLED, {417}),
        (b"CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n" + SMUGGLED, {400, 404, 405}),
    ],
)
def test_what_may_be_read_in_two_ways_gets_one_answer_and_the_end_of_the_connection(
    two_workers: Service, sent: bytes, statuses: set[int]
) -> None:
    (answer,) = exchange(two_workers, sent)
    assert answer.status in statuses, answer
    assert answer.body["status"] == answer.status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "Traceback" not in two_workers.log()


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /healthz HTTP/1.0\r\n\r\n",
        b"GET http://elsewhere.example/healthz HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /healthz?" + b"a=%00&" * 500 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: \r\nAccept: application/xml\r\nAccept-Encoding: *;q=0\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nRange: bytes=0-0,-1,9-\r\nIf-Match: *\r\n\r\n",
    ],
)
def test_what_is_odd_but_clear_is_answered(two_workers: Service, sent: bytes) -> None:
    (answer,) = exchange(two_workers, sent)
    assert (answer.status, answer.body) == (200, {"status": "alive"})


def test_requests_sent_at_once_are_answered_in_their_order(two_workers: Service, database: FairdropDatabase) -> None:
    sale = put_up(database, stock=30)
    orders = b"".join(order_request(two_workers, sale, f"at once {number}") for number in range(20))
    answers = exchange(two_workers, (orders + b"GET /none HTTP/1.1\r\nHost: x\r\n\r\n") * 2)
    assert [answer.status for answer in answers] == [201] * 20 + [404] + [200] * 20 + [404]
    placed = [answer.body["order_id"] for answer in answers[:20]]
    assert placed == [answer.body["order_id"] for answer in answers[21:41]]
    assert len(set(placed)) == 20
    assert units_left(database, sale) == 10


def test_a_body_that_nobody_wants_is_not_taken_for_the_next_request(two_workers: Service) -> None:
    head = b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(SMUGGLED)
    answers = exchange(two_workers, head + SMUGGLED + b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert [answer.status for answer in answers] == [405, 200]


def test_a_body_declared_endless_is_refused_without_being_read_to_its_end(two_workers: Service) -> None:
    head = b"POST /v1/admin/sales HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % 10**15
    (answer,) = exchange(two_workers, head + b"x" * 3_000_000, is_patient=False)
    assert answer.status == 401


@pytest.mark.parametrize("line", [b"SCRIPT_NAME: /v1", b"PATH_INFO: /healthz", b"X-Forwarded-Proto: ftp"])
def test_no_header_moves_an_address_not_even_from_this_machine(two_workers: Service, line: bytes) -> None:
    (answer,) = exchange(
        two_workers, b"GET /v1/healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + line + b"\r\n\r\n"
    )
    assert answer.status == 404
