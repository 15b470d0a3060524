"""The gateway of development: `fairdrop gateway`, over HTTP. What is not a clear yes or no is unknown."""

from typing import Any

import orjson
import urllib3
from urllib3.exceptions import HTTPError

from app.payments.gateways import Approved, Declined, Outcome, Request, Unknown

_APPROVED, _DECLINED, _UNPROCESSABLE = 201, 402, 422


class SimulatorGateway:
    """Talks to one simulator. Thread-safe; keeps up to `connections` connections."""

    def __init__(self, url: str, timeout_seconds: float, connections: int) -> None:
        """No call is made yet. A call whose answer takes longer than the time-out has an unknown outcome."""
        self._url = url.rstrip("/")
        # Trying again is decided in one place, and that is not here.
        self._http = urllib3.PoolManager(
            maxsize=connections, retries=False, timeout=urllib3.Timeout(total=timeout_seconds)
        )

    def authorize(self, request: Request, key: str) -> Outcome:
        """Set the amount aside."""
        body = {
            "order_id": request.order_id,
            "payment_method": request.payment_method,
            "amount_minor": request.amount_minor,
            "currency": request.currency,
        }
        return self._post("/authorizations", body, key)

    def capture(self, request: Request, key: str) -> Outcome:
        """Take the whole amount."""
        return self._operate("capture", request, key)

    def void(self, request: Request, key: str) -> Outcome:
        """Let go of the amount."""
        return self._operate("void", request, key)

    def refund(self, request: Request, key: str) -> Outcome:
        """Give the whole amount back."""
        return self._operate("refund", request, key)

    def _operate(self, operation: str, request: Request, key: str) -> Outcome:
        body = {"amount_minor": request.amount_minor, "currency": request.currency}
        return self._post(f"/authorizations/{request.reference}/{operation}", body, key)

    def _post(self, path: str, body: dict[str, Any], key: str) -> Outcome:
        headers = {"Idempotency-Key": key, "Content-Type": "application/json"}
        try:
            response = self._http.request("POST", self._url + path, body=orjson.dumps(body), headers=headers)
        except HTTPError as error:
            return Unknown(type(error).__name__)
        return _outcome(response.status, response.data)


def _outcome(status: int, body: bytes) -> Outcome:
    try:
        answer = orjson.loads(body)
        if status == _APPROVED:
            return Approved(str(answer["authorization_id"]))
        if status in (_DECLINED, _UNPROCESSABLE):
            return Declined(str(answer["reason"]))
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return Unknown(f"status {status} with a body that cannot be read")
    return Unknown(f"status {status}")
