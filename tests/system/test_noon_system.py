"""The opening at real processes whose own clock is wrong by minutes, and is set while buyers hammer at the door."""

import threading
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sale_samples import put_up
from system_service import PATIENCE_SECONDS, Answer, Service, service
from wrong_clock import WrongClock

from app.domain.sale import Sale
from app.http.local_issuer import LocalIssuer
from app.services import sales
from app.settings import Settings
from app.storage.database import FairdropDatabase, snapshot
from emulator import Emulators

TEN_MINUTES = 600.0
MINUTE = timedelta(minutes=1)
"""Far more than any wait here, far less than the clocks are wrong by."""

STOCK = 40
BUYERS = 8
LIE = {"Date": "Sat, 01 Jan 2000 00:00:00 GMT", "X-Client-Time": "2000-01-01T00:00:00.000000Z"}


def database_time(database: FairdropDatabase, sale: Sale) -> datetime:
    return sales.show(database, sale.sale_id).as_of


def when(text: str) -> datetime:
    return datetime.fromisoformat(text)


class Hammering(threading.Thread):
    """A customer who asks until there is an order, again and again under new names; `heard` has (sent at, answer), in order."""

    def __init__(self, at: Service, sale: Sale, name: str) -> None:
        super().__init__(daemon=True)
        self._at = at
        self._sale = sale
        self._name = name
        self.heard: list[tuple[float, Answer]] = []

    def run(self) -> None:
        give_up = time.monotonic() + PATIENCE_SECONDS
        for number in range(STOCK // BUYERS):
            headers = {"Authorization": self._at.token(f"{self._name}-{number}"), "Idempotency-Key": "one", **LIE}
            while time.monotonic() < give_up:
                sent_at = time.monotonic()
                path = f"/v1/sales/{self._sale.sale_id}/orders"
                self.heard.append((sent_at, self._at.call("POST", path, {"units": 1}, **headers)))
                if self.heard[-1][1].status == 201:
                    break
                time.sleep(0.02)


def check_countdown(at: Service, database: FairdropDatabase, sale: Sale) -> None:
    """What an app counts down by is right, whatever the server's own clock says."""
    before = database_time(database, sale)
    page = at.call("GET", f"/v1/sales/{sale.sale_id}").body
    after = database_time(database, sale)
    assert before - MINUTE < when(page["server_time"]) < after + MINUTE
    assert when(page["opens_at"]) == sale.opens_at
    if after < sale.opens_at:
        assert page["phase"] == "scheduled"


@pytest.mark.parametrize("shift", [TEN_MINUTES, -TEN_MINUTES], ids=["ahead", "behind"])
def test_nothing_is_taken_before_the_opening_and_it_comes_on_time_at_a_server_whose_clock_is_wrong_and_jumps(
    settings: Settings, database: FairdropDatabase, emulators: Emulators, tmp_path: Path, shift: float
) -> None:
    clock = WrongClock(tmp_path, shift)
    with service(settings, emulators.environment, tmp_path / "service.log", **clock.environment) as at:
        now = database_time(database, put_up(database))
        sale = put_up(database, stock=STOCK, opens_at=now + timedelta(seconds=4), limit_per_customer=1)
        crowd = [Hammering(at, sale, f"buyer-{index}") for index in range(BUYERS)]
        for buyer in crowd:
            buyer.start()
        check_countdown(at, database, sale)
        time.sleep(1.0)
        for jump in (-shift, shift):
            clock.set(jump)
            check_countdown(at, database, sale)
        for buyer in crowd:
            buyer.join(PATIENCE_SECONDS)
        check_countdown(at, database, sale)
        check_tokens(at, settings)

    with snapshot(database) as reads:
        listing = "SELECT PlacedAt, ReceivedAt, Status FROM Orders WHERE SaleId = @sale ORDER BY PlacedAt"
        rows = list(reads.execute_sql(listing, params={"sale": sale.sale_id}))
    assert [status for *_, status in rows] == ["PLACED"] * STOCK
    first, received_at, _ = rows[0]
    # The process's clock was wrong indeed when it took the first order.
    assert abs((received_at - first).total_seconds() - shift) < MINUTE.total_seconds()
    print(
        f"clock wrong by {shift:+.0f} s: first order {(first - sale.opens_at).total_seconds() * 1_000:.0f} ms after the opening"
    )
    assert sale.opens_at <= first < sale.opens_at + MINUTE

    heard = sorted(((sent, answer) for buyer in crowd for sent, answer in buyer.heard), key=lambda pair: pair[0])
    refusals = [answer for _, answer in heard if answer.status != 201]
    # A call to the database that is being made in the very moment of a jump may count as late: gRPC's deadlines are wall times.
    assert {"sale-not-open"} <= {answer.problem for answer in refusals} <= {"sale-not-open", "storage-unavailable"}
    # Whole seconds, rounded up, of what was left of four.
    assert {answer.headers["Retry-After"] for answer in refusals} <= {"1", "2", "3", "4"}


def check_tokens(at: Service, settings: Settings) -> None:
    """A token is good until it expires by the database's clock."""
    issuer = LocalIssuer.load(settings)
    for lifetime_seconds, status in ((300, 200), (-300, 401)):
        token = issuer.token("somebody", lifetime_seconds=lifetime_seconds)
        assert at.call("GET", "/v1/orders", Authorization=f"Bearer {token}").status == status
