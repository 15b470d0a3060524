"""The buyer's page in a real browser, against every process of the service."""

from datetime import UTC, datetime, timedelta

from browser_samples import BrowserShop, Visitors, assert_accessible, until
from playwright.sync_api import Page, Route, expect

from app.services import sales

PRICE_MINOR = 49_900


def status_of(page: Page, status: str) -> None:
    """Wait until the page shows its order so."""
    expect(page.locator(f".ticket[data-status={status}]")).to_be_visible()


def test_a_buyer_signs_in_waits_for_the_opening_and_buys(browser_shop: BrowserShop, visitors: Visitors) -> None:
    opens_at = datetime.now(UTC) + timedelta(seconds=6)
    sale = browser_shop.put_up(
        name="Phone, half price", opens_at=opens_at, unit_price_minor=PRICE_MINOR, limit_per_customer=2
    )
    page = visitors.visit(f"/sales/{sale.sale_id}")
    expect(page.get_by_role("heading", name="Phone, half price")).to_be_visible()
    page.get_by_label("Customer").fill("ann")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("timer")).to_be_visible()
    assert_accessible(page)
    expect(page.locator("#order-button")).to_be_disabled()
    page.get_by_role("button", name="One more").click()
    expect(page.locator("#total-amount")).to_have_text("€998.00")
    page.get_by_role("button", name="Order and pay").click()
    status_of(page, "AUTHORIZED")
    expect(page.get_by_role("heading", name="Reserved and authorized")).to_be_visible()
    expect(page.get_by_text("Free to cancel for")).to_be_visible()
    assert_accessible(page)
    page.get_by_role("button", name="Cancel this order").click()
    page.get_by_role("button", name="Cancel the order").click()
    status_of(page, "CANCELLED")


def test_a_device_whose_clock_is_wrong_by_a_day_counts_down_all_the_same(
    browser_shop: BrowserShop, visitors: Visitors
) -> None:
    sale = browser_shop.put_up(opens_at=datetime.now(UTC) + timedelta(minutes=30))
    page = visitors.visit("/healthz", browser_shop.token("lena"))
    page.clock.set_system_time(datetime.now(UTC) + timedelta(days=1))
    page.goto(f"/sales/{sale.sale_id}")
    expect(page.locator("#countdown-time")).to_contain_text("29:")


def test_sold_out_then_in_line_then_promoted_while_watching(browser_shop: BrowserShop, visitors: Visitors) -> None:
    sale = browser_shop.put_up(unit_price_minor=PRICE_MINOR, stock=1, shard_count=1, waitlist_limit=1)
    first, second, third = (visitors.buy(sale, name) for name in ("first", "second", "third"))
    first.get_by_role("button", name="Order and pay").click()
    status_of(first, "AUTHORIZED")
    second.get_by_role("button", name="Join the line").click()
    status_of(second, "WAITLISTED")
    assert_accessible(second)
    expect(third.locator("#order-button")).to_have_text("Sold out")
    assert_accessible(third)
    first.get_by_role("button", name="Cancel this order").click()
    first.get_by_role("button", name="Cancel the order").click()
    status_of(second, "AUTHORIZED")
    expect(third.get_by_role("button", name="Join the line")).to_be_enabled()


def test_a_lost_connection_is_retried_with_the_same_key_even_after_a_reload(
    browser_shop: BrowserShop, visitors: Visitors
) -> None:
    sale = browser_shop.put_up(limit_per_customer=1)
    page = visitors.buy(sale, "max")
    keys: list[str] = []

    def answer_is_lost(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) == 1:
            # The service hears it; the buyer does not hear the service.
            route.fetch()
        if len(keys) < 4:
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route(
        "**/orders", lambda route: answer_is_lost(route) if route.request.method == "POST" else route.continue_()
    )
    page.get_by_role("button", name="Get it free").click()
    expect(page.get_by_text("The connection is lost")).to_be_visible()
    page.reload()
    status_of(page, "PLACED")
    until(lambda: page.evaluate("localStorage.length") == 0)
    assert len(keys) == 4
    assert len(set(keys)) == 1
    shards = sales.show(browser_shop.database, sale.sale_id).shards
    assert sum(shard.available for shard in shards) == sale.stock - 1


def test_a_pause_by_the_seller_shows_on_the_page_and_so_does_its_end(
    browser_shop: BrowserShop, visitors: Visitors
) -> None:
    sale = browser_shop.put_up()
    page = visitors.buy(sale, "eve")
    expect(page.get_by_role("button", name="Get it free")).to_be_enabled()
    sales.pause(browser_shop.database, sale.sale_id, "seller")
    expect(page.get_by_text("The seller has paused the sale")).to_be_visible()
    expect(page.locator("#order-button")).to_be_disabled()
    sales.open_now(browser_shop.database, sale.sale_id, "seller")
    expect(page.get_by_role("button", name="Get it free")).to_be_enabled()
    sales.close(browser_shop.database, sale.sale_id, "seller")
    expect(page.get_by_text("The sale is over and takes no more orders.")).to_be_visible()


def test_a_sale_that_does_not_exist_is_said_so(visitors: Visitors) -> None:
    page = visitors.visit("/sales/nothing-here")
    expect(page.get_by_role("heading", name="There is no such sale")).to_be_visible()
