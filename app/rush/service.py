"""The running service as a rush finds it: where it is and what it says about the sale, asked once before the start."""

import http.client
import socket
import ssl
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

import orjson

from app.rush.http_client import Target

PATIENCE_SECONDS = 10.0


class RushNotPossibleError(Exception):
    """The rush cannot begin or go on; the message is meant for the person at the keyboard."""


@dataclass(frozen=True, slots=True)
class SaleFound:
    """What the service says about the sale; None where it does not say."""

    phase: str | None
    limit_per_customer: int | None
    is_free: bool


def find_sale(url: str, sale_id: str) -> tuple[Target, SaleFound]:
    """Asks the service for the sale. Raises RushNotPossibleError when the service or the sale is not there."""
    connection, path = _connection(url)
    try:
        connection.connect()
        target = _target(connection, path)
        connection.request("GET", f"{path}/v1/sales/{quote(sale_id, safe='')}", headers={"Accept": "application/json"})
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise RushNotPossibleError(f"no service answers at {url}: {error or type(error).__name__}") from error
    finally:
        connection.close()
    if response.status == http.HTTPStatus.NOT_FOUND:
        raise RushNotPossibleError(f"the service at {url} knows no sale {sale_id!r}")
    if response.status != http.HTTPStatus.OK:
        text = body[:200].decode(errors="replace")
        raise RushNotPossibleError(f"the service at {url} answers {response.status} when asked for the sale: {text}")
    return target, _sale(url, body)


def _connection(url: str) -> tuple[http.client.HTTPConnection, str]:
    parts = urlsplit(url)
    try:
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise RushNotPossibleError(f"{url!r} is no address: {error}") from error
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        raise RushNotPossibleError(f"{url!r} is no address of a service: http://host:port or https://host is")
    path = parts.path.rstrip("/")
    if parts.scheme == "https":
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(host, port, timeout=PATIENCE_SECONDS, context=context), path
    return http.client.HTTPConnection(host, port, timeout=PATIENCE_SECONDS), path


def _target(connection: http.client.HTTPConnection, base_path: str) -> Target:
    """The address that has just taken a connection: thousands of connections must not ask the resolver each."""
    connected: socket.socket = connection.sock
    return Target(
        family=connected.family,
        address=connected.getpeername(),
        host=connection.host,
        port=connection.port,
        is_tls=isinstance(connection, http.client.HTTPSConnection),
        base_path=base_path,
    )


def _sale(url: str, body: bytes) -> SaleFound:
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError:
        said = None
    if not isinstance(said, dict):
        raise RushNotPossibleError(
            f"what answers at {url} does not speak as Fairdrop does: no JSON object for the sale"
        )
    phase, limit = said.get("phase"), said.get("limit_per_customer")
    return SaleFound(
        phase=phase if isinstance(phase, str) else None,
        limit_per_customer=limit if isinstance(limit, int) and limit > 0 else None,
        is_free=said.get("unit_price_minor") == 0,
    )
