"""The pictures of the documentation, taken anew by `scripts/screenshots`; at other times there is nothing to do here."""

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
from browser_samples import BrowserShop, Visitors, let_a_letter_be_dead
from playwright.sync_api import Page, expect

from app.domain.sale import Sale
from app.rush.local_tokens import LocalTokens
from app.rush.options import RushOptions
from app.rush.plan import Shares
from app.rush.runner import run_rush
from app.services import sales
from app.services.audit.money import MoneySources
from app.services.audit.report import audit
from app.services.reports import keep_verdict
from app.storage.database import connect

FOLDER = os.environ.get("FAIRDROP_PICTURES")

pytestmark = pytest.mark.skipif(FOLDER is None, reason="pictures are taken by scripts/screenshots")

Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")


def shoot(page: Page, name: str, **options: Any) -> None:
    """Take a picture, once nothing moves any more."""
    assert FOLDER is not None
    page.wait_for_timeout(300)
    page.screenshot(path=Path(FOLDER) / f"{name}.png", **options)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_buyer_s_page(browser_shop: BrowserShop, visitors: Visitors, scheme: Scheme) -> None:
    look: dict[str, Any] = {"color_scheme": scheme, "device_scale_factor": 2}
    terms: dict[str, Any] = {"name": "iPhone, half price", "unit_price_minor": 49_900, "limit_per_customer": 5}
    soon = browser_shop.put_up(**terms, opens_at=datetime.now(UTC) + timedelta(minutes=12, seconds=34))
    shoot(visitors.buy(soon, "ann", **look), f"buyer-scheduled-{scheme}")

    sale = browser_shop.put_up(**terms, stock=4, shard_count=1, waitlist_limit=4)
    page = visitors.buy(sale, "ann", **look)
    expect(page.get_by_role("button", name="Order and pay")).to_be_enabled()
    shoot(page, f"buyer-open-{scheme}")
    page.get_by_role("button", name="Order and pay").click()
    expect(page.locator("[data-status=AUTHORIZED]")).to_be_visible()
    shoot(page, f"buyer-authorized-{scheme}")

    other = visitors.buy(sale, "bob", **look)
    other.get_by_role("button", name="One more").click(click_count=3)
    other.get_by_role("button", name="Order and pay").click()
    expect(other.locator("[data-status=WAITLISTED]")).to_be_visible()
    shoot(other, f"buyer-in-line-{scheme}")

    giveaway = browser_shop.put_up(name="A burger for everybody", limit_per_customer=1)
    lost = visitors.buy(giveaway, "cid", **look)
    lost.route("**/orders", lambda route: route.abort())
    lost.get_by_role("button", name="Get it free").click()
    expect(lost.get_by_text("The connection is lost")).to_be_visible()
    shoot(lost, f"buyer-connection-lost-{scheme}")


def check(shop: BrowserShop, sale: Sale, answers: Path) -> None:
    """Close the sale, and audit it with what its buyers were told and paid."""
    sales.close(shop.database, sale.sale_id, "sam")
    money = MoneySources(connect(shop.settings, shop.settings.payments_database))
    keep_verdict(shop.database, audit(shop.database, sale.sale_id, answers, money=money), "cli:sam", "fairdrop audit")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_console(browser_shop: BrowserShop, visitors: Visitors, tmp_path: Path, scheme: Scheme) -> None:
    terms: dict[str, Any] = {"name": "iPhone, half price", "unit_price_minor": 49_900, "limit_per_customer": 5}
    sale = browser_shop.put_up(**terms, sale_id=f"iphone-{scheme}", stock=400, waitlist_limit=400)
    let_a_letter_be_dead(browser_shop)
    page = visitors.visit(f"/console#{sale.sale_id}", browser_shop.token("sam", "seller"), color_scheme=scheme)
    page.set_viewport_size({"width": 1440, "height": 1000})
    expect(page.locator("#live")).to_have_text("Live")
    options = RushOptions(
        sale_id=sale.sale_id,
        tokens=LocalTokens(browser_shop.settings),
        answers=tmp_path / "rush.jsonl",
        url=browser_shop.url,
        buyers=3_000,
        processes=1,
        connections=128,
        shares=Shares(several=0.1),
        timeout_seconds=60,
    )
    with ThreadPoolExecutor(1) as crowd:
        rush = crowd.submit(run_rush, options)
        rush.result()
    expect(page.locator("#states").get_by_role("row", name="Reserved and authorized")).to_be_visible()
    page.wait_for_timeout(4_000)
    shoot(page, f"console-live-{scheme}")
    check(browser_shop, sale, options.answers)
    page.get_by_role("button", name="Make the report").click()
    expect(page.locator("#fairness-told")).to_contain_text("as of")
    expect(page.locator("#audit-verdict")).to_have_text("CLEAN")
    expect(page.locator("#letters")).to_contain_text("unreadable: not JSON")
    page.locator("#checks-title").evaluate("each => each.scrollIntoView()")
    if scheme == "light":
        shoot(page, "console-checks-light")
    page.get_by_label("Id", exact=True).fill("buyer-00000001")
    page.get_by_role("button", name="New sale").click()
    page.get_by_label("Name", exact=True).fill("Phone, half price")
    if scheme == "light":
        shoot(page, "console-new-sale-light")
