"""The service's own addresses, and what every address has in common: problems, methods, headers."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from http_samples import Shop, problem

from app.http.app import create_app
from app.settings import Settings
from app.storage.database import connect
from app.storage.schema import SCHEMA_ROOT, apply

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def addresses(shop: Shop) -> dict[str, set[str]]:
    """Every address with its methods, the ids filled in."""
    found: dict[str, set[str]] = {}
    for rule in shop.client.application.url_map.iter_rules():
        path = rule.rule.replace("<sale_id>", "sale").replace("<order_id>", "order")
        path = path.replace("<version>", "1").replace("<path:path>", "base.css")
        assert "<" not in path
        found.setdefault(path, set()).update(rule.methods or ())
    return found


def test_a_method_that_an_address_does_not_take_is_405_and_names_those_that_it_does(shop: Shop) -> None:
    found = addresses(shop)
    assert len(found) > 12
    for path, methods in found.items():
        for method in set(METHODS) - methods:
            response = shop.client.open(path, method=method)
            problem(response, 405, "method-not-allowed")
            assert {name.strip() for name in response.headers["Allow"].split(",")} == methods


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1",
        "/v1/",
        "/v1/sales",
        "/v1/sales/",
        "/v1/sales/x/",
        "/v1/sales/x/orders/",
        "/v1/sales//orders",
        "//v1/orders",
        "/v1/orders/",
        "/v1/admin",
        "/v1/admin/sales/",
        "/v1/admin/sales/x/delete",
        "/v2/orders",
        "/V1/orders",
        "/healthz/",
        "/static/x",
        "/favicon.ico",
        "/.env",
        "/v1/sales/%2e%2e/%2e%2e/etc/passwd",
        "/%F0%9F%8D%94",
        "/%00",
    ],
)
def test_an_address_that_is_none_is_404_whatever_the_method(shop: Shop, path: str) -> None:
    for method in METHODS:
        problem(shop.client.open(path, method=method), 404, "not-found")


def test_every_answer_forbids_sniffing_and_framing(shop: Shop) -> None:
    sale = shop.put_up()
    for path in ("/healthz", "/readyz", "/docs", "/openapi.json", f"/v1/sales/{sale.sale_id}", "/v1/orders", "/none"):
        headers = shop.client.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff", path
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"], path


def test_a_fault_of_ours_is_a_500_that_tells_nothing_but_that(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def faulty(*_: Any, **__: Any) -> None:
        raise RuntimeError("secret of the inside")

    monkeypatch.setattr("app.http.orders.own_orders", faulty)
    response = shop.buyer().get("/v1/orders")
    assert "secret" not in str(problem(response, 500, "internal"))
    assert "secret of the inside" in caplog.text


def test_alive_without_a_database_but_ready_only_with_one_that_has_the_schema(settings: Settings) -> None:
    elsewhere = settings.model_copy(update={"spanner_database": "not-there-yet"})
    client = create_app(elsewhere).test_client()
    assert client.get("/healthz").json == {"status": "alive"}
    for _ in range(2):
        response = client.get("/readyz")
        assert "schema apply" in problem(response, 503, "storage-unavailable")["detail"]
        assert int(response.headers["Retry-After"]) > 0
    problem(client.get("/v1/sales/x"), 503, "storage-unavailable")
    apply(elsewhere, database_id="not-there-yet", folder=SCHEMA_ROOT / "orders")
    try:
        assert client.get("/readyz").json == {"status": "ready"}
        problem(client.get("/v1/sales/x"), 404, "sale-not-found")
    finally:
        connect(elsewhere).drop()
    problem(client.get("/readyz"), 503, "storage-unavailable")


@pytest.mark.parametrize("since", ["0008", "0009"])
def test_code_that_was_deployed_before_its_schema_is_not_ready(settings: Settings, tmp_path: Path, since: str) -> None:
    elsewhere = settings.model_copy(update={"spanner_database": "of-yesterday"})
    missing = [file.name for file in (SCHEMA_ROOT / "orders").iterdir() if file.name >= since]
    before = shutil.copytree(SCHEMA_ROOT / "orders", tmp_path / "orders", ignore=lambda *_: missing)
    apply(elsewhere, database_id="of-yesterday", folder=before)
    client = create_app(elsewhere).test_client()
    try:
        assert "schema apply" in problem(client.get("/readyz"), 503, "storage-unavailable")["detail"]
        apply(elsewhere, database_id="of-yesterday", folder=SCHEMA_ROOT / "orders")
        assert client.get("/readyz").json == {"status": "ready"}
    finally:
        connect(elsewhere).drop()


def test_when_the_database_is_gone_a_buyer_is_told_to_come_again(shop: Shop, settings: Settings) -> None:
    elsewhere = settings.model_copy(update={"spanner_database": "soon-gone"})
    apply(elsewhere, database_id="soon-gone", folder=SCHEMA_ROOT / "orders")
    database = connect(elsewhere)
    own = Shop(create_app(elsewhere).test_client(), shop.issuer, database)
    sale, buyer = own.put_up(), own.buyer()
    assert buyer.order(sale, "before").status_code == 201
    database.drop()
    answers = [buyer.order(sale, "after"), buyer.get("/v1/orders"), own.seller.get("/v1/admin/sales")]
    for response in answers:
        problem(response, 503, "storage-unavailable")
        assert int(response.headers["Retry-After"]) > 0
