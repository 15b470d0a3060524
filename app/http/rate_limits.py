"""How often somebody may ask: by customer, once their token holds, and by address, before anything of a request is looked at.

Each process counts for itself. An address is the connection's own, or the one that our own proxies have written down: nothing
that a client says of itself counts.
"""

import ipaddress
import threading
import time
from collections.abc import Callable, Hashable, Iterable
from typing import Any

from flask import Flask, request

from app.domain.errors import RateLimited
from app.domain.rate_limit import RateLimiter
from app.http.problems import error_response
from app.settings import Settings

MAX_ADDRESS_LENGTH = 45
"""The longest an IPv6 address is written; also what bounds a key."""

IPV6_NETWORK_BITS = 64
"""What one subscriber has at the least: to count single addresses would be to count nothing."""

UNLIMITED_PATHS = frozenset({"/healthz", "/readyz"})
"""The load balancer's own questions: a flood must not look like an illness."""


class Limit:
    """A rate limiter for the threads or greenlets of this process, or none."""

    def __init__(self, limited_by: str, per_second: float, burst: int) -> None:
        """Limit nothing when `per_second` is 0."""
        self._limited_by = limited_by
        self._limiter = RateLimiter(per_second, burst) if per_second else None
        self._lock = threading.Lock()

    @property
    def is_on(self) -> bool:
        """Whether it ever refuses."""
        return self._limiter is not None

    def admit(self, key: str, ticket: Hashable) -> None:
        """Raises RateLimited; the same ticket is let in after its Retry-After (`RateLimiter.admit`)."""
        if self._limiter is None:
            return
        with self._lock:
            wait = self._limiter.admit(key, time.monotonic(), ticket)
        if wait:
            raise RateLimited(
                limited_by=self._limited_by,
                wait_seconds=wait,
                burst=self._limiter.burst,
                per_second=self._limiter.per_second,
            )


def customer_limit(settings: Settings) -> Limit:
    """The limit of each customer's requests."""
    return Limit("customer", settings.customer_requests_per_second, settings.customer_burst)


def admit_customer(limit: Limit, customer_id: str) -> None:
    """Count the present request against its customer. Raises RateLimited."""
    environ = request.environ
    limit.admit(customer_id, (environ["REQUEST_METHOD"], environ["PATH_INFO"], environ.get("HTTP_IDEMPOTENCY_KEY")))


def client_address(environ: dict[str, Any], proxies: int) -> str:
    """Who is to be counted: an IPv4 address, or the network of an IPv6 one.

    `proxies` addresses at the right end of X-Forwarded-For were written by our own; the leftmost of these is the client's. Fewer
    than that: the request has not come through them, and the connection's own address counts.
    """
    address: str = environ.get("REMOTE_ADDR", "")
    if proxies:
        written = environ.get("HTTP_X_FORWARDED_FOR", "").rsplit(",", proxies)
        if len(written) >= proxies and (found := written[-proxies].strip()):
            address = found[:MAX_ADDRESS_LENGTH]
    if ":" not in address:
        return address
    if address.count(":") == 1:
        return address.partition(":")[0]  # with its port, as some proxies write it
    try:
        whole = ipaddress.IPv6Address(address)
    except ValueError:
        return address
    if whole.ipv4_mapped is not None:
        return str(whole.ipv4_mapped)
    return f"{int(whole) >> (128 - IPV6_NETWORK_BITS):x}/{IPV6_NETWORK_BITS}"


Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]


def limit_addresses(app: Flask, settings: Settings) -> None:
    """Put the limit of addresses before the app; without one, nothing."""
    limit = Limit("address", settings.address_requests_per_second, settings.address_burst)
    if not limit.is_on:
        return
    inner: Wsgi = app.wsgi_app
    proxies = settings.forwarded_addresses

    def limited(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path not in UNLIMITED_PATHS:
            ticket = (path, environ.get("HTTP_AUTHORIZATION"), environ.get("HTTP_IDEMPOTENCY_KEY"))
            try:
                limit.admit(client_address(environ, proxies), ticket)
            except RateLimited as error:
                return error_response(error)(environ, start_response)
        return inner(environ, start_response)

    app.wsgi_app = limited  # type: ignore[method-assign]  # Flask's documented way
