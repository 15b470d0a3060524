"""Bytes for the service as no client library would send them, and the answers that come back."""

import contextlib
import socket
from collections.abc import Iterator

import orjson
from system_service import PATIENCE_SECONDS, Answer, Service

from app.domain.sale import Sale


def order_request(service: Service, sale: Sale, customer: str) -> bytes:
    """An order as it goes over the wire."""
    body = b'{"units": 1}'
    head = [
        f"POST /v1/sales/{sale.sale_id}/orders HTTP/1.1",
        "Host: fairdrop",
        f"Authorization: {service.token(customer)}",
        "Idempotency-Key: key",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*head, "", ""]).encode() + body


def exchange(service: Service, sent: bytes, *, is_patient: bool = True) -> list[Answer]:
    """Send bytes and read until the connection ends; the answers that came. Patient: a connection reset is a fault."""
    received = b""
    with socket.create_connection(service.address, PATIENCE_SECONDS) as connection:
        with contextlib.nullcontext() if is_patient else contextlib.suppress(ConnectionError):
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
        with contextlib.nullcontext() if is_patient else contextlib.suppress(ConnectionError):
            while piece := connection.recv(65_536):
                received += piece
    return list(answers_in(received))


def answers_in(received: bytes) -> Iterator[Answer]:
    """The answers that these bytes are."""
    while received:
        head, _, rest = received.partition(b"\r\n\r\n")
        status, *fields = head.decode().split("\r\n")
        headers = dict(field.split(": ", 1) for field in fields)
        length = int(headers["Content-Length"])
        yield Answer(int(status.split(" ")[1]), headers, orjson.loads(rest[:length]))
        received = rest[length:]
