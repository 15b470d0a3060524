"""The documents about the interface: a valid OpenAPI 3.1 document with every route and every problem, and a page for people."""

import re
from typing import Any

import pytest
from http_samples import CARD, Shop
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from app.http.problems import HTTP_PROBLEMS, PROBLEMS, TYPE_PREFIX

PAGE_FURNITURE = {"/docs.css"}


@pytest.fixture(scope="module")
def document(shop: Shop) -> Any:
    response = shop.client.get("/openapi.json")
    assert (response.status_code, response.content_type) == (200, "application/json")
    return response.json


def operations(document: Any) -> list[tuple[str, str, Any]]:
    return [(path, method, each) for path, methods in document["paths"].items() for method, each in methods.items()]


def test_the_document_is_valid_openapi_3_1(document: Any) -> None:
    assert document["openapi"].startswith("3.1.")
    OpenAPIV31SpecValidator(document).validate()


def test_every_route_is_in_the_document_and_nothing_else(shop: Shop, document: Any) -> None:
    routes = {
        (re.sub(r"<([^>]+)>", r"{\1}", rule.rule), method.lower())
        for rule in shop.client.application.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.rule not in PAGE_FURNITURE and not rule.endpoint.startswith("pages.")
    }
    assert {(path, method) for path, method, _ in operations(document)} == routes


def test_operations_have_a_name_of_their_own_and_a_summary(document: Any) -> None:
    names = [each["operationId"] for *_, each in operations(document)]
    assert len(names) == len(set(names)) > 12
    assert all(each["summary"] for *_, each in operations(document))


def test_every_problem_is_in_the_document_with_its_status(document: Any) -> None:
    said: dict[str, set[str]] = {}
    for *_, each in operations(document):
        for status, answer in each["responses"].items():
            if answer["description"].startswith("Problem: "):
                assert list(answer["content"]) == ["application/problem+json"]
                said.setdefault(status, set()).update(answer["description"].removeprefix("Problem: ").split(", "))
    for kind in PROBLEMS.values():
        assert kind.name in said.get(str(kind.status), set()), kind.name


def test_a_secured_operation_promises_401_and_a_seller_s_403(document: Any) -> None:
    for path, method, each in operations(document):
        assert ("401" in each["responses"]) == bool(each.get("security")), (method, path)
        assert ("403" in each["responses"]) == path.startswith(("/v1/admin/", "/v1/redemptions")), (method, path)
        if "requestBody" in each:
            assert {"400", "413", "415"} <= set(each["responses"]), (method, path)
        assert set(re.findall(r"{(\w+)}", path)) == {p["name"] for p in each["parameters"] if p["in"] == "path"}


def check(document: Any, path: str, method: str, response: Any) -> None:
    """The answer must be one that the document promises."""
    answers = document["paths"][path][method]["responses"]
    assert str(response.status_code) in answers, (path, method, response.text)
    content = answers[str(response.status_code)].get("content", {})
    assert response.content_type in content, (path, method, response.status_code)
    reference = content[response.content_type]["schema"]
    Draft202012Validator({**reference, "components": document["components"]}).validate(response.json)


def test_answers_are_as_the_document_describes_them(shop: Shop, document: Any) -> None:
    sale, buyer, seller = shop.put_up(unit_price_minor=100, stock=1, waitlist_limit=1), shop.buyer(), shop.seller
    orders, shown = "/v1/sales/{sale_id}/orders", "/v1/sales/{sale_id}/orders/{order_id}"
    admin = "/v1/admin/sales/{sale_id}"
    placed = buyer.order(sale, payment_method=CARD)
    check(document, orders, "post", placed)
    check(document, orders, "post", buyer.order(sale, payment_method=CARD))
    check(document, orders, "post", shop.buyer().order(sale, payment_method=CARD))
    for response in (
        shop.buyer().order(sale, payment_method=CARD),
        shop.buyer().order(sale, units=0),
        shop.buyer().order(sale, units=9),
        buyer.order(sale, units=2, payment_method=CARD),
        shop.passer_by.order(shop.put_up()),
        buyer.post(f"/v1/sales/{sale.sale_id}/orders", key="key", data=b"x" * 20_000, content_type="application/json"),
        buyer.post(f"/v1/sales/{sale.sale_id}/orders", key="key", data=b"x"),
    ):
        check(document, orders, "post", response)
    check(document, shown, "get", buyer.get(placed.headers["Location"]))
    check(document, shown, "get", shop.buyer().get(placed.headers["Location"]))
    check(document, shown + "/cancel", "post", buyer.post(placed.headers["Location"] + "/cancel"))
    check(document, "/v1/orders", "get", buyer.get("/v1/orders"))
    check(document, "/v1/sales/{sale_id}", "get", shop.passer_by.get(f"/v1/sales/{sale.sale_id}"))
    check(document, "/v1/sales/{sale_id}", "get", shop.passer_by.get("/v1/sales/none"))
    path = f"/v1/admin/sales/{sale.sale_id}"
    check(document, "/v1/admin/sales", "get", seller.get("/v1/admin/sales"))
    check(document, admin, "get", seller.get(path))
    check(document, admin, "get", buyer.get(path))
    check(document, admin + "/restock", "post", seller.post(path + "/restock", key="key", json={"units": 1}))
    for action in ("pause", "open", "close", "pause"):
        check(document, f"{admin}/{action}", "post", seller.post(f"{path}/{action}"))
    check(document, admin, "patch", seller.call("PATCH", path, json={"name": "Other"}))
    for path in ("/healthz", "/readyz"):
        check(document, path, "get", shop.passer_by.get(path))


def test_the_page_for_people_has_every_operation_schema_and_problem(shop: Shop, document: Any) -> None:
    response = shop.client.get("/docs")
    assert (response.status_code, response.content_type) == (200, "text/html; charset=utf-8")
    page = response.text
    for path, method, each in operations(document):
        assert f"<code>{method.upper()} {path}</code>" in page
        assert f'id="{each["operationId"]}"' in page
    for name in document["components"]["schemas"]:
        assert f'id="schema-{name}"' in page
    for kind in PROBLEMS.values():
        assert f"<code>{TYPE_PREFIX}{kind.name}</code>" in page
    for name, _title in HTTP_PROBLEMS.values():
        assert f"<code>{TYPE_PREFIX}{name}</code>" in page
    anchors = set(re.findall(r'href="#([^"]+)"', page))
    assert anchors <= set(re.findall(r'id="([^"]+)"', page))


def test_the_page_needs_nobody_else(shop: Shop) -> None:
    response = shop.client.get("/docs")
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert "unsafe" not in response.headers["Content-Security-Policy"]
    assert not re.search(r"""(?:src|href|action)\s*=\s*["']?(?:https?:)?//""", response.text)
    for tag in ("<script", "<iframe", " style=", " onclick=", "@import", '<link rel="preconnect'):
        assert tag not in response.text
    styles = re.findall(r'<link rel="stylesheet" href="([^"]+)"', response.text)
    assert styles
    for path in styles:
        style = shop.client.get(path)
        assert (style.status_code, style.mimetype) == (200, "text/css")
        assert "url(" not in style.text
        assert "@import" not in style.text
