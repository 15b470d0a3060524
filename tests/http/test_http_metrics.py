"""Who may read the API's figures, and that they are what was answered."""

from http_samples import Shop, problem
from pydantic import SecretStr

from app.http.app import create_app
from app.settings import Settings


def lines(text: str) -> dict[str, float]:
    return {name: float(value) for name, value in (x.rsplit(" ", 1) for x in text.splitlines() if x[0] != "#")}


def test_every_answer_to_a_request_for_an_order_is_counted_by_its_name(shop: Shop) -> None:
    sale = shop.put_up(stock=1, limit_per_customer=1)
    before = lines(shop.client.get("/metrics").text)
    buyer = shop.buyer()
    assert [buyer.order(sale).status_code for _ in range(2)] == [201, 200]
    assert shop.buyer().order(sale).status_code == 409
    assert shop.passer_by.order(sale).status_code == 401
    assert buyer.order(sale, "other", units=0).status_code == 400
    after = lines(shop.client.get("/metrics").text)
    grown = {
        name.partition('"')[2].strip('"}'): count - before.get(name, 0)
        for name, count in after.items()
        if name.startswith("fairdrop_order_requests_total")
    }
    assert {name: count for name, count in grown.items() if count} == {
        "PLACED": 1,
        "replayed": 1,
        "sold-out": 1,
        "unauthenticated": 1,
        "invalid-request": 1,
    }
    count = "fairdrop_order_request_seconds_count"
    assert after[count] - before.get(count, 0) == sum(grown.values())
    assert after["fairdrop_commit_orders_count"] > before["fairdrop_commit_orders_count"]


def test_with_a_token_set_only_who_has_it_may_read(settings: Settings) -> None:
    client = create_app(settings.model_copy(update={"metrics_token": SecretStr("s3cret")})).test_client()
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer s3cret "}, {"Authorization": "ü"}):
        problem(client.get("/metrics", headers=headers), 401, "unauthenticated")
    assert client.get("/metrics", headers={"Authorization": "Bearer s3cret"}).status_code == 200


def test_production_shows_no_figures_without_a_token(settings: Settings) -> None:
    real = {
        "environment": "production",
        "auth_jwks_url": "https://issuer.example/keys",
        "claim_key": SecretStr("11" * 32),
    }
    client = create_app(settings.model_copy(update=real)).test_client()
    problem(client.get("/metrics"), 404, "not-found")
