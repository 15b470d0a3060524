"""The seller's console in a real browser, against every process of the service."""

import csv
import io
from pathlib import Path

from browser_samples import DESK, BrowserShop, Visitors, assert_accessible, let_a_letter_be_dead
from playwright.sync_api import Page, expect

from app.domain.sale import Sale
from app.services import sales
from app.services.audit.report import audit
from app.services.reports import keep_verdict

PRICE_MINOR = 49_900


def watch(visitors: Visitors, shop: BrowserShop, sale: Sale) -> Page:
    """A seller who watches a sale."""
    page = visitors.visit(f"/console#{sale.sale_id}", shop.token("sam", "seller"))
    page.set_viewport_size({"width": DESK["width"], "height": DESK["height"]})
    expect(page.locator("#live")).to_have_text("Live")
    return page


def sees_what_was_found_by_who_checked(page: Page, shop: BrowserShop, sale: Sale) -> None:
    """Of a sale that is over: no verdict at first, then one, and the fairness report is a click away."""
    expect(page.locator("#audit-verdict")).to_have_text("No audit of this sale is kept.")
    keep_verdict(shop.database, audit(shop.database, sale.sale_id), "cli:sam", "fairdrop audit")
    page.get_by_role("button", name="Make the report").click()
    expect(page.locator("#fairness-verdict")).to_contain_text("NOT COMPARED with real time")
    expect(page.locator("#audit-verdict")).to_have_text("CLEAN")
    expect(page.locator("#audit-told")).to_contain_text(
        "made by cli:sam with fairdrop audit; the orders' database alone"
    )
    expect(page.locator("#letters-count")).to_contain_text("order-events: 0")
    expect(page.locator("#letters").get_by_role("row", name="unreadable: not JSON").first).to_be_visible()
    assert_accessible(page)
    with page.expect_popup() as opened:
        page.get_by_role("button", name="Show the report").click()
    report = opened.value
    expect(report.get_by_role("heading", name="how fair the line was")).to_be_visible()
    # The one style that the console's policy lets through.
    assert report.locator(".verdict").evaluate("each => getComputedStyle(each).borderTopWidth") == "2px"
    report.close()


def test_a_seller_signs_in_creates_a_sale_and_opens_it(browser_shop: BrowserShop, visitors: Visitors) -> None:
    page = visitors.visit("/console")
    page.get_by_role("textbox", name="Seller").fill("sam")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="New sale").click()
    page.get_by_label("Name", exact=True).fill("Console, half price")
    expect(page.get_by_label("Id, part of the address")).to_have_value("console-half-price")
    page.get_by_label("Price, 0 is a giveaway").fill("499.5")
    page.get_by_role("spinbutton", name="Stock").fill("7")
    assert_accessible(page)
    page.get_by_role("button", name="Create and schedule").click()
    expect(page.get_by_role("heading", name="Console, half price")).to_be_visible()
    page.get_by_role("button", name="Open now").click()
    page.locator("#ask-yes").click()
    expect(page.locator("#phase")).to_have_text("Open")
    sale = sales.show(browser_shop.database, "console-half-price").sale
    assert (sale.unit_price_minor, sale.stock, sale.currency) == (49_950, 7, "EUR")


def test_a_seller_sees_orders_come_restocks_pauses_and_exports(
    browser_shop: BrowserShop, visitors: Visitors, tmp_path: Path
) -> None:
    sale = browser_shop.put_up(unit_price_minor=PRICE_MINOR, stock=1, shard_count=1, waitlist_limit=5)
    let_a_letter_be_dead(browser_shop)
    page = watch(visitors, browser_shop, sale)
    buyers = [visitors.buy(sale, name) for name in ("ann", "bob")]
    buyers[0].get_by_role("button", name="Order and pay").click()
    expect(buyers[0].locator("[data-status=AUTHORIZED]")).to_be_visible()
    buyers[1].get_by_role("button", name="Join the line").click()
    expect(page.locator("#states").get_by_role("row", name="In line")).to_contain_text("1")
    expect(page.locator("#states").get_by_role("row", name="Reserved and authorized")).to_contain_text("1")
    expect(page.locator("#stock-text")).to_have_text("1 of 1 taken, 0 left")
    assert_accessible(page)

    page.get_by_role("button", name="Restock").click()
    page.get_by_label("Units to add").fill("3")
    page.locator("#ask-yes").click()
    expect(page.locator("#done")).to_have_text("3 units added; 1 waiting order got them.")
    expect(page.locator("#stock-text")).to_have_text("2 of 4 taken, 2 left")
    expect(buyers[1].locator("[data-status=AUTHORIZED]")).to_be_visible()

    page.get_by_role("button", name="Pause").click()
    page.locator("#ask-yes").click()
    expect(page.locator("#phase")).to_have_text("Paused")

    page.get_by_label("Id", exact=True).fill("bob")
    page.get_by_role("button", name="Find").click()
    order = page.locator("article.order")
    for status in ("WAITLISTED", "PENDING", "AUTHORIZED"):
        expect(order.get_by_role("cell", name=status, exact=True)).to_be_visible()
    order_id = order.get_attribute("data-order")
    page.get_by_label("By", exact=True).select_option("order_id")
    page.get_by_label("Id", exact=True).fill(str(order_id))
    page.get_by_role("button", name="Find").click()
    expect(page.locator(f"[data-order='{order_id}']")).to_contain_text("bob: 1 unit")
    assert_accessible(page)

    with page.expect_download() as download:
        page.get_by_role("button", name="Export all as CSV").click()
    path = tmp_path / "orders.csv"
    download.value.save_as(path)
    rows = list(csv.DictReader(io.StringIO(path.read_text())))
    assert sorted((row["customer_id"], row["status"]) for row in rows) == [("ann", "AUTHORIZED"), ("bob", "AUTHORIZED")]

    page.get_by_role("button", name="Close").click()
    page.locator("#ask-yes").click()
    expect(page.locator("#after-commands")).to_contain_text(f"fairdrop fairness {sale.sale_id}")
    sees_what_was_found_by_who_checked(page, browser_shop, sale)


def test_a_customer_gets_no_console(browser_shop: BrowserShop, visitors: Visitors) -> None:
    page = visitors.visit("/console", browser_shop.token("ann"))
    expect(page.get_by_role("heading", name="Seller's console")).to_be_visible()
    assert_accessible(page)
