"""A worker with too many orders under way: it refuses orders unread, orders only, and keeps nothing of them."""

import socket
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import full_house
import pytest
from raw_requests import answers_in, exchange, order_request
from sale_samples import put_up
from system_service import PATIENCE_SECONDS, Answer, Service, reaching, units_left

from app.local.children import serving
from app.settings import Settings
from app.storage.database import FairdropDatabase
from emulator import Emulators

OVERLOADED = (503, "overloaded")
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@dataclass(frozen=True)
class House:
    """A service of one worker, full when we say so."""

    service: Service
    file: Path

    def is_full(self, full: bool) -> None:
        """From now on."""
        self.file.touch() if full else self.file.unlink(missing_ok=True)

    @property
    def refused_unread(self) -> float:
        """Orders that the porter refused so far."""
        with urllib.request.urlopen(f"{self.service.url}/metrics", timeout=PATIENCE_SECONDS) as answer:
            lines = answer.read().decode().splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith("fairdrop_refused_unread_total"))


@pytest.fixture(scope="module")
def module_house(emulators: Emulators, settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    environment = {
        **reaching(settings, emulators.environment),
        full_house.VARIABLE: str(folder / "full"),
        "PYTHONPATH": str(Path(__file__).parent),
    }
    with serving(environment, folder / "service.log", factory="full_house:create()") as (url, server):
        yield House(Service(url, server, settings, environment), folder / "full")


@pytest.fixture
def house(module_house: House) -> Iterator[House]:
    """Full from the beginning of the test."""
    module_house.is_full(True)
    yield module_house
    module_house.is_full(False)
    assert "Traceback" not in module_house.service.log()


def kind(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.problem


def receive(connection: socket.socket) -> Answer:
    received = b""
    while b"\r\n\r\n" not in received or not received.endswith(b"}"):
        piece = connection.recv(65_536)
        assert piece
        received += piece
    (answer,) = answers_in(received)
    return answer


def test_an_order_refused_unread_is_not_stored_and_its_retry_on_the_same_connection_is_taken(
    house: House, database: FairdropDatabase
) -> None:
    sale, before = put_up(database), house.refused_unread
    order = order_request(house.service, sale, "patient")
    with socket.create_connection(house.service.address, PATIENCE_SECONDS) as connection:
        for _ in range(3):
            connection.sendall(order)
            refused = receive(connection)
            assert kind(refused) == OVERLOADED
            assert refused.headers["Retry-After"] == "1"
        assert house.refused_unread == before + 3
        assert units_left(database, sale) == 100
        house.is_full(False)
        connection.sendall(order)
        assert receive(connection).status == 201
    assert units_left(database, sale) == 99


def test_it_says_the_same_unread_as_read(house: House, database: FairdropDatabase) -> None:
    order = order_request(house.service, put_up(database), "curious")
    before = house.refused_unread
    (unread,) = exchange(house.service, order)
    (read,) = exchange(house.service, order.replace(b"HTTP/1.1\r\n", b"HTTP/1.1\r\nConnection: keep-alive\r\n"))
    assert house.refused_unread == before + 1
    moment = {"Date": ""}
    assert {**unread.headers, **moment} == {**read.headers, **moment}
    assert unread.body == read.body


def test_nothing_but_orders_is_refused(house: House, database: FairdropDatabase) -> None:
    sale, before = put_up(database), house.refused_unread
    assert house.service.call("GET", "/healthz").status == 200
    assert house.service.call("GET", f"/v1/sales/{sale.sale_id}").status == 200
    orders = house.service.call("GET", "/v1/orders", Authorization=house.service.token("reader"))
    assert (orders.status, orders.body["orders"]) == (200, [])
    assert house.refused_unread == before


def test_of_pipelined_requests_each_has_its_own_answer_in_order(house: House, database: FairdropDatabase) -> None:
    order = order_request(house.service, put_up(database), "hasty")
    look = b"GET /healthz HTTP/1.1\r\nHost: fairdrop\r\n\r\n"
    answers = exchange(house.service, order + order + look + order + look)
    assert [answer.status for answer in answers] == [503, 503, 200, 503, 200]


@pytest.mark.parametrize("cut", [10, 200, -2])
def test_the_rest_of_a_request_is_never_taken_for_one(house: House, database: FairdropDatabase, cut: int) -> None:
    """The first request leaves a piece of the second with the parser; what looks like an order is the second one's body."""
    order = order_request(house.service, put_up(database), "smuggler")
    outer = order.partition(b"Content-Length")[0] + b"Content-Length: %d\r\n\r\n" % len(order)
    look = b"GET /healthz HTTP/1.1\r\nHost: fairdrop\r\n\r\n"
    with socket.create_connection(house.service.address, PATIENCE_SECONDS) as connection:
        connection.sendall(look + outer[:cut])
        first = connection.recv(65_536)
        assert first.startswith(b"HTTP/1.1 200")
        connection.sendall(outer[cut:] + order)
        assert kind(receive(connection)) == OVERLOADED
        connection.sendall(look)
        assert receive(connection).status == 200


def test_an_order_in_pieces_is_one_order(house: House, database: FairdropDatabase) -> None:
    sale = put_up(database)
    order = order_request(house.service, sale, "slow")
    with socket.create_connection(house.service.address, PATIENCE_SECONDS) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for full, status in ((True, 503), (False, 201), (True, 503)):
            house.is_full(full)
            for cut in (order[:30], order[30:-5], order[-5:]):
                connection.sendall(cut)
                assert house.service.call("GET", "/healthz").status == 200  # by then it has been read
            assert receive(connection).status == status
    assert units_left(database, sale) == 99


def test_what_is_not_beyond_doubt_goes_to_the_parser(house: House, database: FairdropDatabase) -> None:
    order = order_request(house.service, put_up(database), "odd")
    head = order.partition(b"Content-Length")[0]
    before = house.refused_unread
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n" + b'c\r\n{"units": 1}\r\n0\r\n\r\n'
    both = head + b"Content-Length: 12\r\nTransfer-Encoding: chunked\r\n\r\n" + b'c\r\n{"units": 1}\r\n0\r\n\r\n'
    assert [kind(each) for each in exchange(house.service, chunked)] == [OVERLOADED]
    assert [kind(each) for each in exchange(house.service, order.replace(b"HTTP/1.1", b"HTTP/1.0"))] == [OVERLOADED]
    assert [each.status for each in exchange(house.service, both)] == [400]
    with socket.create_connection(house.service.address, PATIENCE_SECONDS) as connection:
        connection.sendall(order.replace(b"Host:", b"Expect: 100-continue\r\nHost:"))
        received = b""
        while not received.endswith(b"}"):
            received += connection.recv(65_536)
    assert [kind(each) for each in answers_in(received.removeprefix(CONTINUE))] == [OVERLOADED]
    assert house.refused_unread == before
