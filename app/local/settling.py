"""What happens around a rush, as the demo plays it: some customers cancel, the payments settle, and how long that took."""

import threading
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from google.cloud.spanner_v1 import KeyRange, KeySet

from app.domain.errors import StorageUnavailable
from app.http.local_issuer import LocalIssuer
from app.services.audit.money import MoneySources
from app.services.audit.report import AuditReport, audit
from app.services.leases import holder_name
from app.services.reports import keep_or_say, keep_verdict
from app.settings import Settings
from app.storage.database import FairdropDatabase, connect, snapshot

LOOK_EVERY_SECONDS = 0.5
PERCENT = 100
CALL_SECONDS = 30.0
AUDIT_DEADLINE_SECONDS = 60.0
SETTLE_SECONDS = 600.0
LAPSE_SECONDS = 120.0
LAST_VOIDS_SECONDS = 60.0


def post(url: str, token: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A call of the interface; raises urllib.error.HTTPError when it is refused."""
    request = urllib.request.Request(  # noqa: S310  # an address of ours
        url,
        data=orjson.dumps(body or {}),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=CALL_SECONDS) as response:  # noqa: S310  # an address of ours
        answer: dict[str, Any] = orjson.loads(response.read())
        return answer


def call(
    url: str, token: str, body: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, dict[str, Any]]:
    """A call of the interface, POST with a body and GET without; the status and what was said, refusals too."""
    request = urllib.request.Request(  # noqa: S310  # an address of ours
        url,
        data=orjson.dumps(body) if body is not None else None,
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json", **(headers or {})},
    )
    try:
        with urllib.request.urlopen(request, timeout=CALL_SECONDS) as response:  # noqa: S310  # an address of ours
            return response.status, orjson.loads(response.read())
    except urllib.error.HTTPError as error:
        return error.code, orjson.loads(error.read())


class Cancellers:
    """Customers who think again: a set share of them cancels, by HTTP, soon after having ordered."""

    def __init__(self, settings: Settings, url: str, sale_id: str, percent: int) -> None:
        """Nobody cancels before `start`."""
        self._database = connect(settings)
        self._issuer = LocalIssuer.load(settings)
        self._orders_url = f"{url}/v1/sales/{sale_id}/orders"
        self._sale_id = sale_id
        self._percent = percent
        self._seen: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="cancellers", daemon=True)
        self.cancelled_orders: set[str] = set()
        self.refused = 0

    @property
    def cancelled(self) -> int:
        """How many were cancelled."""
        return len(self.cancelled_orders)

    def start(self) -> None:
        """Begin to watch for orders."""
        self._thread.start()

    def stop(self) -> None:
        """Let nobody else cancel; returns when the last one has been answered."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                for customer_id, order_id in self._new_orders():
                    if zlib.crc32(order_id.encode()) % PERCENT < self._percent:
                        self._cancel(customer_id, order_id)
            except StorageUnavailable:
                pass
            self._stop.wait(LOOK_EVERY_SECONDS)

    def _new_orders(self) -> list[tuple[str, str]]:
        keys = KeySet(ranges=[KeyRange(start_closed=[self._sale_id], end_closed=[self._sale_id])])
        with snapshot(self._database) as reads:
            rows = list(reads.read("Orders", ("CustomerId", "OrderId"), keys, index="OrdersByPlacedAt"))
        fresh = [(customer, order) for customer, order in rows if order not in self._seen]
        self._seen.update(order for _, order in fresh)
        return fresh

    def _cancel(self, customer_id: str, order_id: str) -> None:
        try:
            post(f"{self._orders_url}/{order_id}/cancel", self._issuer.token(customer_id))
            self.cancelled_orders.add(order_id)
        except urllib.error.HTTPError:
            # Declined or placed meanwhile, or a lottery's entries are closed: there is nothing left to cancel.
            self.refused += 1


@dataclass(frozen=True, slots=True)
class Standing:
    """Orders of a sale by status, and units of those PLACED. Settled: none waits for its payment, or for its lottery's draw."""

    orders: Mapping[str, int]
    placed_units: int
    is_settled: bool


def standing(database: FairdropDatabase, sale_id: str) -> Standing:
    """How the orders of a sale stand now."""
    sql = "SELECT Status, COUNT(*), SUM(Units) FROM Orders WHERE SaleId = @sale GROUP BY Status"
    with snapshot(database) as reads:
        rows = list(reads.execute_sql(sql, params={"sale": sale_id}))
    orders = {status: count for status, count, _ in rows}
    placed = next((units for status, _, units in rows if status == "PLACED"), 0)
    in_flight = sum(orders.get(status, 0) for status in ("ENTERED", "PENDING", "AUTHORIZED"))
    return Standing(orders, placed, in_flight == 0)


def wait_until(
    database: FairdropDatabase,
    sale_id: str,
    is_over: Callable[[Standing], bool],
    seconds: float,
    show: Callable[[Standing], None],
) -> Standing:
    """Look until it is over, or so long; returns the last look."""
    give_up = time.monotonic() + seconds
    while True:
        now = standing(database, sale_id)
        show(now)
        if is_over(now) or time.monotonic() > give_up:
            return now
        time.sleep(1.0)


def settle(database: FairdropDatabase, sale_id: str, say: Callable[[str], None]) -> Standing:
    """Wait until no order waits for its payment or a draw, at most SETTLE_SECONDS; the last look may not be settled."""
    return wait_until(database, sale_id, lambda now: now.is_settled, SETTLE_SECONDS, lambda now: say(told(now)))


def close(database: FairdropDatabase, url: str, token: str, sale_id: str, say: Callable[[str], None]) -> Standing:
    """Close the sale as a seller would, and wait until its waitlist has lapsed."""
    post(f"{url}/v1/admin/sales/{sale_id}/close", token)
    return wait_until(
        database, sale_id, lambda now: not now.orders.get("WAITLISTED"), LAPSE_SECONDS, lambda now: say(told(now))
    )


def settled_audit(
    database: FairdropDatabase,
    sale_id: str,
    answers: Path,
    money: MoneySources,
    command: str,
    say: Callable[[str], None],
) -> AuditReport:
    """The audit once the last voids are through: that no order is under way does not say that they are. `command` is kept with
    its verdict.
    """
    give_up = time.monotonic() + LAST_VOIDS_SECONDS
    while True:
        report = audit(database, sale_id, answers, None, money=money, settled=True)
        if not report.broken or time.monotonic() > give_up:
            keep_or_say("the verdict", partial(keep_verdict, database, report, holder_name(), command), say)
            return report
        time.sleep(2.0)


def told(now: Standing) -> str:
    """How it stands, in one line."""
    return "  " + ", ".join(f"{status} {count:,}" for status, count in sorted(now.orders.items()))


@dataclass(frozen=True, slots=True)
class Spread:
    """A measure over many orders, in seconds."""

    count: int
    p50: float
    p99: float
    longest: float


def authorization_lag(database: FairdropDatabase, sale_id: str) -> Spread | None:
    """From the commit that held an order's units to the commit that recorded its authorization."""
    sql = """
        SELECT OrderId, `Trigger`, CommittedAt FROM OrderEvents
        WHERE SaleId = @sale AND `Trigger` IN ('reserve', 'promote', 'authorize')
    """
    with snapshot(database) as reads:
        return _spread(_lags(reads.execute_sql(sql, params={"sale": sale_id})))


def _lags(rows: Iterable[tuple[str, str, datetime]]) -> list[float]:
    held: dict[str, datetime] = {}
    authorized: dict[str, datetime] = {}
    for order_id, trigger, committed in rows:
        if trigger == "authorize":
            authorized[order_id] = min(committed, authorized.get(order_id, committed))
        else:
            held[order_id] = committed
    return [(moment - held[order]).total_seconds() for order, moment in authorized.items() if order in held]


def _spread(values: list[float]) -> Spread | None:
    if not values:
        return None
    ordered = sorted(values)
    return Spread(
        len(ordered), ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)], ordered[-1]
    )
