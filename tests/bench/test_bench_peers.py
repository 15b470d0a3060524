"""The peers of the bench do the work that they are compared by: a fast one that forgets would make a false figure."""

import uuid
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from app.bench import peer_servers, peers
from app.http.local_issuer import LocalIssuer
from app.settings import Settings, load_settings


@pytest.fixture(scope="module", params=["postgres", "redis_lua"])
def peer(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[FlaskClient, Settings]]:
    start = peer_servers.postgres if request.param == "postgres" else lambda: peer_servers.redis("always")
    try:
        server = start()
        address = server.__enter__()
    except peer_servers.PeerMissing as missing:
        pytest.skip(str(missing))
    state = tmp_path_factory.mktemp("peer")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(peers.ADDRESS_VARIABLE, address)
        patch.setenv("FAIRDROP_STATE_DIR", str(state))
        patch.setattr(peers, "CONNECTIONS", 2)
        if request.param == "postgres":
            with peers.psycopg.connect(address, autocommit=True) as connection:
                connection.execute(peers.POSTGRES_SCHEMA)
        app = getattr(peers, request.param)()
        yield app.test_client(), load_settings()
    server.__exit__(None, None, None)


def order(peer: tuple[FlaskClient, Settings], customer: str, key: str, units: int = 1):
    client, settings = peer
    token = LocalIssuer.load(settings).token(customer)
    return client.post(
        "/v1/sales/peer/orders",
        json={"units": units, "payment_method": "tok_visa"},
        headers={"Authorization": f"Bearer {token}", "Idempotency-Key": key},
    )


def test_a_peer_takes_an_order_and_finds_its_retry(peer):
    key = str(uuid.uuid4())
    first, again = order(peer, "ann", key), order(peer, "ann", key)
    assert first.status_code == 201
    assert again.status_code == 200
    assert again.json["order_id"] == first.json["order_id"]
    assert again.json["position"] == first.json["position"]


def test_a_peer_refuses_a_key_with_another_body(peer):
    key = str(uuid.uuid4())
    assert order(peer, "bea", key).status_code == 201
    assert order(peer, "bea", key, units=2).status_code == 422


def test_a_peer_keeps_the_limit_over_several_orders(peer):
    half = peers.LIMIT_PER_CUSTOMER // 2
    answers = [order(peer, "cleo", str(uuid.uuid4()), units=half).status_code for _ in range(3)]
    assert answers[:2] == [201, 201]
    assert answers[2] >= 400


def test_a_peer_gives_later_orders_later_places(peer):
    places = [order(peer, "dora", str(uuid.uuid4())).json["position"]["seq"] for _ in range(3)]
    assert places == sorted(places)
    assert len(set(places)) == 3
