"""Buyers over HTTP, a sale for them, and the gateway's book: what the system tests of payments share."""

import http.client
import threading
import time
import urllib.error
import urllib.request

import orjson
from sale_samples import put_up

from app.http.local_issuer import LocalIssuer
from app.settings import Settings
from app.storage.database import FairdropDatabase

PRICE_MINOR = 49_900
SALE = "phones"
TRIES = 20


def put_up_phones(database: FairdropDatabase, stock: int, crowd: int) -> None:
    """An open sale with room for everybody on its waitlist, and a cancel window of two seconds."""
    put_up(
        database,
        sale_id=SALE,
        unit_price_minor=PRICE_MINOR,
        stock=stock,
        limit_per_customer=2,
        waitlist_limit=crowd,
        expected_crowd=crowd,
        hold_seconds=90,
        cancel_window_seconds=2,
    )


class Buyers(threading.Thread):
    """A customer every few hundredths of a second, every seventh for two units; what fails is sent again with the same key."""

    def __init__(self, settings: Settings, url: str, count: int) -> None:
        super().__init__(daemon=True)
        self._issuer = LocalIssuer.load(settings)
        self._url = f"{url}/v1/sales/{SALE}/orders"
        self._count = count
        self.failed: list[str] = []

    def run(self) -> None:
        for number in range(self._count):
            token = self._issuer.token(f"buyer-{number}")
            if not any(self._try(token, 1 + number % 7 // 6) for _ in range(TRIES)):
                self.failed.append(f"buyer-{number}")
            time.sleep(0.05)

    def _try(self, token: str, units: int) -> bool:
        request = urllib.request.Request(
            self._url,
            data=orjson.dumps({"units": units, "payment_method": "tok_visa"}),
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json", "Idempotency-Key": "one"},
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return bool(answer.status in (200, 201))
        except (urllib.error.URLError, http.client.HTTPException, OSError):
            time.sleep(0.3)
            return False


def book(url: str) -> list[dict[str, object]]:
    """Every authorization that the gateway's simulator has ever made."""
    with urllib.request.urlopen(f"{url}/book", timeout=30) as answer:
        return [orjson.loads(line) for line in answer]


def kept_minor(url: str) -> int:
    """The money that the gateway holds for good: captured and not refunded."""
    return sum(int(str(entry["captured_minor"])) - int(str(entry["refunded_minor"])) for entry in book(url))
