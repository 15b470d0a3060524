"""Connections that are there to take places, time, files or a disk away from others: they are ended, and the others are served."""

import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from raw_requests import answers_in, exchange, order_request
from sale_samples import put_up
from system_service import PATIENCE_SECONDS, Service, reaching, units_left, until

from app.local.children import child, free_port, wait_for_http
from app.settings import Settings
from app.storage.database import FairdropDatabase
from emulator import Emulators


@contextmanager
def service_under(
    settings: Settings, emulators: Emulators, log_path: Path, before: str = "", output: str = ""
) -> Iterator[Service]:
    """One worker, started by a shell that has first done something to its limits, or sends its output elsewhere."""
    environment = reaching(settings, emulators.environment)
    url = f"http://127.0.0.1:{free_port()}"
    address = url.removeprefix("http://")
    gunicorn = f"{sys.executable} -m gunicorn -c python:app.http.gunicorn_conf -w 1 -b {address}"
    command = ["/bin/sh", "-c", f'{before} exec {gunicorn} "app.http.wsgi:create()" {output}']
    with child("the HTTP service", command, environment, log_path) as server:
        wait_for_http(url + "/readyz", server)
        yield Service(url, server, settings, environment)


class Trickle:
    """A client that sends a byte now and then."""

    def __init__(self, service: Service, first: bytes, then: bytes) -> None:
        self.socket = socket.create_connection(service.address, PATIENCE_SECONDS)
        self.socket.sendall(first)
        self.socket.setblocking(False)
        self._then = then
        self._sent = 0
        self.received = b""
        self.is_over = False

    def go_on(self) -> None:
        """Another byte, and whatever has come back."""
        try:
            self.socket.send(self._then[self._sent : self._sent + 1])
            self._sent += 1
            piece = self.socket.recv(65_536)
            self.received += piece
            self.is_over = not piece
        except BlockingIOError:
            return
        except ConnectionError:
            self.is_over = True


def test_who_trickles_is_told_so_in_time_and_the_others_are_served_meanwhile(
    two_workers: Service, database: FairdropDatabase
) -> None:
    sale = put_up(database)
    head = order_request(two_workers, sale, "slow").partition(b"Content-Length")[0]
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n"
    ways = [
        (b"", b"GET /" + b"x" * 4_000),
        (b"GET /healthz HTTP/1.1\r\n", b"X: y\r\n" * 1_000),
        (head + b"Content-Length: 4000\r\n\r\n", b" " * 4_000),
        (chunked, b"0" * 4_000),
        (chunked, b"1\r\n \r\n" * 1_000),
    ]
    with ExitStack() as stack:
        clients = [Trickle(two_workers, first, then) for first, then in ways for _ in range(20)]
        for client in clients:
            stack.callback(client.socket.close)
        give_up = time.monotonic() + PATIENCE_SECONDS
        served = 0
        while not all(client.is_over for client in clients):
            assert time.monotonic() < give_up, "a trickle goes on"
            for client in clients:
                if not client.is_over:
                    client.go_on()
            assert two_workers.order(sale, f"quick-{served}").status == 201
            served += 1 if served < 90 else 0
            time.sleep(0.2)
    assert served > 3
    for client in clients:
        # A byte that crosses the answer on its way may cost a client the answer, but not us the place.
        assert [answer.status for answer in answers_in(client.received)] in ([408], [])
    assert sum(bool(client.received) for client in clients) > len(clients) // 2
    assert "Traceback" not in two_workers.log()


def test_connections_that_ask_for_nothing_do_not_hold_up_the_end_and_what_was_asked_is_answered(
    settings: Settings, emulators: Emulators, tmp_path: Path, database: FairdropDatabase
) -> None:
    sale = put_up(database, stock=50)
    with service_under(settings, emulators, tmp_path / "service.log") as service, ExitStack() as stack:
        silent = [stack.enter_context(socket.create_connection(service.address, PATIENCE_SECONDS)) for _ in range(30)]
        for connection in silent[10:20]:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(12) == b"HTTP/1.1 200"
        for connection in silent[20:]:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHo")
        asking = [stack.enter_context(socket.create_connection(service.address, PATIENCE_SECONDS)) for _ in range(20)]
        for number, connection in enumerate(asking):
            connection.sendall(order_request(service, sale, f"last-{number}"))
        until(lambda: units_left(database, sale) < 50)
        service.server.signal(signal.SIGTERM)
        for connection in asking:
            received = b""
            while piece := connection.recv(65_536):
                received += piece
            (answer,) = answers_in(received)
            assert answer.status == 201
        assert service.server.stop() == 0
        assert "graceful timeout" not in service.log()
        assert "Traceback" not in service.log()


def test_with_few_files_who_asks_for_nothing_gives_way_and_nobody_else_is_turned_away(
    settings: Settings, emulators: Emulators, tmp_path: Path, database: FairdropDatabase
) -> None:
    sale = put_up(database)
    with (
        service_under(settings, emulators, tmp_path / "service.log", before="ulimit -n 260;") as service,
        ExitStack() as stack,
    ):
        for number in range(20):
            for _ in range(20):
                connection = stack.enter_context(socket.create_connection(service.address, PATIENCE_SECONDS))
                connection.sendall(b"GET /healthz HTTP/1.1\r\n"[: number % 3 * 8])
            assert service.order(sale, f"one of many {number}").status == 201
        assert "Too many open files" not in service.log()
        assert "Traceback" not in service.log()
    assert service.server.exit_code == 0


def test_a_full_disk_under_the_log_costs_the_log_and_nothing_else(
    settings: Settings, emulators: Emulators, tmp_path: Path, database: FairdropDatabase
) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no disk that is always full")
    sale = put_up(database)
    with service_under(settings, emulators, tmp_path / "service.log", output=">/dev/full 2>&1") as service:
        for number in range(5):
            # Each of these would be a line in the log.
            assert exchange(service, b"nonsense\r\n\r\n")[0].status == 400
            assert service.order(sale, f"unlogged {number}").status == 201
        assert service.workers
    # 120: Python could not flush its output at the end, which is all that the full disk may cost.
    assert service.server.exit_code in (0, 120)
