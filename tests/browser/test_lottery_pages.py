"""A lottery in a real browser, from the seller's form to the outcome that each buyer sees, against every process of the service."""

import re

from browser_samples import DESK, PATIENCE_MS, BrowserShop, Visitors, assert_accessible
from playwright.sync_api import Page, expect

SALE_ID = "tickets-by-lot"


def create_and_open(page: Page) -> None:
    """A lottery of one unit at 89.00, by the form."""
    page.get_by_role("button", name="New sale").click()
    page.get_by_label("Name", exact=True).fill("Tickets by lot")
    page.get_by_label("Who gets it").select_option("Lottery")
    page.get_by_label("Price, 0 is a giveaway").fill("89")
    page.get_by_role("spinbutton", name="Stock").fill("1")
    page.get_by_label("Waitlist, orders").fill("1")
    page.get_by_role("button", name="Create and schedule").click()
    page.get_by_role("button", name="Open now").click()
    page.locator("#ask-yes").click()
    expect(page.locator("#phase")).to_have_text("Open")


def close_and_draw(page: Page) -> None:
    """By the two buttons. Without the live view, or a worker that draws by itself might take the second one away."""
    page.route("**/live", lambda route: route.abort())
    page.reload()
    page.get_by_role("button", name="Close").click()
    page.locator("#ask-yes").click()
    expect(page.locator("#phase")).to_have_text("Closed")
    page.get_by_role("button", name="Draw").click()
    with page.expect_response("**/draw") as answer:
        page.locator("#ask-yes").click()
    assert answer.value.status in (200, 202)
    expect(page.locator("#done")).to_be_visible()
    page.unroute("**/live")
    page.reload()


def test_a_lottery_is_created_entered_drawn_and_told(browser_shop: BrowserShop, visitors: Visitors) -> None:
    seller = visitors.visit("/console", browser_shop.token("sam", "seller"))
    seller.set_viewport_size({"width": DESK["width"], "height": DESK["height"]})
    create_and_open(seller)
    expect(seller.locator("#terms")).to_contain_text("by lottery")
    expect(seller.locator("#draw-text")).to_contain_text("Not drawn yet")

    buyers = [visitors.visit(f"/sales/{SALE_ID}", browser_shop.token(name)) for name in ("ann", "ben", "cem", "dora")]
    for buyer in buyers:
        buyer.get_by_role("button", name="Enter the draw").click()
        expect(buyer.locator(".ticket[data-status=ENTERED]")).to_be_visible()
    first, *_, last = buyers
    commitment = first.locator("#commitment").text_content() or ""
    assert re.fullmatch(r"[0-9a-f]{64}", commitment)
    expect(first.locator("#seed")).to_be_hidden()
    assert_accessible(first)
    states = seller.locator("#states").get_by_role("row", name="In the draw")
    expect(states).to_contain_text("4")
    last.get_by_role("button", name="Withdraw the entry").click()
    last.locator("#confirm").get_by_role("button", name="Withdraw the entry").click()
    expect(last.locator(".ticket[data-status=CANCELLED]")).to_be_visible()
    expect(states).to_contain_text("3")

    close_and_draw(seller)
    expect(seller.locator("#draw-text")).to_contain_text("1 of 3 entries won.", timeout=PATIENCE_MS)
    expect(seller.get_by_role("button", name="Draw")).to_have_count(0)
    expect(seller.locator("#after-commands")).to_contain_text(f"verify-draw draw.jsonl --commitment {commitment}")
    assert_accessible(seller)

    places = {}
    for buyer in buyers[:-1]:
        expect(buyer.locator("#draw-state")).to_contain_text("1 of 3 entries won.", timeout=PATIENCE_MS)
        place = buyer.locator(".draw-place").text_content() or ""
        places[int(place)] = buyer
    assert sorted(places) == [1, 2, 3]
    for place, status in ((1, "AUTHORIZED"), (2, "WAITLISTED"), (3, "LAPSED")):
        expect(places[place].locator(f".ticket[data-status={status}]")).to_be_visible()
    winner = places[1]
    order_id = winner.locator(".ticket").get_attribute("data-order")
    expect(winner.locator("#commitment")).to_have_text(commitment)
    expect(winner.locator("#seed")).to_have_text(re.compile(r"^[0-9a-f]{64}$"))
    expect(winner.locator("#verify-command")).to_have_text(
        f"fairdrop verify-draw RECORD --commitment {commitment} --order {order_id}"
    )
    assert_accessible(winner)
    link = winner.get_by_role("link", name="The draw as everybody sees it").get_attribute("href")
    shown = winner.request.get(f"{browser_shop.url}{link}").json()["draw"]
    assert (shown["commitment"], shown["won_orders"]) == (commitment, 1)
