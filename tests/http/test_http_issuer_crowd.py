"""A crowd of greenlets whose tokens need the issuer's keys: one goes for them, and all get what it brings."""

import json
import time
from collections.abc import Callable
from typing import Any

import gevent
import jwt
import pytest
from jwks_server import ISSUER, Issuer, new_key

from app.http.greenlets import Greenlets
from app.http.tokens import IssuerUnavailable, TokenVerifier
from app.settings import Settings

CROWD = 200


@pytest.fixture
def issuer() -> Issuer:
    issuer = Issuer()
    issuer.publish("first", new_key())
    return issuer


@pytest.fixture
def come() -> list[str]:
    """The tokens of those of the crowd who have come."""
    return []


@pytest.fixture
def fetches(issuer: Issuer, come: list[str], monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When the issuer was asked. It takes until the whole crowd has come, and fails while its status is not 200."""
    asked: list[float] = []

    def fetch(client: jwt.PyJWKClient) -> Any:
        asked.append(time.monotonic())
        while len(come) < CROWD:
            gevent.sleep(0.001)
        if issuer.status != 200:
            raise jwt.PyJWKClientConnectionError("no answer")
        keys = json.loads(issuer.document())
        assert client.jwk_set_cache is not None
        client.jwk_set_cache.put(keys)
        client._last_successful_fetch = time.monotonic()
        return keys

    monkeypatch.setattr(jwt.PyJWKClient, "fetch_data", fetch)
    return asked


@pytest.fixture
def answers(settings: Settings, issuer: Issuer, come: list[str]) -> Callable[[], list[Any]]:
    """Lets a crowd with a token each be verified all at once; the error of each, or None."""
    own = settings.model_copy(update={"auth_jwks_url": "http://127.0.0.1:1/keys", "auth_issuer": ISSUER})
    verifier = TokenVerifier(own, Greenlets())
    tokens = [issuer.token("first", f"customer-{i}", own.auth_audience) for i in range(CROWD)]

    def verify(token: str) -> Exception | None:
        come.append(token)
        try:
            verifier.verify(f"Bearer {token}")
        except IssuerUnavailable as error:
            return error
        return None

    def ask() -> list[Any]:
        come.clear()
        crowd = [gevent.spawn(verify, token) for token in tokens]
        gevent.joinall(crowd)
        return [greenlet.get() for greenlet in crowd]

    return ask


def test_a_crowd_that_finds_no_keys_sends_one_request_to_the_issuer(
    fetches: list[float], answers: Callable[[], list[Any]]
) -> None:
    assert answers() == [None] * CROWD
    assert len(fetches) == 1


def test_a_crowd_is_told_together_that_the_issuer_does_not_answer_and_the_next_one_asks_again(
    fetches: list[float], issuer: Issuer, answers: Callable[[], list[Any]]
) -> None:
    issuer.status = 503
    assert all(isinstance(answer, IssuerUnavailable) for answer in answers())
    assert len(fetches) == 1
    issuer.status = 200
    assert answers() == [None] * CROWD
    assert len(fetches) == 2
