"""Claim codes over HTTP: which answers carry one, and that it is redeemed once, whoever comes, however often."""

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from http_samples import CARD, Caller, Shop, problem
from werkzeug.test import TestResponse

from app.domain.redemption import claim_of
from app.domain.sale import Sale
from app.domain.settlement import OrderKey, Settlement
from app.domain.states import Trigger
from app.http.app import create_app
from app.services.audit.report import audit
from app.services.claim_keys import DEVELOPMENT_KEY, ClaimKeyRefused, ClaimKeys, ClaimVerifier
from app.services.orders import own_order
from app.services.settlement import settle
from app.settings import Settings
from app.storage.clock import DatabaseClock
from app.storage.database import FairdropDatabase

KEYS = ClaimKeys(DEVELOPMENT_KEY)
TILLS = 16
PATIENCE_SECONDS = 120.0


@pytest.fixture
def sale(shop: Shop) -> Sale:
    return shop.put_up(stock=5, waitlist_limit=5, limit_per_customer=2)


@pytest.fixture
def till(shop: Shop) -> Caller:
    return a_till(shop)


def a_till(shop: Shop) -> Caller:
    return Caller(shop.client.application.test_client(), shop.issuer.token("till-staff", ("till",)))


def code_of(response: TestResponse) -> str:
    code: str = response.json["claim_code"]
    return code


def redeem(till: Caller, code: str, key: str = "", till_id: str = "till-1") -> TestResponse:
    return till.post("/v1/redemptions", key=key or uuid.uuid4().hex, json={"code": code, "till_id": till_id})


