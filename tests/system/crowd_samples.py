"""Buyers over HTTP, a sale for them, and the gateway's book: what the system tests of payments share."""

import http.client
import threading
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta

import orjson

from app.http.local_issuer import LocalIssuer
from app.services import sales
from app.settings import Settings
from app.storage.database import FairdropDatabase

PRICE_MINOR = 49_900
SALE = "phones"
TRIES = 20


def put_up(database: FairdropDatabase, stock: int, crowd: int) -> None:
    """An open sale with room for everybody on its waitlist, and a cancel window of two seconds."""
    now = datetime.now(UTC)
    sale = sales.new_sale(
        sale_id=SALE,
        name="Phones",
        policy="fcfs",
        unit_price_minor=PRICE_MINOR,
        currency="EUR",
        stock=stock,
        limit_per_customer=2,
        waitlist_limit=crowd,
        expected_crowd=crowd,
        shard_count=4,
        opens_at=now - timedelta(seconds=1),
        closes_at=now + timedelta(hours=1),
        hold_seconds=90,
        cancel_window_seconds=2,
    )
    sales.create(database, sale, "test")


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
