"""Every process's wall clock is set forth and back by minutes while orders and money flow: deadlines are the database's."""

import threading
from datetime import timedelta
from pathlib import Path

from crowd_samples import PRICE_MINOR, SALE, Buyers, kept_minor, put_up_phones
from sale_samples import put_up
from shop import OpenShop
from wrong_clock import WrongClock

from app.local.settling import wait_until
from app.storage.database import FairdropDatabase, snapshot

STOCK = 25
BUYERS = 60
HELD = 6
HOLD = timedelta(seconds=10)
CANCEL_WINDOW = timedelta(seconds=2)
A_COMMIT = timedelta(seconds=1)
"""A deadline is counted from just before the commit; far less than the clocks jump by."""
JUMPS = (300.0, -300.0, 1_200.0, -1_200.0, 0.0)
JUMP_EVERY_SECONDS = 0.5
SETTLE_SECONDS = 240.0
ONES = ("api", "gateway", "relay", "payments-relay", "payments", "settlement", "deadlines")
SOME_FAULTS = "--decline-rate 0.2 --lost-rate 0.05 --delay-ms 20"


class Jumping:
    """The clock jumps again and again as long as the block lasts."""

    def __init__(self, clock: WrongClock) -> None:
        self._clock = clock
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.jumps = 0

    def _run(self) -> None:
        while not self._stop.wait(JUMP_EVERY_SECONDS):
            self._clock.set(JUMPS[self.jumps % len(JUMPS)])
            self.jumps += 1

    def __enter__(self) -> "Jumping":
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._thread.join()
        # Whoever is told to stop counts the seconds of its grace by this clock.
        self._clock.set(0.0)


def apart(database: FairdropDatabase, sale_id: str, earlier: str, later: str) -> list[timedelta]:
    """For each order that had both triggers, the time between the two commits."""
    sql = (
        "SELECT a.CommittedAt, b.CommittedAt FROM OrderEvents a JOIN OrderEvents b USING (CustomerId, SaleId, OrderId) "
        "WHERE a.SaleId = @sale AND a.Trigger = @earlier AND b.Trigger = @later"
    )
    asked = {"sale": sale_id, "earlier": earlier, "later": later}
    with snapshot(database) as reads:
        return [second - first for first, second in reads.execute_sql(sql, params=asked)]


def test_clocks_that_jump_by_minutes_end_no_hold_early_and_lose_no_unit_and_no_cent(
    open_shop: OpenShop, tmp_path: Path
) -> None:
    clock = WrongClock(tmp_path, JUMPS[0])
    with open_shop(*ONES, gateway_options=SOME_FAULTS, variables=clock.environment) as shop, Jumping(clock) as jumping:
        put_up_phones(shop.database, STOCK, BUYERS)
        buyers = Buyers(shop.settings, shop.team.addresses.api, BUYERS)
        buyers.start()
        buyers.join()
        assert buyers.failed == []
        final = wait_until(shop.database, SALE, lambda now: now.is_settled, SETTLE_SECONDS, lambda _: None)
        assert (final.is_settled, final.placed_units) == (True, STOCK), final
        assert jumping.jumps >= len(JUMPS)
        # A hold of 90 s: only one that a jump had ended would have expired by now.
        assert "EXPIRED" not in final.orders
        windows = apart(shop.database, SALE, "authorize", "confirm")
        assert len(windows) >= final.orders["PLACED"]
        assert min(windows) > CANCEL_WINDOW - A_COMMIT
        report = shop.audit(SALE, settled=True)
        assert not report.broken, report.as_json()
        assert kept_minor(shop.team.addresses.gateway) == STOCK * PRICE_MINOR
        shop.team.check()


def test_a_hold_lasts_as_long_as_it_must_and_ends_though_the_clocks_jump(open_shop: OpenShop, tmp_path: Path) -> None:
    clock = WrongClock(tmp_path, JUMPS[0])
    with open_shop("api", "deadlines", variables=clock.environment) as shop, Jumping(clock):
        put_up(
            shop.database,
            sale_id=SALE,
            unit_price_minor=PRICE_MINOR,
            stock=HELD,
            waitlist_limit=HELD,
            hold_seconds=int(HOLD.total_seconds()),
        )
        # No payments here: the first ones' holds expire, and those who wait get the units.
        buyers = Buyers(shop.settings, shop.team.addresses.api, 2 * HELD)
        buyers.start()
        buyers.join()
        assert buyers.failed == []
        wait_until(
            shop.database, SALE, lambda now: now.orders.get("EXPIRED", 0) >= HELD, SETTLE_SECONDS, lambda _: None
        )
        for begin in ("reserve", "promote"):
            lasted = apart(shop.database, SALE, begin, "expire")
            assert all(hold > HOLD - A_COMMIT for hold in lasted), lasted
        assert len(apart(shop.database, SALE, "reserve", "expire")) == HELD
        assert not shop.audit(SALE).broken
        shop.team.check()
