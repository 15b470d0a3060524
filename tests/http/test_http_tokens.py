"""Who is asking: every token that does not hold is a 401 that never repeats it, and a customer may have any name."""

import base64
import hashlib
import hmac
import time
from typing import Any

import jwt
import orjson
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.cloud.spanner_v1 import param_types
from http_samples import Caller, Shop, problem

from app.domain.sale import Sale
from app.http.local_issuer import LocalIssuer
from app.http.tokens import TokenVerifier, Unauthenticated
from app.services.concurrency import Threads
from app.services.readiness import DatabaseTime
from app.settings import Settings
from app.storage.clock import DatabaseClock
from app.storage.database import FairdropDatabase, connect

OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def claims(settings: Settings, **changes: Any) -> dict[str, Any]:
    now = int(time.time())
    good = {"iss": settings.auth_issuer, "aud": settings.auth_audience, "sub": "somebody", "iat": now, "exp": now + 600}
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def own_key(settings: Settings) -> rsa.RSAPrivateKey:
    key = serialization.load_pem_private_key((settings.state_dir / "issuer.pem").read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def signed(settings: Settings, headers: dict[str, Any] | None = None, **changes: Any) -> str:
    return jwt.encode(claims(settings, **changes), own_key(settings), "RS256", headers=headers)


def by_hand(header: dict[str, Any], body: dict[str, Any], signature: bytes) -> str:
    """A token that no library would make."""
    return b".".join(
        base64.urlsafe_b64encode(part).rstrip(b"=") for part in (orjson.dumps(header), orjson.dumps(body), signature)
    ).decode()


def signed_with_the_public_key(settings: Settings) -> str:
    public = own_key(settings).public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    unsigned = by_hand({"alg": "HS256", "typ": "JWT"}, claims(settings), b"").rstrip(".")
    signature = hmac.new(pem, unsigned.encode(), hashlib.sha256).digest()
    return unsigned + "." + base64.urlsafe_b64encode(signature).rstrip(b"=").decode()


def bad_tokens(settings: Settings) -> dict[str, str]:
    """Tokens that do not hold, by what is wrong with them."""
    good = signed(settings)
    header, body, signature = good.split(".")
    elsewhere = base64.urlsafe_b64encode(orjson.dumps(claims(settings, sub="victim"))).decode().rstrip("=")
    return {
        "another key": jwt.encode(claims(settings), OTHER_KEY, "RS256", headers={"kid": "local"}),
        "the public key as a secret": signed_with_the_public_key(settings),
        "alg none": by_hand({"alg": "none", "typ": "JWT"}, claims(settings), b""),
        "alg NONE": by_hand({"alg": "NONE", "typ": "JWT"}, claims(settings), b""),
        "no alg": by_hand({"typ": "JWT"}, claims(settings), b"x"),
        "another alg": jwt.encode(claims(settings), own_key(settings), "PS256"),
        "no signature": f"{header}.{body}.",
        "two parts": f"{header}.{body}",
        "another body": f"{header}.{elsewhere}.{signature}",
        "another signature": f"{header}.{body}.{signature[:-6]}AAAAAA",
        "no token": "x",
        "only dots": "..",
        "not base64": "\u00fc.\u00fc.\u00fc",
        "expired": signed(settings, exp=int(time.time()) - 1),
        "no expiry": signed(settings, exp=None),
        "expiry that is no number": signed(settings, exp="soon"),
        "not valid yet": signed(settings, nbf=int(time.time()) + 600),
        "issued in the future": signed(settings, iat=int(time.time()) + 600),
        "another audience": signed(settings, aud="another"),
        "no audience": signed(settings, aud=None),
        "another issuer": signed(settings, iss="https://issuer.example"),
        "no issuer": signed(settings, iss=None),
        "no subject": signed(settings, sub=None),
        "endless expiry": by_hand_signed(settings, b"1e400"),
        "an expiry beyond any clock": by_hand_signed(settings, b"1" + b"0" * 400),
        "too long": signed(settings, padding="x" * 4_096),
    }


def by_hand_signed(settings: Settings, expiry: bytes) -> str:
    """A token of our issuer, with an expiry that no library writes."""
    body = orjson.dumps(claims(settings, exp=None))[:-1] + b',"exp":' + expiry + b"}"
    return jwt.PyJWS().encode(body, own_key(settings), "RS256")


@pytest.fixture(scope="module")
def sale(shop: Shop) -> Sale:
    return shop.put_up(limit_per_customer=1)


@pytest.fixture(scope="module")
def secured(shop: Shop) -> list[tuple[str, str]]:
    """(method, path) of every address that needs a token, as the service documents it."""
    document = shop.client.get("/openapi.json").json
    found = [
        (method.upper(), path.format_map({"sale_id": "sale", "order_id": "order"}))
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        # In development the figures are for everybody; test_http_metrics has their token.
        if operation.get("security") and path != "/metrics"
    ]
    assert len(found) > 8
    return found


def challenged(response: Any) -> None:
    problem(response, 401, "unauthenticated")
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_token_that_does_not_hold_is_401_and_is_not_repeated(shop: Shop, settings: Settings, sale: Sale) -> None:
    with shop.nothing_written():
        for name, token in bad_tokens(settings).items():
            response = Caller(shop.client, token).order(sale)
            assert response.status_code == 401, name
            challenged(response)
            answer = response.text + str(response.headers)
            assert not any(part in answer for part in token.split(".") if len(part) > 3), name


def test_the_token_that_all_the_bad_ones_are_made_from_holds(shop: Shop, settings: Settings, sale: Sale) -> None:
    assert Caller(shop.client, signed(settings, sub="a good one")).order(sale).status_code == 201
    assert Caller(shop.client, signed(settings, {"kid": "another"}, sub="another")).order(sale).status_code == 201


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "Token x", "Bearer\tx", "bearer: x"]
)
def test_no_bearer_token_is_401(shop: Shop, sale: Sale, authorization: str | None) -> None:
    headers = {"Authorization": authorization} if authorization is not None else {}
    challenged(Caller(shop.client, None, headers).order(sale))


