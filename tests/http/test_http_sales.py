"""The public page of a sale: the same for everybody, a second old at the most, by the database's clock."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from http_samples import Shop, problem

from app.http import sales as public
from app.http.sales import stock_left
from app.services import sales
from app.storage.database import read_timestamp, snapshot

MEMBERS = {
    "sale_id",
    "name",
    "phase",
    "opens_at",
    "closes_at",
    "server_time",
    "unit_price_minor",
    "currency",
    "limit_per_customer",
    "stock_left",
    "waitlist_open",
    "policy",
    "draw",
}


def database_time(shop: Shop) -> datetime:
    with snapshot(shop.database) as reads:
        result = reads.execute_sql("SELECT 1")
        list(result)
        return read_timestamp(result)


def test_everybody_may_see_a_sale_and_a_cache_may_keep_it_a_second(shop: Shop) -> None:
    sale = shop.put_up(name="Burger \U0001f354 <b>", unit_price_minor=1_250)
    response = shop.passer_by.get(f"/v1/sales/{sale.sale_id}")
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "public, max-age=1"
    assert "Set-Cookie" not in response.headers
    assert "Vary" not in response.headers
    body = response.json
    assert set(body) == MEMBERS
    assert (body["name"], body["unit_price_minor"], body["currency"]) == ("Burger \U0001f354 <b>", 1_250, "EUR")
    assert (datetime.fromisoformat(body["opens_at"]), body["limit_per_customer"]) == (sale.opens_at, 5)


def test_a_token_changes_nothing_not_even_one_that_does_not_hold(shop: Shop) -> None:
    sale = shop.put_up()
    answers = [caller.get(f"/v1/sales/{sale.sale_id}").json for caller in (shop.passer_by, shop.buyer(), shop.seller)]
    for answer in answers:
        answer.pop("server_time")
    assert answers[0] == answers[1] == answers[2]
    headers = {"Authorization": "Bearer nonsense"}
    assert shop.passer_by.get(f"/v1/sales/{sale.sale_id}", headers=headers).status_code == 200


def test_the_server_s_time_is_the_database_s(shop: Shop) -> None:
    sale = shop.put_up()
    path = f"/v1/sales/{sale.sale_id}"
    shop.passer_by.get(path)
    for _ in range(3):
        before = database_time(shop)
        told = datetime.fromisoformat(shop.passer_by.get(path).json["server_time"])
        after = database_time(shop)
        # Never ahead of the database's clock; behind it by no more than what its answers took to arrive.
        assert before - timedelta(seconds=1) < told <= after


def test_the_phase_follows_the_seller_and_the_clock(shop: Shop) -> None:
    now = datetime.now(UTC)
    coming = shop.put_up(opens_at=now + timedelta(hours=1), closes_at=now + timedelta(hours=2))
    over = shop.put_up(opens_at=now - timedelta(hours=2), closes_at=now - timedelta(hours=1))
    paused, ended, running = shop.put_up(), shop.put_up(), shop.put_up()
    sales.pause(shop.database, paused.sale_id, "seller")
    sales.close(shop.database, ended.sale_id, "seller")
    phases = [
        shop.passer_by.get(f"/v1/sales/{sale.sale_id}").json["phase"] for sale in (coming, running, paused, ended, over)
    ]
    assert phases == ["scheduled", "open", "paused", "closed", "closed"]


def until_it_says(shop: Shop, path: str, member: str, value: object) -> None:
    """The page is a second old at the most; the deadline only ends a test that would hang."""
    deadline = time.monotonic() + 30
    while (told := shop.passer_by.get(path).json[member]) != value:
        assert time.monotonic() < deadline, told
        time.sleep(0.05)


def test_the_page_follows_the_stock_and_the_waitlist(shop: Shop) -> None:
    sale = shop.put_up(stock=2, waitlist_limit=1)
    path = f"/v1/sales/{sale.sale_id}"
    assert shop.passer_by.get(path).json["stock_left"] == "plenty"
    shop.buyer().order(sale, units=2)
    until_it_says(shop, path, "stock_left", "none")
    assert shop.passer_by.get(path).json["waitlist_open"] is True
    shop.buyer().order(sale)
    until_it_says(shop, path, "waitlist_open", False)
    sales.restock(shop.database, sale.sale_id, 3, "key", "seller")
    until_it_says(shop, path, "stock_left", "some")


@pytest.mark.parametrize(
    ("available", "stock", "step"),
    [
        (0, 1_000, "none"),
        (0, 0, "none"),
        (1, 1_000, "few"),
        (99, 1_000, "few"),
        (100, 1_000, "some"),
        (499, 1_000, "some"),
        (500, 1_000, "plenty"),
        (1_000, 1_000, "plenty"),
        (1, 1, "plenty"),
    ],
)
def test_the_stock_is_told_in_coarse_steps(available: int, stock: int, step: str) -> None:
    assert stock_left(available, stock) == step


@pytest.mark.parametrize(
    "sale_id", ["no-such-sale", "x" * 3_000, "%00", "%F0%9F%8D%94", "%ff", "UPPER", "a b", "' OR 1=1"]
)
def test_a_sale_that_is_none_is_404_and_no_cache_keeps_that(shop: Shop, sale_id: str) -> None:
    problem(shop.passer_by.get(f"/v1/sales/{sale_id}"), 404, "sale-not-found")


def test_a_sale_that_was_not_there_is_seen_when_a_sight_of_it_would_be_too_old(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment_ms = 200
    monkeypatch.setattr(public, "MAX_AGE_MS", moment_ms)
    terms = shop.terms()
    problem(shop.passer_by.get(f"/v1/sales/{terms['sale_id']}"), 404, "sale-not-found")
    shop.put_up(**terms)
    time.sleep(moment_ms / 1000)
    assert shop.passer_by.get(f"/v1/sales/{terms['sale_id']}").status_code == 200
