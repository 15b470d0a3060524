"""Tokens of a real issuer: its published keys, their rotation, its outages; and what production refuses."""

from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from http_samples import Caller, Shop, problem
from jwks_server import ISSUER, Issuer, issuing, new_key
from pydantic import SecretStr, ValidationError

from app.http import issuer_keys, known_headers
from app.http.app import create_app
from app.http.local_issuer import LocalIssuer
from app.settings import Settings


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with issuing() as started:
        started.publish("first", new_key())
        yield started


@pytest.fixture
def open_shop(settings: Settings, issuer: Issuer, shop: Shop) -> Iterator[Shop]:
    """A service that trusts the issuer; made within the test, so that a test may set its patience before."""
    trusting = settings.model_copy(update={"auth_jwks_url": issuer.url, "auth_issuer": ISSUER})
    return Shop(create_app(trusting).test_client(), shop.issuer, shop.database)


def answer(shop: Shop, token: str) -> int:
    return Caller(shop.client, token).get("/v1/orders").status_code


def refused(shop: Shop, token: str) -> None:
    response = Caller(shop.client, token).get("/v1/orders")
    problem(response, 401, "unauthenticated")
    assert "WWW-Authenticate" in response.headers


def test_published_keys_are_trusted_of_either_kind_and_fetched_once(open_shop: Shop, issuer: Issuer) -> None:
    issuer.publish("curve", ec.generate_private_key(ec.SECP256R1()))
    assert issuer.fetches == 0
    for number in range(5):
        assert answer(open_shop, issuer.token("first", f"customer-{number}")) == 200
        assert answer(open_shop, issuer.token("curve", f"customer-{number}")) == 200
    assert issuer.fetches == 1


def test_neither_the_local_issuer_s_tokens_nor_a_stranger_s_are_trusted(
    open_shop: Shop, issuer: Issuer, settings: Settings
) -> None:
    stranger = Issuer()
    stranger.keys["first"] = new_key()
    refused(open_shop, stranger.token("first"))
    refused(open_shop, open_shop.issuer.token("somebody"))
    local = LocalIssuer.load(settings.model_copy(update={"auth_issuer": ISSUER}))
    refused(open_shop, local.token("somebody"))
    refused(open_shop, issuer.token("first", audience="another"))
    refused(open_shop, "no token")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys are looked up again at once, and forgotten at once."""
    monkeypatch.setattr(issuer_keys, "UNKNOWN_KEY_SECONDS", 0)
    monkeypatch.setattr(issuer_keys, "KEYS_KEPT_SECONDS", 1e-6)
    monkeypatch.setattr(known_headers, "REMEMBERED_SECONDS", 0.0)


@pytest.mark.usefixtures("impatient")
def test_a_new_key_is_found_and_one_that_is_withdrawn_is_trusted_no_longer(open_shop: Shop, issuer: Issuer) -> None:
    assert answer(open_shop, issuer.token("first", "early")) == 200
    issuer.publish("second", new_key())
    assert answer(open_shop, issuer.token("second")) == 200
    issuer.published.discard("first")
    refused(open_shop, issuer.token("first", "late"))
    assert answer(open_shop, issuer.token("second", "another")) == 200


def test_made_up_key_ids_do_not_become_a_flood_on_the_issuer(open_shop: Shop, issuer: Issuer) -> None:
    assert answer(open_shop, issuer.token("first")) == 200
    for number in range(20):
        issuer.keys[f"made up {number}"] = issuer.keys["first"]
        refused(open_shop, issuer.token(f"made up {number}"))
    assert issuer.fetches <= 2


@pytest.mark.parametrize(
    ("status", "broken"),
    [
        (500, b"oops"),
        (404, b"{}"),
        (200, b"<html>under maintenance</html>"),
        (200, b"\xff\xfe"),
        (200, b'{"keys": []}'),
        (200, b'{"keys": "none"}'),
        (200, b"{}"),
        (200, b""),
    ],
)
def test_an_issuer_that_answers_nonsense_is_unavailable_and_well_again_when_it_is(
    open_shop: Shop, issuer: Issuer, status: int, broken: bytes
) -> None:
    issuer.status, issuer.broken = status, broken
    sale = open_shop.put_up()
    with open_shop.nothing_written():
        response = Caller(open_shop.client, issuer.token("first")).order(sale)
    body = problem(response, 503, "issuer-unavailable")
    assert int(response.headers["Retry-After"]) > 0
    assert issuer.url not in response.text + body["detail"]
    issuer.status, issuer.broken = 200, None
    assert Caller(open_shop.client, issuer.token("first")).order(sale).status_code == 201


def test_an_issuer_that_is_down_stops_only_who_is_new(settings: Settings, shop: Shop) -> None:
    with issuing() as issuer:
        issuer.publish("first", new_key())
        trusting = settings.model_copy(update={"auth_jwks_url": issuer.url, "auth_issuer": ISSUER})
        open_shop = Shop(create_app(trusting).test_client(), shop.issuer, shop.database)
        other = Shop(create_app(trusting).test_client(), shop.issuer, shop.database)
        known = issuer.token("first", "known")
        assert answer(open_shop, known) == 200
    assert answer(open_shop, known) == 200
    response = Caller(other.client, known).get("/v1/orders")
    problem(response, 503, "issuer-unavailable")
    assert int(response.headers["Retry-After"]) > 0
    assert other.client.get("/healthz").status_code == 200
    assert other.client.get("/readyz").status_code == 200


def test_production_refuses_the_local_issuer_and_keys_that_come_in_the_clear(settings: Settings) -> None:
    for url in ("", "http://issuer.example/keys", "file:///etc/passwd", "HTTP://issuer.example"):
        with pytest.raises(ValidationError, match="FAIRDROP_AUTH_JWKS_URL"):
            Settings(environment="production", auth_jwks_url=url)
    production = Settings(environment="production", auth_jwks_url="https://issuer.example/keys")
    with pytest.raises(PermissionError):
        LocalIssuer.load(production)


def test_a_service_in_production_does_not_know_the_local_issuer_s_tokens(settings: Settings, shop: Shop) -> None:
    with issuing() as issuer:
        issuer.publish("first", new_key())
        production = settings.model_copy(
            update={"environment": "production", "auth_jwks_url": issuer.url, "claim_key": SecretStr("11" * 32)}
        )
        open_shop = Shop(create_app(production).test_client(), shop.issuer, shop.database)
        refused(open_shop, shop.issuer.token("somebody"))