def test_every_address_that_needs_a_token_refuses_who_has_none(shop: Shop, secured: list[tuple[str, str]]) -> None:
    somebody = Caller(shop.client, jwt.encode({"sub": "x"}, OTHER_KEY, "RS256"))
    with shop.nothing_written():
        for method, path in secured:
            json = {"units": 1} if path.endswith("/orders") and method == "POST" else None
            for caller in (shop.passer_by, somebody):
                challenged(caller.call(method, path, key="key", json=json))


def test_every_seller_s_address_refuses_a_customer(shop: Shop, secured: list[tuple[str, str]]) -> None:
    paths = [(method, path) for method, path in secured if path.startswith("/v1/admin/")]
    assert len(paths) >= 8
    with shop.nothing_written():
        for method, path in paths:
            body = problem(shop.buyer().call(method, path, key="key", json={}), 403, "forbidden")
            assert "seller" in body["detail"]


@pytest.mark.parametrize("roles", ["seller", {"seller": True}, [["seller"]], ["Seller"], ["seller "], [1], None])
def test_only_a_list_with_the_very_word_makes_a_seller(shop: Shop, settings: Settings, roles: Any) -> None:
    problem(Caller(shop.client, signed(settings, roles=roles)).get("/v1/admin/sales"), 403, "forbidden")


def test_one_role_among_others_is_enough(shop: Shop, settings: Settings) -> None:
    seller = Caller(shop.client, signed(settings, roles=["auditor", 7, "seller"]))
    assert seller.get("/v1/admin/sales").status_code == 200


def test_a_token_that_was_good_is_refused_once_it_has_expired(shop: Shop, settings: Settings) -> None:
    for lifetime_seconds in (2, 15):  # the longer one for a machine too busy for the shorter
        caller = Caller(shop.client, signed(settings, exp=int(time.time()) + lifetime_seconds))
        if (answer := caller.get("/v1/orders")).status_code == 200:
            break
    assert answer.status_code == 200
    give_up = time.monotonic() + 60
    while answer.status_code == 200 and time.monotonic() < give_up:
        time.sleep(0.1)
        answer = caller.get("/v1/orders")
    challenged(answer)


def test_a_token_is_judged_by_the_clock_that_the_verifier_is_given_and_no_other(settings: Settings) -> None:
    later = TokenVerifier(settings, now=lambda: time.time() + 3_600)
    with pytest.raises(Unauthenticated, match="expired"):
        later.verify(f"Bearer {signed(settings)}")
    assert later.verify(f"Bearer {signed(settings, exp=int(time.time()) + 4_000)}").subject == "somebody"
    earlier = TokenVerifier(settings, now=lambda: time.time() - 3_600)
    with pytest.raises(Unauthenticated, match="not valid yet"):
        earlier.verify(f"Bearer {signed(settings)}")
    old = int(time.time()) - 3_600
    assert earlier.verify(f"Bearer {signed(settings, iat=old, exp=old + 60)}").subject == "somebody"


def test_the_database_is_asked_for_its_time_once_whatever_the_servers_clock_says(database: FairdropDatabase) -> None:
    clock = DatabaseClock()
    now = DatabaseTime(database, clock, Threads(), lambda: 1_000.0)
    assert now.seconds() == pytest.approx(time.time(), abs=60)
    proven = clock.proven
    now.seconds()
    assert clock.proven == proven


