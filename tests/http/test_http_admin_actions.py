"""What a seller does with a sale: change it while it is not open, open, pause and close it, and restock it."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from http_samples import CARD, Shop, broken_rule, problem
from werkzeug.test import TestResponse

from app.domain.sale import Sale


def scheduled(shop: Shop, **terms: Any) -> Sale:
    now = datetime.now(UTC)
    return shop.put_up(**{"opens_at": now + timedelta(hours=1), "closes_at": now + timedelta(hours=2), **terms})


def act(shop: Shop, sale: Sale, action: str) -> TestResponse:
    return shop.seller.post(f"/v1/admin/sales/{sale.sale_id}/{action}")


def change(shop: Shop, sale: Sale, **changes: Any) -> TestResponse:
    return shop.seller.call("PATCH", f"/v1/admin/sales/{sale.sale_id}", json=changes)


def restock(shop: Shop, sale: Sale, units: Any = 1, key: str | None = "key") -> TestResponse:
    return shop.seller.post(f"/v1/admin/sales/{sale.sale_id}/restock", key=key, json={"units": units})


CHANGES: list[tuple[str, Any]] = [
    ("name", "Other"),
    ("unit_price_minor", 4_200),
    ("currency", "USD"),
    ("stock", 7),
    ("limit_per_customer", 2),
    ("waitlist_limit", 3),
    ("expected_crowd", 9),
    ("hold_seconds", 60),
    ("cancel_window_seconds", 0),
]


@pytest.mark.parametrize(("field", "value"), CHANGES)
def test_a_sale_that_is_not_open_yet_can_change_in_every_term(shop: Shop, field: str, value: Any) -> None:
    sale = scheduled(shop)
    before = shop.seller.get(f"/v1/admin/sales/{sale.sale_id}").json
    changed = change(shop, sale, **{field: value})
    assert changed.status_code == 200
    after = shop.seller.get(f"/v1/admin/sales/{sale.sale_id}").json
    assert after[field] == value
    moving = {field, "as_of", "shards", "available"}
    assert {k: v for k, v in after.items() if k not in moving} == {k: v for k, v in before.items() if k not in moving}
    assert after["available"] == sum(shard["allocated"] for shard in after["shards"]) == after["stock"]


def test_the_times_can_change_too_with_any_offset(shop: Shop) -> None:
    sale = scheduled(shop)
    changed = change(shop, sale, opens_at="2040-01-01T12:00:00+02:00", closes_at="2040-01-02T00:00:00Z").json
    assert (changed["opens_at"][:19], changed["closes_at"][:19]) == ("2040-01-01T10:00:00", "2040-01-02T00:00:00")


def test_a_change_of_nothing_writes_nothing(shop: Shop) -> None:
    sale = scheduled(shop)
    with shop.nothing_written():
        assert change(shop, sale).status_code == 200
        assert change(shop, sale, name=sale.name, stock=None).status_code == 200


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("stock", -1),
        ("stock", 10**9 + 1),
        ("unit_price_minor", 10**12 + 1),
        ("limit_per_customer", 0),
        ("limit_per_customer", 1_001),
        ("waitlist_limit", 1_000_001),
        ("expected_crowd", 0),
        ("hold_seconds", 9),
        ("cancel_window_seconds", -1),
        ("currency", "ABC"),
        ("name", "  "),
        ("closes_at", "2020-01-01T00:00:00Z"),
        ("opens_at", "0001-01-01T00:00:00+10:00"),
        ("shard_count", 4),
        ("sale_id", "another"),
        ("policy", "fcfs"),
        ("state", "CLOSED"),
    ],
)
def test_a_change_that_breaks_a_rule_is_named_and_nothing_is_written(shop: Shop, field: str, value: Any) -> None:
    sale = scheduled(shop)
    with shop.nothing_written():
        assert broken_rule(change(shop, sale, **{"name": "Other", field: value}))[0] == field


def test_an_open_sale_and_a_closed_one_cannot_change(shop: Shop) -> None:
    sale = shop.put_up()
    with shop.nothing_written():
        assert problem(change(shop, sale, name="Other"), 409, "sale-state-refused")["phase"] == "open"
    act(shop, sale, "close")
    with shop.nothing_written():
        assert problem(change(shop, sale, name="Other"), 409, "sale-state-refused")["phase"] == "closed"


def test_a_paused_sale_can_change_what_harms_nobody_who_has_ordered(shop: Shop) -> None:
    sale = shop.put_up()
    act(shop, sale, "pause")
    assert change(shop, sale, name="Other", limit_per_customer=9, waitlist_limit=9).json["limit_per_customer"] == 9
    with shop.nothing_written():
        for field, value in CHANGES:
            if field not in ("name", "limit_per_customer", "waitlist_limit"):
                assert broken_rule(change(shop, sale, **{field: value}))[0] == field
        assert broken_rule(change(shop, sale, opens_at="2040-01-01T00:00:00Z"))[0] == "opens_at"


def in_a_moment(shop: Shop, sale: Sale) -> TestResponse:
    """The answer to an order, once a refusal from memory is too old; the deadline only ends a test that would hang."""
    buyer, deadline = shop.buyer(), time.monotonic() + 30
    while (answer := buyer.order(sale)).status_code != 201 and time.monotonic() < deadline:
        time.sleep(0.05)
    return answer


def test_a_scheduled_sale_opened_now_takes_orders_in_a_moment(shop: Shop) -> None:
    sale = scheduled(shop)
    problem(shop.buyer().order(sale), 409, "sale-not-open")
    opened = act(shop, sale, "open")
    assert (opened.status_code, opened.json["phase"]) == (200, "open")
    assert datetime.fromisoformat(opened.json["opens_at"]) < sale.opens_at
    assert in_a_moment(shop, sale).status_code == 201
    with shop.nothing_written():
        assert act(shop, sale, "open").status_code == 200


def test_a_paused_sale_takes_no_orders_until_it_is_opened_again(shop: Shop) -> None:
    sale = shop.put_up()
    assert shop.buyer().order(sale).status_code == 201
    assert act(shop, sale, "pause").json["phase"] == "paused"
    problem(shop.buyer().order(sale), 409, "sale-paused")
    with shop.nothing_written():
        assert act(shop, sale, "pause").status_code == 200
    resumed = act(shop, sale, "open").json
    assert (resumed["phase"], datetime.fromisoformat(resumed["opens_at"])) == ("open", sale.opens_at)
    assert in_a_moment(shop, sale).status_code == 201


def test_a_closed_sale_stays_closed(shop: Shop) -> None:
    sale = shop.put_up()
    assert act(shop, sale, "close").json["phase"] == "closed"
    with shop.nothing_written():
        assert act(shop, sale, "close").status_code == 200
        for action in ("open", "pause"):
            assert problem(act(shop, sale, action), 409, "sale-state-refused")["phase"] == "closed"
        assert problem(restock(shop, sale), 409, "sale-state-refused")["phase"] == "closed"
        problem(shop.buyer().order(sale), 409, "sale-closed")


def test_a_restock_serves_the_waitlist_first_and_its_key_adds_only_once(shop: Shop) -> None:
    sale, first, second = shop.put_up(stock=0, waitlist_limit=5, unit_price_minor=100), shop.buyer(), shop.buyer()
    orders = [(buyer, buyer.order(sale, payment_method=CARD).headers["Location"]) for buyer in (first, second)]
    result = restock(shop, sale, 5).json
    assert (result["promoted_orders"], result["sale"]["stock"], result["sale"]["available"]) == (2, 5, 3)
    assert [buyer.get(path).json["status"] for buyer, path in orders] == ["PENDING", "PENDING"]
    with shop.nothing_written():
        again = restock(shop, sale, 5).json
        assert (again["promoted_orders"], again["sale"]["stock"]) == (0, 5)
        problem(restock(shop, sale, 6), 422, "restock-key-reused")
    assert restock(shop, sale, 5, "another-key").json["sale"]["stock"] == 10


def test_a_restock_goes_up_to_the_largest_stock_and_not_past_it(shop: Shop) -> None:
    sale = shop.put_up(stock=10**9 - 5)
    with shop.nothing_written():
        assert broken_rule(restock(shop, sale, 6))[0] == "units"
    assert restock(shop, sale, 5).json["sale"]["stock"] == 10**9
    with shop.nothing_written():
        assert broken_rule(restock(shop, sale, 1, "more"))[0] == "units"


@pytest.mark.parametrize("units", [0, -1, 1.5, "1", True, None, 10**9 + 1, 10**30])
def test_a_restock_adds_a_whole_number_of_units(shop: Shop, units: Any) -> None:
    sale = shop.put_up()
    with shop.nothing_written():
        assert broken_rule(restock(shop, sale, units))[0] == "units"


@pytest.mark.parametrize("key", [None, "", "k" * 256, "two words"])
def test_a_restock_needs_a_key(shop: Shop, key: str | None) -> None:
    sale = shop.put_up()
    with shop.nothing_written():
        assert broken_rule(restock(shop, sale, 1, key))[0] == "Idempotency-Key"