def redeem_until_told(till: Caller, code: str, key: str, till_id: str = "till-1") -> TestResponse:
    """As the page for tills says: after a 503 the same again. The emulator takes one writer at a time, and aborts the others."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while (answer := redeem(till, code, key, till_id)).status_code == 503:
        assert time.monotonic() < give_up_at
    return answer


def test_every_answer_about_a_placed_order_of_a_giveaway_carries_the_same_code(shop: Shop, sale: Sale) -> None:
    buyer = shop.buyer()
    placed = buyer.order(sale, units=2)
    code, where = code_of(placed), placed.headers["Location"]
    claim = KEYS.verify(code)
    assert (claim.sale_id, claim.order_id, claim.units) == (sale.sale_id, placed.json["order_id"], 2)
    assert code_of(buyer.order(sale, units=2)) == code_of(buyer.get(where)) == code
    assert buyer.get("/v1/orders").json["orders"][0]["claim_code"] == code
    assert buyer.get(f"{where}?wait=1").json["claim_code"] == code
    # A server closes what it has sent; the test's client must do so itself, or somebody is watched for ever.
    with buyer.get(f"{where}/events") as events:
        assert f'"claim_code":"{code}"' in events.text


def test_no_other_order_has_a_code(shop: Shop) -> None:
    priced, empty = shop.put_up(unit_price_minor=5), shop.put_up(stock=0, waitlist_limit=1)
    pending, waiting = shop.buyer().order(priced, payment_method=CARD), shop.buyer().order(empty)
    assert (pending.json["status"], pending.json["claim_code"]) == ("PENDING", None)
    assert (waiting.json["status"], waiting.json["claim_code"]) == ("WAITLISTED", None)


def test_a_promoted_order_of_a_giveaway_gets_its_code(shop: Shop, till: Caller) -> None:
    sale = shop.put_up(stock=0, waitlist_limit=1)
    buyer = shop.buyer()
    where = buyer.order(sale).headers["Location"]
    shop.seller.post(f"/v1/admin/sales/{sale.sale_id}/restock", key="key", json={"units": 1})
    assert redeem(till, code_of(buyer.get(where))).status_code == 201


def test_a_code_is_redeemed_once_and_a_retry_gets_the_same_answer(shop: Shop, sale: Sale, till: Caller) -> None:
    buyer = shop.buyer()
    placed = buyer.order(sale, units=2)
    first = redeem(till, code_of(placed), "first")
    assert first.status_code == 201
    said = first.json
    assert (said["order_id"], said["units"], said["till_id"]) == (placed.json["order_id"], 2, "till-1")
    again = redeem(till, code_of(placed), "first")
    assert (again.status_code, again.json, again.headers["Idempotent-Replayed"]) == (200, said, "true")
    for other in (redeem(till, code_of(placed)), redeem(shop.seller, code_of(placed), "first", "till-2")):
        body = problem(other, 409, "already-redeemed")
        assert (body["redeemed_at"], body["till_id"]) == (said["redeemed_at"], "till-1")
    assert redeem(till, code_of(placed), "first").json == said
    cancelled = buyer.post(placed.headers["Location"] + "/cancel")
    problem(cancelled, 409, "transition-refused")
    assert buyer.get(placed.headers["Location"]).json["status"] == "PLACED"


def test_of_many_tills_at_once_exactly_one_redeems_a_code(shop: Shop, sale: Sale, database: FairdropDatabase) -> None:
    code = code_of(shop.buyer().order(sale))
    wishes = [(a_till(shop), f"key-{number}", f"till-{number % 8}") for number in range(TILLS)]
    with ThreadPoolExecutor(TILLS) as pool:
        answers = list(pool.map(lambda wish: redeem_until_told(wish[0], code, wish[1], wish[2]), wishes))
    # The winner may learn it from a retry: its first try was committed, and the answer was a 503.
    won = [place for place, answer in enumerate(answers) if answer.status_code in (200, 201)]
    assert len(won) == 1
    told = {problem(a, 409, "already-redeemed")["redeemed_at"] for a in answers if a.status_code not in (200, 201)}
    assert told == {answers[won[0]].json["redeemed_at"]}
    caller, key, till_id = wishes[won[0]]
    assert redeem(caller, code, key, till_id).json == answers[won[0]].json
    report = audit(database, sale.sale_id)
    (finding,) = [finding for finding in report.findings if finding.name == "a claim is redeemed once"]
    assert (report.verdict, finding.figures) == ("CLEAN", {"redemptions": 1, "redeemed_units": 1})


def test_one_till_that_sends_a_redemption_many_times_at_once_gets_one_answer(shop: Shop, sale: Sale) -> None:
    code = code_of(shop.buyer().order(sale))
    callers = [a_till(shop) for _ in range(TILLS // 2)]
    with ThreadPoolExecutor(len(callers)) as pool:
        answers = list(pool.map(lambda caller: redeem_until_told(caller, code, "one"), callers))
    assert {answer.status_code for answer in answers} <= {200, 201}
    assert [answer.status_code for answer in answers].count(201) <= 1
    assert len({answer.text for answer in answers}) == 1


def test_the_code_of_an_order_that_was_cancelled_is_refused(
    shop: Shop, till: Caller, database: FairdropDatabase
) -> None:
    sale = shop.put_up(stock=0, waitlist_limit=1)
    buyer = shop.buyer("cancels")
    order_id = buyer.order(sale).json["order_id"]
    key = OrderKey("cancels", sale.sale_id, order_id)
    settle(database, DatabaseClock(), [Settlement(key, Trigger.CANCEL, "test")], "test")
    code = KEYS.sign(claim_of(own_order(database, "cancels", sale.sale_id, order_id)))
    with shop.nothing_written():
        assert problem(redeem(till, code), 409, "claim-not-redeemable")["order_status"] == "CANCELLED"


def test_a_code_of_an_order_that_is_not_there_is_refused(shop: Shop, sale: Sale, till: Caller) -> None:
    claim = KEYS.verify(code_of(shop.buyer().order(sale)))
    wrong: list[dict[str, Any]] = [{"order_id": str(uuid.uuid4())}, {"units": 2}, {"seq": 9}, {"sale_id": "other"}]
    with shop.nothing_written():
        for change in wrong:
            fields = {name: getattr(claim, name) for name in claim.__slots__} | change
            body = problem(redeem(till, KEYS.sign(type(claim)(**fields))), 409, "claim-not-redeemable")
            assert body["order_status"] is None


def test_a_code_of_an_unknown_key_or_no_code_is_refused_and_nothing_is_written(
    shop: Shop, sale: Sale, till: Caller
) -> None:
    code = code_of(shop.buyer().order(sale))
    forged = ClaimKeys(bytes(32)).sign(KEYS.verify(code))
    with shop.nothing_written():
        for wrong in (forged, code[:-1], "FD1", "hello"):
            assert problem(redeem(till, wrong), 422, "claim-code-invalid")["reason"]
        problem(redeem(till, ""), 400, "invalid-request")
        problem(till.post("/v1/redemptions", key="k", json={"code": code, "till_id": "a b"}), 400, "invalid-request")
        problem(till.post("/v1/redemptions", json={"code": code, "till_id": "a"}), 400, "invalid-request")


def test_a_key_of_another_code_is_refused(shop: Shop, sale: Sale, till: Caller) -> None:
    one, other = (code_of(shop.buyer().order(sale)) for _ in range(2))
    key = uuid.uuid4().hex
    assert redeem(till, one, key).status_code == 201
    problem(redeem(till, other, key), 422, "idempotency-key-reused")
    assert redeem(till, other).status_code == 201


def test_only_tills_and_sellers_redeem(shop: Shop, sale: Sale) -> None:
    code = code_of(shop.buyer().order(sale))
    problem(redeem(shop.buyer(), code), 403, "forbidden")
    problem(redeem(shop.passer_by, code), 401, "unauthenticated")
    assert redeem(shop.seller, code).status_code == 201


def test_everybody_may_fetch_the_public_keys_and_verify_by_them(shop: Shop, sale: Sale) -> None:
    answer = shop.passer_by.get("/v1/claim-keys")
    listed = [bytes.fromhex(key["public_key"]) for key in answer.json["keys"]]
    assert ClaimVerifier(listed).verify(code_of(shop.buyer().order(sale))).sale_id == sale.sale_id
    assert answer.headers["Cache-Control"].startswith("public, max-age=")
    assert DEVELOPMENT_KEY.hex() not in answer.text


def test_an_api_in_production_does_not_start_with_the_development_key(settings: Settings) -> None:
    production = {"environment": "production", "auth_jwks_url": "https://issuer.example/keys"}
    with pytest.raises(ClaimKeyRefused):
        create_app(settings.model_copy(update=production))
