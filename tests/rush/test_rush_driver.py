"""One process' loop against a real server over sockets."""

import json
import socket
import ssl
import threading
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from itertools import pairwise
from pathlib import Path
from time import sleep
from typing import Any

import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from rush_types import Drive, Line
from scripted_server import HANG_UP, Reply, Script, ScriptedServer, Seen, ShopScript, order, problem

from app.rush import driver
from app.rush.order_request import LYING_HEADERS
from app.rush.plan import Shares
from app.rush.report import summarise

EVERYTHING = Shares(double=0.2, retry=0.2, dropped=0.2, false_time=0.2, several=0.3)


def by_buyer(lines: list[Line]) -> dict[str, list[Line]]:
    grouped: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        grouped[line["buyer"]].append(line)
    return grouped


def at_first(replies: list[Reply], then: Script) -> Script:
    """The first requests of each customer get these replies, the later ones the script's."""
    counts: Counter[str] = Counter()

    def script(seen: Seen) -> Reply:
        counts[seen.customer] += 1
        number = counts[seen.customer]
        return replies[number - 1] if number <= len(replies) else then(seen)

    return script


def test_every_attempt_has_a_line_and_the_server_counted_the_same(drive: Drive) -> None:
    with ScriptedServer(ShopScript(100)) as server:
        lines = drive(server, 300, shares=EVERYTHING)
    assert Counter(line["key"] for line in lines) == Counter(seen.key for seen in server.seen)
    for attempts in by_buyer(lines).values():
        assert sorted(line["attempt"] for line in attempts) == list(range(1, len(attempts) + 1))
    assert len({line["order_id"] for line in lines if line["order_id"]}) == 100


