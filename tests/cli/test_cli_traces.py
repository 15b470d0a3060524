"""`fairdrop traces`: each trace as a tree, with the batch under the order that rode in it."""

import gzip
import http.client
import socket

import pytest
from click.testing import CliRunner

from app.cli.main import fairdrop
from app.local.collector import PATH, SeenSpan, collecting
from app.local.trace_text import trace_lines

ONE, OTHER = "a" * 32, "b" * 32
MS = 1_000_000


def span(trace_id: str, span_id: str, parent: str, name: str, at_ms: int, took_ms: int, **more: object) -> SeenSpan:
    links = (more.pop("link"),) if "link" in more else ()
    return SeenSpan(
        trace_id,
        span_id,
        parent,
        name,
        "internal",
        "fairdrop-api",
        at_ms * MS,
        (at_ms + took_ms) * MS,
        more,
        links,
        False,
    )  # type: ignore[arg-type]


def test_a_trace_is_a_tree_with_its_batch_under_the_order_that_rode_in_it() -> None:
    spans = [
        span(ONE, "3", "2", "publish order.reserved", 30, 5, outcome="Done", **{"order.id": "o-1"}),
        span(ONE, "1", "caller", "POST", 10, 20),
        span(ONE, "2", "1", "take order", 11, 18, link=(OTHER, "7"), **{"order.id": "o-1"}),
        span(OTHER, "7", "", "place batch", 12, 10, link=(ONE, "2"), orders=3),
        span(OTHER, "8", "7", "commit", 15, 6),
    ]
    assert list(trace_lines(ONE, spans)) == [
        f"trace {ONE}",
        "      0.0 ms     20.0 ms  POST [api]",
        "      1.0 ms     18.0 ms    take order [api] order.id=o-1",
        "      2.0 ms     10.0 ms      linked: place batch [api] orders=3",
        "      5.0 ms      6.0 ms        commit [api]",
        "     20.0 ms      5.0 ms      publish order.reserved [api] outcome=Done",
    ]


def test_a_trace_of_which_nothing_came_has_no_lines() -> None:
    assert list(trace_lines(ONE, [])) == []


def test_a_port_that_is_taken_is_said_in_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = CliRunner().invoke(fairdrop, ["traces", "--port", str(taken.getsockname()[1])])
    assert result.exit_code == 1
    assert "cannot listen on port" in result.output


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, b"no spans"),
        ({"Content-Encoding": "gzip"}, b"no gzip"),
        ({"Content-Encoding": "gzip"}, gzip.compress(b"cut off")[:-9]),
        ({"Content-Encoding": "gzip"}, gzip.compress(b"spoilt")[:10] + b"\xff" * 9),
    ],
    ids=["no spans", "no gzip", "cut off", "spoilt"],
)
def test_what_is_no_page_of_spans_is_refused_and_the_collector_goes_on(headers: dict[str, str], body: bytes) -> None:
    with collecting() as collector:
        there = http.client.HTTPConnection(collector.url.removeprefix("http://"), timeout=5)
        for sent, said, status in ((body, headers, 400), (b"", {}, 200)):
            there.request("POST", PATH, sent, {"Content-Type": "application/x-protobuf", **said})
            with there.getresponse() as answer:
                answer.read()
            assert answer.status == status
        there.close()
        assert collector.spans == []
