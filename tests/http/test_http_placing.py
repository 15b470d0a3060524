"""Placing an order: what is answered when it is taken, found again, or refused by the sale."""

import re
import time
from datetime import UTC, datetime, timedelta

import pytest
from http_samples import CARD, Shop, broken_rule, problem

from app.services import sales

NOTHING = {"units": 1}


def test_an_order_taken_is_201_with_its_address_and_its_place_in_the_line(shop: Shop) -> None:
    sale, buyer = shop.put_up(unit_price_minor=49_900, stock=10), shop.buyer()
    response = buyer.order(sale, units=2, payment_method=CARD)
    assert response.status_code == 201
    order = response.json
    assert (order["status"], order["units"], order["unit_price_minor"], order["currency"]) == (
        "PENDING",
        2,
        49_900,
        "EUR",
    )
    assert order["sale_id"] == sale.sale_id
    assert response.headers["Location"] == f"/v1/sales/{sale.sale_id}/orders/{order['order_id']}"
    assert response.headers["Cache-Control"] == "no-store"
    assert "Idempotent-Replayed" not in response.headers
    held = datetime.fromisoformat(order["due_at"]) - datetime.fromisoformat(order["position"]["placed_at"])
    assert abs(held - timedelta(seconds=sale.hold_seconds)) < timedelta(seconds=60)
    assert buyer.get(response.headers["Location"]).json == order


def test_the_payment_method_is_never_told_again(shop: Shop) -> None:
    sale, buyer = shop.put_up(unit_price_minor=100), shop.buyer()
    placed = buyer.order(sale, payment_method="tok_secret_4242")
    assert placed.status_code == 201
    for response in (placed, buyer.get(placed.headers["Location"]), buyer.get("/v1/orders")):
        assert "tok_secret_4242" not in response.text


def test_a_free_order_is_placed_at_once_and_one_without_stock_waits(shop: Shop) -> None:
    sale = shop.put_up(stock=1, waitlist_limit=1)
    first, second = shop.buyer().order(sale), shop.buyer().order(sale)
    assert (first.status_code, first.json["status"]) == (201, "PLACED")
    assert (second.status_code, second.json["status"]) == (201, "WAITLISTED")
    assert first.json["due_at"] is None
    assert second.json["due_at"] is None
    assert first.json["position"]["placed_at"] < second.json["position"]["placed_at"]


def test_a_retry_finds_the_same_order_and_says_that_it_is_a_replay(shop: Shop) -> None:
    sale, buyer = shop.put_up(), shop.buyer()
    placed = buyer.order(sale, "mine", 2)
    with shop.nothing_written():
        again = buyer.order(sale, "mine", 2)
    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (200, "true")
    assert again.json == placed.json
    assert again.headers["Location"] == placed.headers["Location"]


def test_a_key_used_with_another_body_is_refused_and_names_its_order(shop: Shop) -> None:
    sale, buyer = shop.put_up(unit_price_minor=100), shop.buyer()
    placed = buyer.order(sale, "mine", 1, payment_method=CARD)
    with shop.nothing_written():
        for units, method in ((2, CARD), (1, "tok_other")):
            body = problem(buyer.order(sale, "mine", units, payment_method=method), 422, "idempotency-key-reused")
            assert body["order_id"] == placed.json["order_id"]


def test_the_same_key_of_another_customer_or_in_another_sale_is_another_order(shop: Shop) -> None:
    sale, other_sale, buyer = shop.put_up(), shop.put_up(), shop.buyer()
    answers = [buyer.order(sale, "same"), buyer.order(other_sale, "same"), shop.buyer().order(sale, "same")]
    assert [answer.status_code for answer in answers] == [201, 201, 201]
    assert len({answer.json["order_id"] for answer in answers}) == 3


def test_a_sale_that_does_not_exist_is_404(shop: Shop) -> None:
    for path in ("no-such-sale", "%00", "x" * 3_000, "%ff%fe", "%F0%9F%8D%94", "a%20b", "'--"):
        problem(shop.buyer().post(f"/v1/sales/{path}/orders", key="key", json=NOTHING), 404, "sale-not-found")


def test_before_the_opening_the_answer_says_when_it_is(shop: Shop) -> None:
    opens_at = datetime.now(UTC) + timedelta(minutes=10)
    sale = shop.put_up(opens_at=opens_at)
    with shop.nothing_written():
        response = shop.buyer().order(sale)
    body = problem(response, 409, "sale-not-open")
    assert datetime.fromisoformat(body["opens_at"]) == opens_at
    assert 0 < int(response.headers["Retry-After"]) <= 601
    assert 0 < body["opens_in_ms"] <= 1_000 * int(response.headers["Retry-After"])


