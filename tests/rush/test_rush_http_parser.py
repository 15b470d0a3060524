from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.rush.http_parser import BODY_LIMIT_BYTES, HEAD_LIMIT_BYTES, BadResponseError, Response, ResponseParser

ORDER = b'HTTP/1.1 201 Created\r\nContent-Length: 9\r\nIdempotent-Replayed: true\r\n\r\n{"a": 12}'
REFUSAL = b"HTTP/1.1 409 Conflict\r\ncontent-LENGTH:2\r\nX: y\r\nConnection: keep-alive\r\n\r\n{}"
EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST = b"HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
UNTIL_THE_END = b"HTTP/1.0 200 OK\r\n\r\nthe rest"
GARBAGE = b"SSH-2.0-OpenSSH_9.2\r\n\r\n"
PIECES = [ORDER, REFUSAL, EMPTY, INTERIM, LAST, UNTIL_THE_END, GARBAGE, ORDER[:30], b"\r\n", b"HTTP/2 200 OK\r\n\r\n"]

Outcome = Response | str


def read_all(chunks: list[bytes]) -> list[Outcome]:
    """Everything a connection's bytes say, the end of the connection included."""
    parser = ResponseParser()
    outcome: list[Outcome] = []
    try:
        for chunk in chunks:
            parser.feed(chunk)
            while (response := parser.next_response()) is not None:
                outcome.append(response)
        last = parser.end()
    except BadResponseError:
        return [*outcome, "garbage"]
    return [*outcome, "closed" if last is None else last]


@given(st.lists(st.sampled_from(PIECES), max_size=5).map(b"".join), st.lists(st.integers(0, 600), max_size=40))
def test_any_chunking_of_the_same_bytes_gives_the_same_answers(stream: bytes, cuts: list[int]) -> None:
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    assert read_all([stream[begin:end] for begin, end in pairwise(places)]) == read_all([stream])


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=10))
def test_any_bytes_end_as_answers_or_garbage_and_never_in_another_way(stream: bytes, cuts: list[int]) -> None:
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    assert read_all([stream[begin:end] for begin, end in pairwise(places)]) == read_all([stream])


def test_an_answer_has_its_status_headers_and_body() -> None:
    headers = {b"content-length": b"9", b"idempotent-replayed": b"true"}
    assert read_all([ORDER]) == [Response(201, headers, b'{"a": 12}', close=False), "closed"]


def test_answers_on_one_connection_are_kept_apart_and_interim_ones_skipped() -> None:
    statuses = [each.status for each in read_all([INTERIM + ORDER + EMPTY + REFUSAL]) if isinstance(each, Response)]
    assert statuses == [201, 204, 409]


def test_a_body_without_length_ends_with_the_connection() -> None:
    assert read_all([UNTIL_THE_END]) == [Response(200, {}, b"the rest", close=True)]


def test_a_server_that_closes_is_noticed() -> None:
    [answer, _] = read_all([LAST])
    assert isinstance(answer, Response)
    assert answer.close


@pytest.mark.parametrize(
    "stream",
    [
        b"hello",
        ORDER[:-1],
        ORDER[:20],
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1e3\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (BODY_LIMIT_BYTES + 1),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n folded: c\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"x" * HEAD_LIMIT_BYTES + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"x" * (HEAD_LIMIT_BYTES + 4),
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (BODY_LIMIT_BYTES + 1),
    ],
)
def test_what_is_no_whole_response_is_garbage(stream: bytes) -> None:
    assert read_all([stream]) == ["garbage"]
