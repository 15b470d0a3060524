"""Own orders: shown, listed and cancelled, and nobody else's."""

import base64
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from http_samples import CARD, Caller, Shop, broken_rule, problem

from app.services import sales

UNKNOWN_ID = "217319f5-bf8e-423a-a1aa-57e0d8d3e545"
"""Well formed, and nobody's order. Written down: workers that share the suite out must find the same tests."""


def pages(caller: Caller, path: str, size: int) -> list[list[dict[str, Any]]]:
    """All pages of a list, by following its tokens."""
    found, token = [], ""
    while True:
        body = caller.get(f"{path}{'&' if '?' in path else '?'}page_size={size}{token}").json
        found.append(body["orders"])
        if body["next_page_token"] is None:
            return found
        assert len(body["orders"]) == size
        token = f"&page_token={body['next_page_token']}"


def test_a_customer_sees_their_order_and_nobody_else_does(shop: Shop) -> None:
    sale, other_sale, owner = shop.put_up(), shop.put_up(), shop.buyer()
    placed = owner.order(sale)
    path = placed.headers["Location"]
    assert owner.get(path).json == placed.json
    for stranger in (shop.buyer(), shop.seller):
        problem(stranger.get(path), 404, "order-not-found")
        problem(stranger.post(path + "/cancel"), 404, "order-not-found")
        assert stranger.get("/v1/orders").json == {"orders": [], "next_page_token": None}
    problem(owner.get(path.replace(sale.sale_id, other_sale.sale_id)), 404, "order-not-found")
    assert owner.get(path).json == placed.json


@pytest.mark.parametrize(
    "order_id", ["x", "%00", UNKNOWN_ID, UNKNOWN_ID.upper(), "%F0%9F%8D%94", "x" * 3_000, "'%20OR%201=1"]
)
def test_an_order_that_is_none_is_404(shop: Shop, order_id: str) -> None:
    sale = shop.put_up()
    for sale_id in (sale.sale_id, "no-such-sale", "%00"):
        problem(shop.buyer().get(f"/v1/sales/{sale_id}/orders/{order_id}"), 404, "order-not-found")
        problem(shop.buyer().post(f"/v1/sales/{sale_id}/orders/{order_id}/cancel"), 404, "order-not-found")


def test_own_orders_come_in_pages_each_order_once_in_one_order(shop: Shop) -> None:
    buyer, first, second = shop.buyer(), shop.put_up(limit_per_customer=10), shop.put_up(limit_per_customer=10)
    for number in range(7):
        assert buyer.order((first, second)[number % 2], f"key-{number}").status_code == 201
    whole = buyer.get("/v1/orders").json["orders"]
    assert len(whole) == 7
    assert whole == sorted(whole, key=lambda order: (order["sale_id"], order["order_id"]))
    for size in (1, 2, 3, 6, 7, 100):
        found = pages(buyer, "/v1/orders", size)
        assert [order for page in found for order in page] == whole
        assert len(found) == -(-7 // size)


def test_own_orders_of_one_sale_come_in_pages_too(shop: Shop) -> None:
    buyer, first, second = shop.buyer(), shop.put_up(limit_per_customer=10), shop.put_up(limit_per_customer=10)
    for number in range(6):
        buyer.order((first, second)[number % 2], f"key-{number}")
    for sale in (first, second):
        found = [order for page in pages(buyer, f"/v1/orders?sale_id={sale.sale_id}", 2) for order in page]
        assert len(found) == 3
        assert {order["sale_id"] for order in found} == {sale.sale_id}
    assert buyer.get("/v1/orders?sale_id=another").json["orders"] == []
    assert buyer.get("/v1/orders?sale_id=%00").json["orders"] == []


def test_a_page_token_shows_nobody_another_customer_s_orders(shop: Shop) -> None:
    owner, sale = shop.buyer(), shop.put_up()
    for number in range(3):
        owner.order(sale, f"key-{number}")
    token = owner.get("/v1/orders?page_size=1").json["next_page_token"]
    assert shop.buyer().get(f"/v1/orders?page_token={token}").json["orders"] == []


@pytest.mark.parametrize("size", ["0", "-1", "101", "1000", "1.5", "ten", "\u0661", "", "1 ", "%00", "+1", "9" * 5_000])
def test_a_page_has_from_1_to_100_orders(shop: Shop, size: str) -> None:
    for caller, path in ((shop.buyer(), "/v1/orders"), (shop.seller, "/v1/admin/sales")):
        assert broken_rule(caller.get(f"{path}?page_size={size}"))[0] == "page_size"


def encoded(value: Any) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(value)).decode()


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "%00",
        "\u00fc",
        "!!!!",
        encoded({"a": 1}),
        encoded(["a"] * 3),
        encoded([1, 2]),
        encoded([None]),
        encoded([["a"], "b"]),
        base64.urlsafe_b64encode(b'["\\ud800", "\\ud800"]').decode(),
        base64.urlsafe_b64encode(b"[" * 3_000).decode(),
    ],
)
def test_a_page_token_that_is_none_of_ours_is_refused(shop: Shop, token: str) -> None:
    for caller, path in ((shop.buyer(), "/v1/orders"), (shop.seller, "/v1/admin/sales")):
        assert broken_rule(caller.get(path, query_string={"page_token": token}))[0] == "page_token"