def test_who_goes_by_the_time_left_is_not_told_again_to_wait_for_long(shop: Shop) -> None:
    sale = shop.put_up(opens_at=datetime.now(UTC) + timedelta(seconds=1))
    buyer, waits = shop.buyer(), []
    while (response := buyer.order(sale)).status_code != 201:
        waits.append(problem(response, 409, "sale-not-open")["opens_in_ms"])
        time.sleep(waits[-1] / 1_000)
    assert sum(waits[1:]) < 500, waits
    assert datetime.fromisoformat(response.json["position"]["placed_at"]) >= sale.opens_at


def test_a_closed_sale_takes_no_orders_whether_the_seller_closed_it_or_the_clock(shop: Shop) -> None:
    now = datetime.now(UTC)
    over = shop.put_up(opens_at=now - timedelta(hours=2), closes_at=now - timedelta(seconds=1))
    ended = shop.put_up()
    sales.close(shop.database, ended.sale_id, "seller")
    with shop.nothing_written():
        for sale in (over, ended):
            response = shop.buyer().order(sale)
            problem(response, 409, "sale-closed")
            assert "Retry-After" not in response.headers


def test_a_paused_sale_asks_to_come_again(shop: Shop) -> None:
    sale = shop.put_up()
    sales.pause(shop.database, sale.sale_id, "seller")
    with shop.nothing_written():
        response = shop.buyer().order(sale)
    problem(response, 409, "sale-paused")
    assert int(response.headers["Retry-After"]) > 0


def test_an_order_taken_before_the_sale_closed_is_still_found_by_its_key(shop: Shop) -> None:
    sale, buyer = shop.put_up(), shop.buyer()
    placed = buyer.order(sale, "mine")
    sales.close(shop.database, sale.sale_id, "seller")
    problem(shop.buyer().order(sale), 409, "sale-closed")
    again = buyer.order(sale, "mine")
    assert (again.status_code, again.json) == (200, placed.json)


def test_sold_out_tells_at_which_moment_and_that_it_is_fresh(shop: Shop) -> None:
    sale, buyer = shop.put_up(stock=1), shop.buyer()
    placed = buyer.order(sale, "mine")
    with shop.nothing_written():
        for _ in range(20):
            body = problem(shop.buyer().order(sale), 409, "sold-out")
            assert 0 <= body["age_ms"] <= 250
            assert datetime.fromisoformat(body["as_of"]) >= datetime.fromisoformat(placed.json["position"]["placed_at"])
        assert buyer.order(sale, "mine").json == placed.json


def test_the_limit_per_customer_counts_all_live_orders_the_waiting_ones_too(shop: Shop) -> None:
    sale, buyer = shop.put_up(stock=2, limit_per_customer=3, waitlist_limit=5), shop.buyer()
    assert buyer.order(sale, "one", 2).json["status"] == "PLACED"
    assert buyer.order(sale, "two", 1).json["status"] == "WAITLISTED"
    with shop.nothing_written():
        body = problem(buyer.order(sale, "three", 1), 409, "limit-exceeded")
    assert (body["limit"], body["live_units"], body["units"]) == (3, 3, 1)
    assert shop.buyer().order(sale, units=3).status_code == 201


def test_a_priced_sale_needs_a_payment_method(shop: Shop) -> None:
    sale = shop.put_up(unit_price_minor=1)
    with shop.nothing_written():
        body = problem(shop.buyer().order(sale), 422, "payment-method-required")
    assert body["field"] == "payment_method"
    assert shop.buyer().order(sale, payment_method=CARD).status_code == 201


@pytest.mark.parametrize(
    ("key", "says"),
    [
        (None, "required"),
        ("", "required"),
        ("k" * 256, "at most 255"),
        ("two words", "visible ASCII"),
        ("tab\there", "visible ASCII"),
        ("schlüssel", "visible ASCII"),
        ("bell\x07", "visible ASCII"),
        ("del\x7f", "visible ASCII"),
    ],
)
def test_a_key_that_is_none_is_refused_and_nothing_is_written(shop: Shop, key: str | None, says: str) -> None:
    sale = shop.put_up()
    with shop.nothing_written():
        field, rule = broken_rule(shop.buyer().post(f"/v1/sales/{sale.sale_id}/orders", key=key, json=NOTHING))
    assert field == "Idempotency-Key"
    assert says in rule


@pytest.mark.parametrize("key", ["k", "k" * 255, "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", "'OR/**/1=1;--"])
def test_any_visible_ascii_up_to_255_characters_is_a_key(shop: Shop, key: str) -> None:
    sale, buyer = shop.put_up(), shop.buyer()
    placed = buyer.order(sale, key)
    assert placed.status_code == 201
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", placed.json["order_id"])
    assert buyer.order(sale, key).json == placed.json
