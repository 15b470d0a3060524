"""The bytes of a buyer's order request."""

from urllib.parse import quote

import orjson

from app.rush.http_client import Target
from app.rush.plan import BuyerPlan

LYING_HEADERS = b"Date: Sat, 01 Jan 2000 00:00:00 GMT\r\nX-Client-Time: 2000-01-01T00:00:00.000000Z\r\n"
"""A buyer of the kind `false_time` claims to have come long before everybody else."""


class RequestMaker:
    """Makes the requests of one sale; what they have in common is made once."""

    def __init__(self, target: Target, sale_id: str, payment_method: str | None) -> None:
        path = f"{target.base_path}/v1/sales/{quote(sale_id, safe='')}/orders"
        self._head = (
            f"POST {path} HTTP/1.1\r\nHost: {target.authority}\r\nUser-Agent: fairdrop-rush\r\n"
            "Accept: application/json\r\nContent-Type: application/json\r\nAuthorization: Bearer "
        ).encode()
        self._payment_method = payment_method
        self._tails: dict[int, bytes] = {}

    def request(self, plan: BuyerPlan, token: str) -> bytes:
        """The whole request: the same plan and token give the same bytes."""
        tail = self._tails.get(plan.units)
        if tail is None:
            tail = self._tails[plan.units] = self._tail(plan.units)
        lies = LYING_HEADERS if plan.kind == "false_time" else b""
        return b"%b%b\r\nIdempotency-Key: %b\r\n%b%b" % (self._head, token.encode(), plan.key.encode(), lies, tail)

    def _tail(self, units: int) -> bytes:
        order: dict[str, object] = {"units": units}
        if self._payment_method is not None:
            order["payment_method"] = self._payment_method
        body = orjson.dumps(order)
        return b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
