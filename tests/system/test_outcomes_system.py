"""Thousands wait at one worker for their orders' outcome, and are told within moments of it: gunicorn, real sockets."""

import selectors
import signal
import socket
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import orjson
import pytest
from sale_samples import put_up

from app.domain.orders import Order
from app.domain.sale import Sale
from app.http.local_issuer import LocalIssuer
from app.local.children import Child, serving
from app.services import sales
from app.services.placement import Placement
from app.settings import Settings
from app.storage.database import FairdropDatabase
from emulator import Emulators

CLIENTS = 2_000
WAIT_SECONDS = 30
PATIENCE_SECONDS = 120.0


class Client:
    """One connection with one request on it, and what has come back."""

    def __init__(self, address: tuple[str, int], path: str, token: str) -> None:
        request = f"GET {path} HTTP/1.1\r\nHost: fairdrop\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
        self.socket = socket.create_connection(address, PATIENCE_SECONDS)
        self.socket.sendall(request.encode())
        self.received = b""

    @property
    def status(self) -> int:
        """Of the answer."""
        return int(self.received.split(b" ", 2)[1])

    @property
    def body(self) -> bytes:
        """What came behind the headers."""
        return self.received.partition(b"\r\n\r\n")[2]


def read_to_the_end(clients: Sequence[Client]) -> None:
    """Take what comes for each client until its connection ends."""
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client.socket, selectors.EVENT_READ, client)
        give_up = time.monotonic() + PATIENCE_SECONDS
        while selector.get_map():
            assert time.monotonic() < give_up, f"{len(selector.get_map())} clients are still waiting"
            for key, _ in selector.select(1.0):
                client: Client = key.data
                chunk = client.socket.recv(65_536)
                client.received += chunk
                if not chunk:
                    selector.unregister(client.socket)
                    client.socket.close()


def read_until(client: Client, text: bytes) -> None:
    """Take what comes until it has this text."""
    while text not in client.received:
        chunk = client.socket.recv(65_536)
        assert chunk, f"the stream ended before {text!r}"
        client.received += chunk


def full_line(database: FairdropDatabase) -> Sale:
    """A free sale without stock, and room for everybody to wait."""
    return put_up(database, stock=0, limit_per_customer=1, waitlist_limit=CLIENTS, expected_crowd=CLIENTS)


def queue_up(settings: Settings, database: FairdropDatabase, sale: Sale, customers: Iterable[str]) -> list[Order]:
    """An order on the waitlist for each customer."""
    counter = Placement(database, settings.model_copy(update={"request_deadline_seconds": PATIENCE_SECONDS}))
    with ThreadPoolExecutor(100) as crowd:
        place = [
            crowd.submit(counter.place, name, sale.sale_id, 1, "key", None, datetime.now(UTC)) for name in customers
        ]
        return [placed.result().order for placed in place]


def service_log(server: Child) -> str:
    """What the service had to say."""
    return server.log_path.read_text(errors="replace")


@pytest.fixture
def environment(emulators: Emulators, settings: Settings) -> dict[str, str]:
    """What a service of the module's database must know."""
    return {
        **emulators.environment,
        "FAIRDROP_STATE_DIR": str(settings.state_dir),
        "FAIRDROP_SPANNER_PROJECT": settings.spanner_project,
        "FAIRDROP_SPANNER_INSTANCE": settings.spanner_instance,
        "FAIRDROP_SPANNER_DATABASE": settings.spanner_database,
    }


def test_two_thousand_who_wait_at_one_worker_are_all_told_of_their_units_and_orders_go_on_meanwhile(
    environment: dict[str, str], settings: Settings, database: FairdropDatabase, tmp_path: Path
) -> None:
    sale, issuer = full_line(database), LocalIssuer.load(settings)
    orders = queue_up(settings, database, sale, (f"customer-{i}" for i in range(CLIENTS)))
    with serving(environment, tmp_path / "service.log") as (url, server):
        place = urlsplit(url)
        address = (str(place.hostname), int(place.port or 0))
        clients = [
            Client(
                address,
                f"/v1/sales/{sale.sale_id}/orders/{order.order_id}?wait={WAIT_SECONDS}&after=1",
                issuer.token(order.customer_id),
            )
            for order in orders
        ]
        # Somebody who does not wait is served while all the others do.
        looks = Client(address, f"/v1/sales/{sale.sale_id}/orders/{orders[0].order_id}", issuer.token("customer-0"))
        read_to_the_end([looks])
        assert (looks.status, orjson.loads(looks.body)["event_seq"]) == (200, 1)
        sales.restock(database, sale.sale_id, CLIENTS, "all", "seller")
        read_to_the_end(clients)
    told = [orjson.loads(client.body) for client in clients]
    assert {client.status for client in clients} == {200}
    assert [order["order_id"] for order in told] == [order.order_id for order in orders]
    assert {(order["status"], order["event_seq"]) for order in told} == {("PLACED", 2)}
    assert "Traceback" not in service_log(server)


def test_streams_and_long_polls_end_in_good_order_when_the_worker_is_told_to_end(
    environment: dict[str, str], settings: Settings, database: FairdropDatabase, tmp_path: Path
) -> None:
    sale, issuer = full_line(database), LocalIssuer.load(settings)
    first, second = queue_up(settings, database, sale, ["ann", "bob"])
    with serving(environment, tmp_path / "service.log") as (url, server):
        place = urlsplit(url)
        address = (str(place.hostname), int(place.port or 0))
        path = f"/v1/sales/{sale.sale_id}/orders/"
        poll = Client(address, path + second.order_id + "?wait=30", issuer.token(second.customer_id))
        stream = Client(address, path + first.order_id + "/events", issuer.token(first.customer_id))
        read_until(stream, b'"event_seq":1')
        assert b"transfer-encoding: chunked" in stream.received.lower()
        server.signal(signal.SIGTERM)
        read_to_the_end([stream, poll])
        assert stream.received.endswith(b"\r\n0\r\n\r\n")
        assert (poll.status, orjson.loads(poll.body)["status"]) == (200, "WAITLISTED")
        assert server.stop() == 0
    assert "Traceback" not in service_log(server)


def test_a_stream_under_gunicorn_tells_a_change_as_it_comes_and_a_client_that_hangs_up_leaves_nothing_behind(
    environment: dict[str, str], settings: Settings, database: FairdropDatabase, tmp_path: Path
) -> None:
    sale, issuer = full_line(database), LocalIssuer.load(settings)
    (mine,) = queue_up(settings, database, sale, ["ann"])
    with serving(environment, tmp_path / "service.log") as (url, server):
        place = urlsplit(url)
        address = (str(place.hostname), int(place.port or 0))
        path = f"/v1/sales/{sale.sale_id}/orders/{mine.order_id}/events"
        gone = Client(address, path, issuer.token("ann"))
        read_until(gone, b'"event_seq":1')
        gone.socket.close()
        stream = Client(address, path, issuer.token("ann"))
        read_until(stream, b'"event_seq":1')
        sales.restock(database, sale.sale_id, 1, "one", "seller")
        read_to_the_end([stream])
        assert b"id: 2\nevent: order\ndata: {" in stream.body
        assert stream.received.endswith(b"\r\n0\r\n\r\n")
    assert "Traceback" not in service_log(server)
