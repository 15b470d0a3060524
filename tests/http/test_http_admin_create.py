"""Creating and listing sales: every term has its bounds, named when they are passed, and nothing is half-written."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from http_samples import Shop, broken_rule, problem

from app.http.answer_models import SaleDetails, SaleTerms

NOW = datetime.now(UTC).replace(microsecond=123_456)


def body(shop: Shop, **changes: Any) -> dict[str, Any]:
    """A sale to create, as JSON; a change to `...` leaves the term out."""
    terms = {
        **shop.terms(),
        "opens_at": NOW.isoformat(),
        "closes_at": (NOW + timedelta(hours=1)).isoformat(),
        **changes,
    }
    return {name: value for name, value in terms.items() if value is not ...}


def create(shop: Shop, **changes: Any) -> Any:
    return shop.seller.post("/v1/admin/sales", json=body(shop, **changes))


def test_a_sale_is_created_with_the_terms_given_and_its_stock_spread(shop: Shop) -> None:
    terms = body(shop, stock=101, shard_count=4)
    response = shop.seller.post("/v1/admin/sales", json=terms)
    assert response.status_code == 201
    sale = response.json
    for name in set(terms) - {"opens_at", "closes_at"}:
        assert sale[name] == terms[name], name
    assert datetime.fromisoformat(sale["opens_at"]) == NOW
    assert (sale["phase"], sale["available"], sale["waiting"]) == ("open", 101, 0)
    assert sorted(shard["allocated"] for shard in sale["shards"]) == [25, 25, 25, 26]
    shown = shop.seller.get(f"/v1/admin/sales/{sale['sale_id']}").json
    assert shown == {**sale, "as_of": shown["as_of"]}
    assert shown["as_of"] > sale["as_of"]


def test_what_is_left_out_follows_from_the_stock(shop: Shop) -> None:
    left_out = ("limit_per_customer", "waitlist_limit", "expected_crowd", "shard_count", "hold_seconds", "policy")
    sale = create(shop, stock=1_000, cancel_window_seconds=..., **dict.fromkeys(left_out, ...)).json
    assert (sale["limit_per_customer"], sale["policy"], sale["hold_seconds"]) == (1, "fcfs", 600)
    assert (sale["waitlist_limit"], sale["cancel_window_seconds"]) == (1_000, 1_800)
    assert 1 <= sale["shard_count"] == len(sale["shards"])


def test_the_same_sale_again_is_200_and_other_terms_are_a_conflict(shop: Shop) -> None:
    terms = body(shop)
    first = shop.seller.post("/v1/admin/sales", json=terms)
    with shop.nothing_written():
        again = shop.seller.post("/v1/admin/sales", json=terms)
        assert (again.status_code, again.json) == (200, {**first.json, "as_of": again.json["as_of"]})
        for change in ({"name": "Other"}, {"stock": 99}, {"unit_price_minor": 1}, {"currency": "USD"}):
            problem(shop.seller.post("/v1/admin/sales", json={**terms, **change}), 409, "sale-exists")


def test_a_time_may_have_any_offset_and_is_the_same_moment(shop: Shop) -> None:
    terms = body(shop, opens_at="2026-01-01T12:00:00+05:30", closes_at="2026-01-01T00:00:00-08:00")
    sale = shop.seller.post("/v1/admin/sales", json=terms).json
    assert (sale["opens_at"][:19], sale["closes_at"][:19]) == ("2026-01-01T06:30:00", "2026-01-01T08:00:00")
    again = shop.seller.post("/v1/admin/sales", json={**terms, "opens_at": "2026-01-01T06:30:00Z"})
    assert again.status_code == 200


@pytest.mark.parametrize(
    ("opens_at", "closes_at", "phase"),
    [
        ("0001-01-01T00:00:00Z", "0001-01-02T00:00:00Z", "closed"),
        ("9999-12-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "scheduled"),
    ],
)
def test_a_sale_may_be_at_either_end_of_time(shop: Shop, opens_at: str, closes_at: str, phase: str) -> None:
    sale = create(shop, opens_at=opens_at, closes_at=closes_at).json
    assert (sale["phase"], sale["opens_at"][:10], sale["closes_at"][:10]) == (phase, opens_at[:10], closes_at[:10])
    assert shop.passer_by.get(f"/v1/sales/{sale['sale_id']}").json["phase"] == phase
    refusal = shop.buyer().post(f"/v1/sales/{sale['sale_id']}/orders", key="key", json={"units": 1})
    problem(refusal, 409, "sale-closed" if phase == "closed" else "sale-not-open")


BOUNDS = [
    ("stock", 0, 10**9),
    ("unit_price_minor", 0, 10**12),
    ("limit_per_customer", 1, 1_000),
    ("waitlist_limit", 0, 1_000_000),
    ("expected_crowd", 1, 10**9),
    ("shard_count", 1, 512),
    ("hold_seconds", 10, 7 * 24 * 3_600),
    ("cancel_window_seconds", 0, 30 * 24 * 3_600),
]


@pytest.mark.parametrize(("field", "low", "high"), BOUNDS)
def test_a_number_is_taken_at_its_bounds_and_refused_past_them(shop: Shop, field: str, low: int, high: int) -> None:
    for value in (low, high):
        response = create(shop, **{field: value})
        assert (response.status_code, response.json.get(field)) == (201, value), response.text
    with shop.nothing_written():
        for value, bound in ((low - 1, low), (high + 1, high), (10**30, high)):
            name, rule = broken_rule(create(shop, **{field: value}))
            assert name == field
            assert str(bound) in rule
        for other in (str(low), low + 0.5, True, [low], "x"):
            assert broken_rule(create(shop, **{field: other}))[0] == field


@pytest.mark.parametrize("field", ["sale_id", "name", "unit_price_minor", "currency", "stock", "opens_at", "closes_at"])
def test_what_no_sale_can_be_without_is_named(shop: Shop, field: str) -> None:
    with shop.nothing_written():
        assert broken_rule(create(shop, **{field: ...})) == (field, "Field required")
        assert broken_rule(create(shop, **{field: None}))[0] == field


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sale_id", ""),
        ("sale_id", "-x"),
        ("sale_id", "x-"),
        ("sale_id", "Upper"),
        ("sale_id", "with space"),
        ("sale_id", "x" * 64),
        ("sale_id", "new\nline"),
        ("sale_id", "x\n"),
        ("sale_id", "\u00fc"),
        ("sale_id", "a/b"),
        ("name", ""),
        ("name", "   "),
        ("name", "x" * 201),
        ("name", "nul\0"),
        ("name", "two\nlines"),
        ("name", "\x1b[2J"),
        ("name", 7),
        ("currency", "eur"),
        ("currency", "EURO"),
        ("currency", "ABC"),
        ("currency", "EUR\n"),
        ("currency", ""),
        ("policy", "auction"),
        ("policy", ""),
        ("opens_at", "tomorrow"),
        ("opens_at", "2026-01-01T12:00:00"),
        ("opens_at", "2026-01-01"),
        ("opens_at", 1_700_000_000),
        ("opens_at", "2026-13-01T00:00:00Z"),
        ("opens_at", "0001-01-01T00:00:00+23:59"),
        ("closes_at", "9999-12-31T23:59:59-23:59"),
        ("closes_at", ""),
        ("state", "CLOSED"),
        ("available", 1),
        ("unknown", 1),
    ],
)
def test_what_breaks_a_rule_is_named_and_nothing_is_written(shop: Shop, field: str, value: Any) -> None:
    with shop.nothing_written():
        response = create(shop, **{field: value})
        assert broken_rule(response)[0] == field


@pytest.mark.parametrize(
    "closes", [timedelta(0), timedelta(seconds=-1), timedelta(days=-400), timedelta(days=90, seconds=1)]
)
def test_a_sale_closes_after_it_opens_and_within_90_days(shop: Shop, closes: timedelta) -> None:
    with shop.nothing_written():
        assert broken_rule(create(shop, closes_at=(NOW + closes).isoformat()))[0] == "closes_at"
    assert create(shop, closes_at=(NOW + timedelta(days=90)).isoformat()).status_code == 201


@pytest.mark.parametrize(
    "name", ["\U0001f354 half price", "Crème brûlée", "'; DROP TABLE Sales; --", "\u202eRTL", "x" * 200, "<b>"]
)
def test_a_sale_may_have_any_name(shop: Shop, name: str) -> None:
    sale = create(shop, name=name).json
    assert shop.passer_by.get(f"/v1/sales/{sale['sale_id']}").json["name"] == name


def test_sales_are_listed_in_pages_by_id_each_once(shop: Shop) -> None:
    for _ in range(5):
        create(shop)
    whole = shop.seller.get("/v1/admin/sales?page_size=100").json["sales"]
    ids = [sale["sale_id"] for sale in whole]
    assert len(ids) >= 5
    assert ids == sorted(set(ids))
    for size in (1, 3, len(ids)):
        found, token = [], ""
        while token is not None:
            page = shop.seller.get(f"/v1/admin/sales?page_size={size}&page_token={token}").json
            assert 0 < len(page["sales"]) <= size
            found += page["sales"]
            token = page["next_page_token"]
        assert found == whole


def test_what_a_seller_sees_is_what_the_document_describes(shop: Shop) -> None:
    sale = create(shop).json
    assert set(sale) == set(SaleDetails.model_fields)
    SaleDetails.model_validate(sale)
    listed = shop.seller.get("/v1/admin/sales?page_size=100").json["sales"][0]
    assert set(listed) == set(SaleTerms.model_fields)
    SaleTerms.model_validate(listed)


def test_a_sale_that_is_none_is_404(shop: Shop) -> None:
    for sale_id in ("no-such-sale", "%00", "x" * 3_000, "%F0%9F%8D%94"):
        path = f"/v1/admin/sales/{sale_id}"
        problem(shop.seller.get(path), 404, "sale-not-found")
        problem(shop.seller.call("PATCH", path, json={"name": "x"}), 404, "sale-not-found")
        for action in ("open", "pause", "close"):
            problem(shop.seller.post(f"{path}/{action}"), 404, "sale-not-found")
        problem(shop.seller.post(f"{path}/restock", key="key", json={"units": 1}), 404, "sale-not-found")