@pytest.mark.parametrize("value", ["\0", "\U0001f354", "' OR 1=1 --", "x" * 2_000])
def test_a_made_up_page_token_does_no_harm(shop: Shop, value: str) -> None:
    token = {"page_token": encoded([value, value])}
    assert shop.buyer().get("/v1/orders", query_string=token).json["orders"] == []
    token = {"page_token": encoded([value])}
    assert shop.seller.get("/v1/admin/sales", query_string=token).status_code == 200


def test_an_order_waiting_for_its_payment_can_be_cancelled_and_frees_its_units(shop: Shop) -> None:
    sale, first, second = shop.put_up(stock=1, waitlist_limit=5, unit_price_minor=100), shop.buyer(), shop.buyer()
    path = first.order(sale, payment_method=CARD).headers["Location"]
    waiting = second.order(sale, payment_method=CARD)
    assert waiting.json["status"] == "WAITLISTED"
    cancelled = first.post(path + "/cancel")
    assert (cancelled.status_code, cancelled.json["status"]) == (200, "CANCELLED")
    assert (cancelled.json["cancellable"], cancelled.json["due_at"]) == (False, None)
    assert second.get(waiting.headers["Location"]).json["status"] == "PENDING"
    with shop.nothing_written():
        again = first.post(path + "/cancel")
        assert (again.status_code, again.json) == (200, cancelled.json)
        assert first.get(path).json == cancelled.json


def test_a_waiting_order_can_be_cancelled_and_a_placed_one_cannot(shop: Shop) -> None:
    sale, first, second = shop.put_up(stock=1, waitlist_limit=5), shop.buyer(), shop.buyer()
    placed, waiting = first.order(sale), second.order(sale)
    assert (placed.json["cancellable"], waiting.json["cancellable"]) == (False, True)
    with shop.nothing_written():
        problem(first.post(placed.headers["Location"] + "/cancel"), 409, "transition-refused")
    assert second.post(waiting.headers["Location"] + "/cancel").json["status"] == "CANCELLED"


def test_a_cancelled_order_keeps_its_key_and_no_longer_counts_for_the_limit(shop: Shop) -> None:
    sale, buyer = shop.put_up(unit_price_minor=100, limit_per_customer=1), shop.buyer()
    placed = buyer.order(sale, "first", payment_method=CARD)
    cancelled = buyer.post(placed.headers["Location"] + "/cancel").json
    again = buyer.order(sale, "first", payment_method=CARD)
    assert (again.status_code, again.json) == (200, cancelled)
    assert buyer.order(sale, "second", payment_method=CARD).status_code == 201


def test_times_are_utc_in_rfc_3339(shop: Shop) -> None:
    sale, buyer = shop.put_up(unit_price_minor=100), shop.buyer()
    order = buyer.order(sale, payment_method=CARD).json
    for text in (order["position"]["placed_at"], order["due_at"]):
        assert text.endswith("Z")
        assert abs((datetime.now(UTC) - datetime.fromisoformat(text)).total_seconds()) < 3_600


def test_orders_of_a_sale_that_is_over_can_still_be_seen(shop: Shop) -> None:
    sale, buyer = shop.put_up(), shop.buyer()
    placed = buyer.order(sale)
    sales.close(shop.database, sale.sale_id, "seller")
    assert buyer.get(placed.headers["Location"]).json == placed.json
