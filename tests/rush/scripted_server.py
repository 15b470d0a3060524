"""A real HTTP server on a free port whose answers a test scripts: one thread a connection, every request remembered."""

import json
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

SALE_ID = "iphone"


@dataclass(frozen=True)
class Seen:
    """A request as the server read it; `connection` counts the accepted connections."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection: int

    @property
    def key(self) -> str:
        return self.headers["idempotency-key"]

    @property
    def customer(self) -> str:
        return self.headers["authorization"].removeprefix("Bearer token-of-")


@dataclass(frozen=True)
class Reply:
    """What to answer: `raw` bytes if given, else a response of the other fields; then perhaps hang up."""

    status: int = 201
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    close: bool = False

    def as_bytes(self) -> bytes:
        if self.raw is not None:
            return self.raw
        body = json.dumps(self.body).encode()
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **self.headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"HTTP/1.1 {self.status} Said\r\n{lines}\r\n".encode() + body


Script = Callable[[Seen], Reply]

HANG_UP = Reply(raw=b"", close=True)


def order(order_id: str, status: str = "PENDING", seq: int = 1) -> dict[str, Any]:
    position = {"placed_at": "2026-11-24T12:00:00.123456Z", "shard_id": 3, "seq": seq}
    return {
        "order_id": order_id,
        "sale_id": SALE_ID,
        "status": status,
        "units": 1,
        "position": position,
        "due_at": None,
    }


def problem(name: str, status: int, retry_after: str | None = None, **members: Any) -> Reply:
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return Reply(status, {"type": f"urn:fairdrop:problem:{name}", "status": status, **members}, headers)


class ShopScript:
    """Sells `stock` orders as the service would: once a customer and key, then sold out."""

    def __init__(self, stock: int) -> None:
        self._stock = stock
        self._orders: dict[tuple[str, str], dict[str, Any]] = {}
        self._lock = threading.Lock()

    def __call__(self, seen: Seen) -> Reply:
        name = (seen.customer, seen.key)
        with self._lock:
            if name in self._orders:
                return Reply(200, self._orders[name], {"Idempotent-Replayed": "true"})
            if len(self._orders) == self._stock:
                return problem("sold-out", 409, as_of="2026-11-24T12:00:01.000000Z", age_ms=1.5)
            self._orders[name] = order(f"order-{len(self._orders)}", seq=len(self._orders))
            return Reply(201, self._orders[name])


class ScriptedServer:
    """Answers the orders by `script`; `seen` has the orders in the order of their arrival."""

    def __init__(self, script: Script, tls: ssl.SSLContext | None = None, price_minor: int = 49900) -> None:
        self._script = script
        self._tls = tls
        self._price_minor = price_minor
        self._lock = threading.Lock()
        self._connections: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.seen: list[Seen] = []
        self.arrived = threading.Event()
        """Set when the first order has come."""

    @property
    def url(self) -> str:
        scheme, host = ("http", "127.0.0.1") if self._tls is None else ("https", "localhost")
        return f"{scheme}://{host}:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for connection in self._connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with self._lock:
                    self._connections.append(connection)
                    number = len(self._connections)
                threading.Thread(target=self._serve, args=(connection, number), daemon=True).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        with suppress(OSError), connection:
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with connection, connection.makefile("rb") as incoming:
                while (seen := _read(incoming, number)) is not None:
                    reply = self._answer(seen)
                    connection.sendall(reply.as_bytes())
                    if reply.close:
                        return

    def _answer(self, seen: Seen) -> Reply:
        if seen.method == "GET":
            if seen.path != f"/v1/sales/{SALE_ID}":
                return problem("sale-not-found", 404)
            sale = {"sale_id": SALE_ID, "phase": "open", "limit_per_customer": 5, "unit_price_minor": self._price_minor}
            return Reply(200, sale)
        with self._lock:
            self.seen.append(seen)
        self.arrived.set()
        return self._script(seen)


def _read(incoming: Any, connection: int) -> Seen | None:
    first = incoming.readline()
    if not first.endswith(b"\r\n"):
        return None
    method, path, _ = first.decode().split(" ")
    headers = {}
    while (line := incoming.readline().decode()) not in ("\r\n", ""):
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    length = int(headers.get("content-length", "0"))
    body = incoming.read(length)
    return Seen(method, path, headers, body, connection) if len(body) == length else None
