"""Workers and gateway killed with kill -9 at random moments: no unit and no cent is lost, at any moment and in the end."""

import random
import time

from crowd_samples import PRICE_MINOR, SALE, Buyers, book, kept_minor, put_up_phones
from shop import OpenShop

from app.local.settling import standing, wait_until

STOCK = 60
BUYERS = 170
KILLS = 20
ONES = ("relay", "payments-relay", "payments", "settlement", "deadlines", "gateway")
SECONDS = ("relay#2", "payments#2", "settlement#2")
SETTLE_SECONDS = 300.0


def test_twenty_kills_at_random_moments_lose_no_unit_and_no_cent(open_shop: OpenShop) -> None:
    with open_shop("api", *ONES, *SECONDS, "deadlines#2") as shop:
        team, database = shop.team, shop.database
        put_up_phones(database, STOCK, BUYERS)
        buyers = Buyers(shop.settings, team.addresses.api, BUYERS)
        buyers.start()
        dice = random.Random(20)
        for _ in range(KILLS):
            time.sleep(dice.uniform(0.05, 0.8))
            victim = dice.choice(ONES + SECONDS)
            team.kill(victim)
            report = shop.audit(SALE)
            assert not report.broken, f"after {victim} was killed: {report.as_json()}"
            team.start(victim)
        buyers.join()
        assert buyers.failed == []
        final = wait_until(database, SALE, lambda now: now.is_settled, SETTLE_SECONDS, lambda _: None)
        assert final.is_settled, final
        assert final.placed_units == STOCK
        team.check()
        report = shop.audit(SALE, settled=True)
        assert not report.broken, report.as_json()
        assert kept_minor(team.addresses.gateway) == STOCK * PRICE_MINOR
        paid = {entry["order_id"] for entry in book(team.addresses.gateway) if entry["captured_minor"]}
        assert len(paid) == standing(database, SALE).orders["PLACED"]
