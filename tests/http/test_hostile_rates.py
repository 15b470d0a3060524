"""Floods: one customer's, one address's; each is told so, costs nobody else anything, and comes through at the set rate."""

import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from http_samples import Caller, Shop, problem
from werkzeug.test import TestResponse

from app.http.app import create_app
from app.http.rate_limits import client_address
from app.settings import Settings
from app.storage.database import FairdropDatabase

BURST = 5
Opened = Callable[..., Shop]


@pytest.fixture
def limited(settings: Settings, database: FairdropDatabase, shop: Shop) -> Opened:
    """A service of its own with these limits."""

    def opened(**limits: float) -> Shop:
        own = settings.model_copy(update=limits)
        return Shop(create_app(own).test_client(), shop.issuer, database)

    return opened


def refused(response: TestResponse, limited_by: str) -> int:
    """A clear refusal; its Retry-After."""
    body = problem(response, 429, "rate-limited")
    assert body["limited_by"] == limited_by
    retry_after = int(response.headers["Retry-After"])
    assert retry_after >= 1
    assert response.headers["RateLimit-Policy"].startswith(f'"{limited_by}";q={BURST};w=')
    assert response.headers["RateLimit"] == f'"{limited_by}";r=0;t={retry_after}'
    return retry_after


def flood(caller: Caller, path: str = "/v1/orders", **options: Any) -> TestResponse:
    """Ask until refused; the refusal."""
    for _ in range(BURST + 1):
        response = caller.get(path, **options)
        if response.status_code == 429:
            return response
    return response


SLOWLY = {"customer_requests_per_second": 0.01, "customer_burst": BURST}


def test_a_customer_s_flood_is_refused_on_every_address_and_is_nobody_else_s_trouble(limited: Opened) -> None:
    shop = limited(**SLOWLY)
    sale, buyer = shop.put_up(), shop.buyer()
    refused(flood(buyer), "customer")
    with shop.nothing_written():
        refused(buyer.order(sale), "customer")
        refused(buyer.get(f"/v1/sales/{sale.sale_id}/orders/x/events"), "customer")
        refused(buyer.post(f"/v1/sales/{sale.sale_id}/orders/x/cancel"), "customer")
        refused(buyer.get("/v1/admin/sales"), "customer")
    assert shop.buyer().order(sale).status_code == 201
    # What everybody may know needs no customer, and a seller is no crowd.
    assert buyer.get(f"/v1/sales/{sale.sale_id}").status_code == 200
    assert [shop.seller.get("/v1/admin/sales").status_code for _ in range(3 * BURST)] == [200] * 3 * BURST


def test_the_same_request_is_let_in_after_its_retry_after_though_the_flood_goes_on(limited: Opened) -> None:
    shop = limited(customer_requests_per_second=0.5, customer_burst=BURST)
    sale, buyer = shop.put_up(), shop.buyer()
    flood(buyer)
    wait = refused(buyer.order(sale, "mine"), "customer")
    until = time.monotonic() + wait
    while time.monotonic() < until:
        buyer.get("/v1/orders")
        buyer.order(sale, "another", units=9)
        time.sleep(0.1)
    assert buyer.order(sale, "mine").status_code == 201


def test_a_forged_token_uses_up_nothing_of_the_customer_s(limited: Opened, settings: Settings) -> None:
    shop = limited(**SLOWLY)
    sale, buyer = shop.put_up(), shop.buyer("victim")
    forged = jwt.encode({"sub": "victim", "exp": 2**40}, "x" * 32, "HS256")
    for _ in range(BURST * 3):
        problem(Caller(shop.client, forged).order(sale), 401, "unauthenticated")
    assert buyer.order(sale).status_code == 201


def test_an_address_is_refused_before_its_token_is_looked_at_and_health_checks_never(limited: Opened) -> None:
    shop = limited(address_requests_per_second=0.01, address_burst=BURST)
    nobody = Caller(shop.client, "no token at all")
    for _ in range(BURST):
        problem(nobody.get("/v1/orders"), 401, "unauthenticated")
    for path in ("/v1/orders", "/none", "/docs", "/openapi.json"):
        refused(nobody.get(path), "address")
    refused(shop.buyer().get("/v1/orders"), "address")
    for _ in range(BURST):
        assert nobody.get("/healthz").status_code == 200
        assert nobody.get("/readyz").status_code == 200
    elsewhere = {"environ_overrides": {"REMOTE_ADDR": "198.51.100.7"}}
    assert shop.buyer().get("/v1/orders", **elsewhere).status_code == 200


@pytest.mark.parametrize("proxies", [0, 2])
def test_what_a_client_says_of_its_own_address_does_not_help_it(limited: Opened, proxies: int) -> None:
    shop = limited(address_requests_per_second=0.01, address_burst=BURST, forwarded_addresses=proxies)
    buyer = shop.buyer()
    answers = [
        buyer.get("/v1/orders", headers={"X-Forwarded-For": f"10.0.0.{number}, 203.0.113.9, 35.191.0.1"})
        for number in range(BURST + 1)
    ]
    refused(answers[-1], "address")
    other = buyer.get("/v1/orders", headers={"X-Forwarded-For": "203.0.113.9, 203.0.113.10, 35.191.0.1"})
    assert other.status_code == (200 if proxies else 429)


@pytest.mark.parametrize(
    ("forwarded", "proxies", "counted"),
    [
        (None, 0, "192.0.2.1"),
        ("203.0.113.9", 0, "192.0.2.1"),
        ("203.0.113.9", 1, "203.0.113.9"),
        ("10.0.0.1,203.0.113.9 , 35.191.0.1", 2, "203.0.113.9"),
        # Fewer than our own proxies write: it did not come through them.
        ("203.0.113.9", 2, "192.0.2.1"),
        ("", 1, "192.0.2.1"),
        (None, 2, "192.0.2.1"),
        (",,,", 2, "192.0.2.1"),
        ("203.0.113.9:4711", 1, "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", 1, "20010db800010002/64"),
        ("2001:db8:1:2::9", 1, "20010db800010002/64"),
        ("::ffff:203.0.113.9", 1, "203.0.113.9"),
        ("x" * 5_000, 1, "x" * 45),
        ("a:b:c", 1, "a:b:c"),
    ],
)
def test_the_address_that_counts(forwarded: str | None, proxies: int, counted: str) -> None:
    environ = {"REMOTE_ADDR": "192.0.2.1"}
    if forwarded is not None:
        environ["HTTP_X_FORWARDED_FOR"] = forwarded
    assert client_address(environ, proxies) == counted


def test_limits_of_0_limit_nothing(limited: Opened) -> None:
    shop = limited(customer_requests_per_second=0.0, customer_burst=1)
    buyer = shop.buyer()
    assert [buyer.get("/v1/orders").status_code for _ in range(20)] == [200] * 20
