"""Connections as crowds and attackers have them: dropped, slow, broken."""

import socket
from contextlib import ExitStack

import pytest
from raw_requests import exchange, order_request
from sale_samples import put_up
from system_service import Service, units_left

from app.storage.database import FairdropDatabase


def test_buyers_who_hang_up_at_once_hold_up_nobody_and_find_their_order_later(
    two_workers: Service, database: FairdropDatabase
) -> None:
    sale = put_up(database, stock=1_000)
    gone = [f"gone-{number}" for number in range(60)]
    for customer in gone:
        with socket.create_connection(two_workers.address, 60) as connection:
            connection.sendall(order_request(two_workers, sale, customer))
    assert two_workers.order(sale, "patient").status == 201
    assert {two_workers.order(sale, customer).status for customer in gone} <= {200, 201}
    # Each has one order, whichever of the two requests made it.
    assert units_left(database, sale) == 1_000 - 1 - len(gone)
    assert "Traceback" not in two_workers.log()


def test_hundreds_of_half_requests_hold_up_nobody(two_workers: Service, database: FairdropDatabase) -> None:
    sale = put_up(database)
    whole = order_request(two_workers, sale, "slow")
    with ExitStack() as stack:
        slow = []
        for number in range(400):
            connection = stack.enter_context(socket.create_connection(two_workers.address, 60))
            # In the middle of the first line, of a header, of the body.
            connection.sendall(whole[: (7, 60, len(whole) - 3)[number % 3]])
            slow.append(connection)
        for number in range(10):
            assert two_workers.order(sale, f"quick-{number}").status == 201
        slow[2].sendall(whole[len(whole) - 3 :])
        assert slow[2].recv(12) == b"HTTP/1.1 201"
    assert two_workers.order(sale, "afterwards").status == 201
    assert "Traceback" not in two_workers.log()


@pytest.mark.parametrize(
    ("sent", "status", "name"),
    [
        (b"nonsense\r\n\r\n", 400, "bad-request"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, "bad-request"),
        (b"GET /" + b"x" * 5_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414, "address-too-long"),
        (b"GET /healthz HTTP/1.1\r\nX: " + b"x" * 9_000 + b"\r\n\r\n", 431, "headers-too-large"),
        (b"GET /healthz HTTP/1.1\r\n" + b"X: y\r\n" * 70 + b"\r\n", 431, "headers-too-large"),
        (b"GET /healthz HTTP/1.1\r\nAuthorization Bearer eyJzZWNyZXQ\r\n\r\n", 400, "bad-request"),
        (b"GET /healthz HTTP/1.1\r\nAuthorization: Bearer eyJ\x00zZWNyZXQ\r\n\r\n", 400, "bad-request"),
        (b"GET /healthz HTTP/1.1\r\nX: y\r\n Bearer eyJzZWNyZXQ\r\n\r\n", 400, "bad-request"),
        (b"GET /healthz HTTP/9.9\r\n\r\n", 400, "bad-request"),
        (b"GET /healthz HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400, "bad-request"),
        (b"GET /healthz HTTP/1.1\r\nTransfer-Encoding: Bearer\r\n\r\n", 501, "http-error"),
    ],
)
def test_what_is_no_request_is_a_problem_too_and_never_in_the_log(
    two_workers: Service, sent: bytes, status: int, name: str
) -> None:
    (answer,) = exchange(two_workers, sent)
    assert (answer.status, answer.problem, answer.body["status"]) == (status, name, status)
    assert answer.headers["Connection"] == "close"
    assert "eyJ" not in str(answer)
    assert "Traceback" not in two_workers.log()


@pytest.mark.parametrize("body", [b"zz\r\n{}\r\n0\r\n\r\n", b"5\r\n{}", b"ffffffffffffffffff\r\n{}", b""])
def test_a_body_in_broken_chunks_is_the_client_s_fault(
    two_workers: Service, database: FairdropDatabase, body: bytes
) -> None:
    head = order_request(two_workers, put_up(database), "broken").partition(b"Content-Length")[0]
    answers = exchange(two_workers, head + b"Transfer-Encoding: chunked\r\n\r\n" + body)
    assert answers
    assert {answer.status for answer in answers} == {400}
    assert "Traceback" not in two_workers.log()


def test_a_body_in_chunks_is_read_and_one_too_large_is_413(two_workers: Service, database: FairdropDatabase) -> None:
    sale = put_up(database)
    head = order_request(two_workers, sale, "in chunks").partition(b"Content-Length")[0]
    whole = b'4\r\n{"un\r\n8\r\nits": 1}\r\n0\r\n\r\n'
    assert [a.status for a in exchange(two_workers, head + b"Transfer-Encoding: chunked\r\n\r\n" + whole)] == [201]
    large = b"".join(b"1000\r\n" + b" " * 0x1000 + b"\r\n" for _ in range(250)) + b"0\r\n\r\n"
    answers = exchange(two_workers, head + b"Transfer-Encoding: chunked\r\n\r\n" + large)
    assert [answer.status for answer in answers][:1] == [413]
    assert two_workers.order(sale, "afterwards").status == 201
    assert units_left(database, sale) == 100 - 2
