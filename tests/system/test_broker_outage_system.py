"""Pub/Sub gone for a while, or gone with everything in it: orders go on, and money catches up."""

import time
from datetime import UTC, datetime, timedelta

from click.testing import CliRunner
from crowd_samples import PRICE_MINOR, SALE, Buyers, kept_minor, put_up_phones
from shop import OpenShop, Shop

from app.cli.main import fairdrop
from app.local.settling import standing, wait_until
from app.settings import Settings

STOCK = 30
BUYERS = 80
SETTLE_SECONDS = 240.0
WORKERS = ("relay", "payments-relay", "payments", "settlement", "deadlines")


def settle_and_audit(shop: Shop) -> None:
    final = wait_until(shop.database, SALE, lambda now: now.is_settled, SETTLE_SECONDS, lambda _: None)
    assert final.is_settled, final
    assert final.placed_units == STOCK
    report = shop.audit(SALE, settled=True)
    assert not report.broken, report.as_json()
    assert kept_minor(shop.team.addresses.gateway) == STOCK * PRICE_MINOR


def test_while_the_broker_does_not_answer_orders_are_taken_and_later_everything_settles(open_shop: OpenShop) -> None:
    with open_shop("api", "gateway", *WORKERS) as shop:
        put_up_phones(shop.database, STOCK, BUYERS)
        assert shop.emulators.pubsub is not None
        shop.emulators.pubsub.suspend()
        buyers = Buyers(shop.settings, shop.team.addresses.api, BUYERS)
        buyers.start()
        buyers.join()
        assert buyers.failed == []
        assert standing(shop.database, SALE).placed_units == 0
        shop.emulators.pubsub.resume()
        settle_and_audit(shop)
        shop.team.check()


def test_a_broker_that_lost_everything_is_filled_again_by_a_replay(open_shop: OpenShop) -> None:
    with open_shop("api", "gateway", *WORKERS) as shop:
        put_up_phones(shop.database, STOCK, BUYERS)
        since = datetime.now(UTC) - timedelta(minutes=1)
        buyers = Buyers(shop.settings, shop.team.addresses.api, BUYERS)
        buyers.start()
        time.sleep(2)
        assert shop.emulators.pubsub is not None
        shop.emulators.pubsub.kill()
        time.sleep(1)
        shop.emulators.pubsub.restart()
        buyers.join()
        assert buyers.failed == []
        for database in ("orders", "payments"):
            replay(shop.settings, database, since)
        # What the payments answer to the first replay, after the second one's snapshot, goes the usual way.
        settle_and_audit(shop)
        shop.team.check()


def replay(settings: Settings, database: str, since: datetime) -> None:
    variables = {
        "FAIRDROP_SPANNER_DATABASE": settings.spanner_database,
        "FAIRDROP_PAYMENTS_DATABASE": settings.payments_database,
        "FAIRDROP_PUBSUB_PROJECT": settings.broker_project,
    }
    arguments = ["replay", "--since", since.isoformat(), "--database", database]
    result = CliRunner().invoke(fairdrop, arguments, env=variables)
    assert result.exit_code == 0, result.output