def test_an_issuer_whose_clock_is_a_little_ahead_is_believed(shop: Shop, settings: Settings) -> None:
    ahead = int(time.time()) + 15
    assert Caller(shop.client, signed(settings, iat=ahead, nbf=ahead)).get("/v1/orders").status_code == 200


def test_while_the_database_has_never_answered_the_servers_clock_judges_and_asks_no_oftener_than_it_may(
    settings: Settings,
) -> None:
    nowhere = connect(settings, "nowhere")
    now = DatabaseTime(nowhere, DatabaseClock(), Threads(), lambda: 1_000.0)
    assert [now.seconds(), now.seconds()] == [1_000.0, 1_000.0]
    assert nowhere.epoch == 1


@pytest.mark.parametrize(
    "customer_id",
    [
        "x",
        "\U0001f354\U0001f469\u200d\U0001f469\u200d\U0001f467",
        "O'Brien \"; DROP TABLE Orders; --",
        "`a` \\ %s {0} $1",
        "line\nfeed\r\tand tab",
        "\u05e9\u05dc\u05d5\u05dd \u202e\u0645\u0631\u062d\u0628\u0627",
        "e\u0301 is not \u00e9",
        "../../etc/passwd",
        " ",
        "\x01\x7f\ufffd\uffff",
        "m" * 128,
        "\U0001f354" * 128,
    ],
)
def test_a_customer_may_have_any_name(shop: Shop, sale: Sale, customer_id: str) -> None:
    buyer = shop.buyer(customer_id)
    placed = buyer.order(sale)
    assert placed.status_code == 201, placed.text
    assert buyer.order(sale).json == placed.json
    assert buyer.get(placed.headers["Location"]).json == placed.json
    assert buyer.get("/v1/orders").json["orders"] == [placed.json]
    assert [row[0] for row in orders_of(shop, customer_id)] == [placed.json["order_id"]]


def orders_of(shop: Shop, customer_id: str) -> list[Any]:
    with shop.database.snapshot() as reads:
        query = "SELECT OrderId FROM Orders WHERE CustomerId = @customer"
        types = {"customer": param_types.STRING}
        return list(reads.execute_sql(query, params={"customer": customer_id}, param_types=types))


@pytest.mark.parametrize("customer_id", ["", "n\0ul", "m" * 129, "\U0001f354" * 129, 7, None, ["x"], {"x": 1}, True])
def test_names_that_are_none_are_refused(shop: Shop, settings: Settings, sale: Sale, customer_id: Any) -> None:
    token = jwt.PyJWS().encode(orjson.dumps({**claims(settings), "sub": customer_id}), own_key(settings), "RS256")
    with shop.nothing_written():
        challenged(Caller(shop.client, token).order(sale))


@pytest.mark.parametrize("customer_id", [b"\\ud800", b"x\\udfffy"])
def test_half_a_surrogate_is_no_name_on_sale_or_sold_out(
    shop: Shop, settings: Settings, sale: Sale, customer_id: bytes
) -> None:
    body = orjson.dumps(claims(settings)).replace(b"somebody", customer_id)
    caller = Caller(shop.client, jwt.PyJWS().encode(body, own_key(settings), "RS256"))
    sold_out = shop.put_up(stock=0)
    problem(shop.buyer().order(sold_out), 409, "sold-out")
    with shop.nothing_written():
        challenged(caller.order(sale))
        assert caller.order(sold_out).status_code in (401, 409)


def test_when_all_is_sold_a_stranger_learns_no_more_than_everybody_may(shop: Shop, settings: Settings) -> None:
    """Sold out is public, and told without the cost of a signature; somebody's order is not."""
    sale, buyer = shop.put_up(stock=1), shop.buyer("the one who has it")
    assert buyer.order(sale, "key").status_code == 201
    thief = Caller(shop.client, jwt.encode(claims(settings, sub="the one who has it"), OTHER_KEY, "RS256"))
    problem(shop.buyer().order(sale), 409, "sold-out")
    for _ in range(3):
        challenged(thief.order(sale, "key"))
        challenged(shop.passer_by.order(sale, "key"))
    assert buyer.order(sale, "key").status_code == 200


def test_an_issuer_of_the_same_folder_signs_with_the_same_key(settings: Settings, shop: Shop) -> None:
    again = LocalIssuer.load(settings)
    assert Caller(shop.client, again.token("x")).get("/v1/orders").status_code == 200
    assert own_key(settings).key_size >= 2048