def test_a_crowd_of_many_connections_is_looked_at_seldom_and_none_of_its_answers_is_missed(
    drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        sleep(seconds)

    monkeypatch.setattr(driver, "sleep", pause)
    with ScriptedServer(ShopScript(50)) as server:
        drive(server, 100, shares=EVERYTHING)
        assert not pauses
        monkeypatch.setattr(driver, "MANY_CONNECTIONS", 8)
        lines = drive(server, 100, shares=EVERYTHING)
    assert pauses
    assert max(pauses) <= driver.LOOK_EVERY_SECONDS
    assert {line["error"] for line in lines} == {None, "dropped"}


def test_all_attempts_of_a_buyer_carry_the_same_key_and_body(drive: Drive) -> None:
    with ScriptedServer(at_first([problem("overloaded", 503, "0")], ShopScript(50))) as server:
        drive(server, 100, shares=EVERYTHING)
    requests: dict[str, set[tuple[str, bytes]]] = defaultdict(set)
    for seen in server.seen:
        requests[seen.customer].add((seen.key, seen.body))
    assert len(requests) == 100
    assert all(len(same) == 1 for same in requests.values())
    assert len({seen.key for seen in server.seen}) == 100


def test_a_line_says_what_the_answer_said(drive: Drive) -> None:
    with ScriptedServer(ShopScript(1)) as server:
        taken, refused = drive(server, 2, connections=1)
    assert taken["sent_ns"] <= taken["answered_ns"]
    assert taken | {"sent_ns": 0, "answered_ns": 0} == {
        "buyer": "customer-0",
        "key": server.seen[0].key,
        "attempt": 1,
        "kind": "plain",
        "units": 1,
        "due_ns": None,
        "sent_ns": 0,
        "answered_ns": 0,
        "status": 201,
        "order_id": "order-0",
        "order_status": "PENDING",
        "placed_at": "2026-11-24T12:00:00.123456Z",
        "shard_id": 3,
        "seq": 0,
        "claim_code": None,
        "problem": None,
        "as_of": None,
        "age_ms": None,
        "replayed": False,
        "error": None,
    }
    assert (refused["status"], refused["problem"], refused["order_id"]) == (409, "sold-out", None)
    assert (refused["as_of"], refused["age_ms"]) == ("2026-11-24T12:00:01.000000Z", 1.5)


@pytest.mark.parametrize(("price_minor", "payment"), [(49900, {"payment_method": "tok_visa"}), (0, {})])
def test_a_payment_method_goes_along_when_the_sale_has_a_price(
    drive: Drive, price_minor: int, payment: dict[str, str]
) -> None:
    with ScriptedServer(ShopScript(1), price_minor=price_minor) as server:
        drive(server, 1)
    assert json.loads(server.seen[0].body) == {"units": 1, **payment}


def test_double_buyers_have_two_requests_under_way_at_a_time(drive: Drive) -> None:
    both_are_here = {f"customer-{index}": threading.Barrier(2, timeout=30) for index in range(3)}

    def script(seen: Seen) -> Reply:
        both_are_here[seen.customer].wait()  # answered only when the twin has come as well, on a connection of its own
        return Reply(201, order(seen.customer))

    with ScriptedServer(script) as server:
        lines = drive(server, 3, connections=2, shares=Shares(double=1))
    assert [line["kind"] for line in lines] == ["double"] * 6
    for customer in ("customer-0", "customer-1", "customer-2"):
        first, second = (seen for seen in server.seen if seen.customer == customer)
        assert (first.key, first.body) == (second.key, second.body)
        assert first.connection != second.connection


def test_a_retrying_buyer_gets_the_same_order_again(drive: Drive) -> None:
    with ScriptedServer(ShopScript(10)) as server:
        lines = drive(server, 10, shares=Shares(retry=1))
    for first, second in by_buyer(lines).values():
        assert (first["status"], first["replayed"]) == (201, False)
        assert (second["status"], second["replayed"]) == (200, True)
        assert first["order_id"] == second["order_id"]
        assert first["answered_ns"] <= second["sent_ns"]


def test_a_dropped_buyer_hangs_up_and_comes_back_on_another_connection(drive: Drive) -> None:
    with ScriptedServer(ShopScript(10)) as server:
        lines = drive(server, 10, shares=Shares(dropped=1))
    for first, second in by_buyer(lines).values():
        assert (first["status"], first["answered_ns"], first["error"]) == (None, None, "dropped")
        assert second["order_id"] is not None
    by_customer: dict[str, set[int]] = defaultdict(set)
    for seen in server.seen:
        by_customer[seen.customer].add(seen.connection)
    assert all(len(connections) == 2 for connections in by_customer.values())


def test_liars_send_a_false_time_and_others_none(drive: Drive) -> None:
    with ScriptedServer(ShopScript(40)) as server:
        lines = drive(server, 40, shares=Shares(false_time=0.5))
    kinds = {line["key"]: line["kind"] for line in lines}
    assert set(kinds.values()) == {"plain", "false_time"}
    for seen in server.seen:
        lies = {"date", "x-client-time"} & set(seen.headers)
        assert bool(lies) == (kinds[seen.key] == "false_time")
    assert b"Date: " in LYING_HEADERS


def test_503_is_asked_again_with_the_same_key_until_the_answer(drive: Drive) -> None:
    busy = problem("overloaded", 503, "0")
    with ScriptedServer(at_first([busy, busy], ShopScript(5))) as server:
        lines = drive(server, 5, connections=2)
    for attempts in by_buyer(lines).values():
        assert [(line["status"], line["problem"]) for line in attempts] == [
            (503, "overloaded"),
            (503, "overloaded"),
            (201, None),
        ]
        assert len({line["key"] for line in attempts}) == 1


def test_while_one_buyer_waits_to_come_back_the_next_gets_the_connection(drive: Drive) -> None:
    with ScriptedServer(at_first([problem("overloaded", 503, "0")], ShopScript(2))) as server:
        drive(server, 2, connections=1)
    assert [seen.customer for seen in server.seen[:2]] == ["customer-0", "customer-1"]


def test_tries_end_at_their_limit(drive: Drive) -> None:
    with ScriptedServer(lambda _: problem("overloaded", 503, "0")) as server:
        lines = drive(server, 2, tries_limit=3)
    assert Counter(line["buyer"] for line in lines) == {"customer-0": 3, "customer-1": 3}


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (HANG_UP, "closed"),
        (Reply(raw=b"HTTP/1.1 201 Created\r\nContent-Length: 500\r\n\r\n{", close=True), "garbage"),
        (Reply(raw=b"HTTP/1.1 2", close=True), "garbage"),
        (Reply(raw=b"\x00\x01\x02 not HTTP at all\r\n\r\n"), "garbage"),
        (Reply(201, ["no order"]), "unreadable"),
        (Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n{{{{"), "unreadable"),
    ],
)
def test_an_answer_lost_midway_is_an_error_and_asked_for_again(drive: Drive, reply: Reply, error: str) -> None:
    with ScriptedServer(at_first([reply], ShopScript(20))) as server:
        lines = drive(server, 20)
    for first, second in by_buyer(lines).values():
        assert first["error"] == error
        assert (second["status"], second["error"]) == (201, None)


def test_a_connection_that_the_server_closes_after_an_answer_is_opened_again(drive: Drive) -> None:
    shop = ShopScript(20)

    def script(seen: Seen) -> Reply:
        reply = shop(seen)
        return Reply(reply.status, reply.body, {"Connection": "close"}, close=True)

    with ScriptedServer(script) as server:
        lines = drive(server, 20, connections=2)
    assert [line["status"] for line in lines] == [201] * 20
    assert len({seen.connection for seen in server.seen}) == 20


def test_a_server_that_never_answers_runs_out_of_time(drive: Drive) -> None:
    silent = threading.Event()

    def script(_: Seen) -> Reply:
        silent.wait(30)
        return HANG_UP

    with ScriptedServer(script) as server:
        lines = drive(server, 1, tries_limit=2, timeout_seconds=0.1)
        silent.set()
    assert [(line["error"], line["answered_ns"]) for line in lines] == [("timeout", None)] * 2


def test_a_refused_connection_is_tried_again(drive: Drive) -> None:
    """The server goes away after telling of the sale, and comes back on its port once a buyer was refused."""
    with ScriptedServer(ShopScript(1)) as server:
        port = int(server.url.rpartition(":")[2])
        answering = server._answer

        def leave(seen: Seen) -> Reply:
            server._answer = answering  # type: ignore[method-assign]
            server._listener.shutdown(socket.SHUT_RDWR)
            server._listener.close()
            return answering(seen)

        def come_back(line: Line) -> None:
            if line["error"] == "refused" and server._listener.fileno() < 0:
                server._listener = socket.create_server(("127.0.0.1", port), backlog=64)
                server.__enter__()

        server._answer = leave  # type: ignore[method-assign]
        lines = drive(server, 1, on_line=come_back)
    assert [(line["status"], line["error"]) for line in lines] == [(None, "refused"), (201, None)]


def test_open_arrivals_count_from_their_schedule_also_when_no_connection_is_free(drive: Drive) -> None:
    with ScriptedServer(lambda seen: Reply(201, order(seen.customer))) as server:
        # So many a second that all are due before the first can be answered.
        lines = drive(server, 20, connections=1, arrivals="open", rate_per_second=1e9)
    due = [line["due_ns"] for line in lines]
    assert due == sorted(due)
    assert due[-1] < lines[0]["answered_ns"]
    for earlier, later in pairwise(lines):
        assert later["sent_ns"] >= earlier["answered_ns"], "it had to wait for the only connection"
    report = summarise([b'{"rush": {}}', *(orjson.dumps(line) for line in lines)])
    assert report.latency["taken"].max_ms == (lines[-1]["answered_ns"] - lines[-1]["due_ns"]) / 1e6


def test_open_arrivals_do_not_wait_for_answers(drive: Drive) -> None:
    all_are_here = threading.Barrier(5, timeout=30)

    def script(seen: Seen) -> Reply:
        all_are_here.wait()
        return Reply(201, order(seen.customer))

    with ScriptedServer(script) as server:
        lines = drive(server, 5, connections=5, arrivals="open", rate_per_second=1_000.0)
    assert [line["status"] for line in lines] == [201] * 5


def _certificate(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    names: list[Any] = [x509.DNSName("localhost"), x509.IPAddress(IPv4Address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


def test_https_works_as_http_does(drive: Drive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(path)
    with ScriptedServer(ShopScript(30), tls=tls) as server:
        lines = drive(server, 60, shares=EVERYTHING)
    assert Counter(line["key"] for line in lines) == Counter(seen.key for seen in server.seen)
    assert len({line["order_id"] for line in lines if line["order_id"]}) == 30
    assert {line["error"] for line in lines} == {None, "dropped"}


@pytest.mark.parametrize("waits", [True, False])
def test_a_buyer_who_came_too_early_is_there_at_the_opening_if_they_wait_for_it(drive: Drive, waits: bool) -> None:
    early = problem("sale-not-open", 409, "1", opens_at="2026-11-24T12:00:00Z", opens_in_ms=150)
    with ScriptedServer(at_first([early, early], ShopScript(5))) as server:
        lines = drive(server, 5, waits_for_opening=waits)
    for attempts in by_buyer(lines).values():
        told = [line["problem"] for line in attempts]
        assert told == (["sale-not-open", "sale-not-open", None] if waits else ["sale-not-open"])
        for before, after in pairwise(attempts):
            assert after["sent_ns"] - before["answered_ns"] >= 150_000_000
