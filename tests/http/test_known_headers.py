"""The short way of tokens whose header is known: it says of every token what the whole way says."""

import base64
import time
from pathlib import Path
from typing import Any

import jwt
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from app.http import known_headers
from app.http.known_headers import KnownHeaders
from app.http.tokens import ISSUER_AHEAD_SECONDS, TokenVerifier, Unauthenticated
from app.settings import Settings, load_settings

ISSUER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
HEADER = {"kid": "issuer"}
NOW = 1_800_000_000
"""Fixed: test ids must be the same in all the processes that share a run."""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder: Path = tmp_path_factory.mktemp("issuer")
    return load_settings().model_copy(update={"state_dir": folder, "verified_token_cache_size": 0})


class OneKey:
    """A key source that counts how often it is asked."""

    def __init__(self, key: Any) -> None:
        self.key = key
        self.asked = 0

    def get_signing_key_from_jwt(self, _token: str) -> Any:
        self.asked += 1
        return self.key


def verifier_of(settings: Settings, key: Any = None) -> tuple[TokenVerifier, OneKey]:
    verifier, keys = TokenVerifier(settings, now=lambda: NOW), OneKey(key or ISSUER_KEY.public_key())
    verifier._keys = keys
    return verifier, keys


def claims(settings: Settings, **changes: Any) -> dict[str, Any]:
    good = {
        "iss": settings.auth_issuer,
        "aud": settings.auth_audience,
        "sub": "b",
        "iat": NOW,
        "exp": NOW + 9,
    }
    return {name: value for name, value in {**good, **changes}.items() if value is not ...}


def token_of(settings: Settings, key: Any = ISSUER_KEY, algorithm: str = "RS256", **changes: Any) -> str:
    # Not by the library, which refuses to write some of what an attacker may send.
    header = {"alg": algorithm, "typ": "JWT", **HEADER}
    signing = b".".join(_segment(orjson.dumps(part)) for part in (header, claims(settings, **changes)))
    signer = jwt.get_algorithm_by_name(algorithm)
    return b".".join((signing, _segment(signer.sign(signing, key)))).decode()


def _segment(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def said_of(verifier: TokenVerifier, token: str) -> Any:
    try:
        return verifier.verify(f"Bearer {token}")
    except Unauthenticated as refusal:
        return refusal.reason


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"sub": "another"},
        {"roles": ["seller"]},
        {"roles": "seller"},
        {"aud": ["x", "fairdrop"]},
        {"aud": ["x"]},
        {"aud": "x"},
        {"aud": ...},
        {"aud": None},
        {"iss": "x"},
        {"iss": ...},
        {"iss": ["https://x"]},
        {"sub": ...},
        {"sub": ""},
        {"sub": 7},
        {"sub": None},
        {"sub": "nul\0"},
        {"exp": ...},
        {"exp": None},
        {"exp": NOW - 1},
        {"exp": "soon"},
        {"exp": True},
        {"exp": 1e300},
        {"iat": ...},
        {"iat": NOW + int(ISSUER_AHEAD_SECONDS) + 5},
        {"nbf": NOW + int(ISSUER_AHEAD_SECONDS) + 5},
        {"nbf": NOW},
        {"jti": "1"},
        {"jti": 1},
    ],
    ids=repr,
)
def test_a_verifier_that_knows_the_header_says_what_one_that_does_not_says(
    settings: Settings, changes: dict[str, Any]
) -> None:
    fresh, warm = verifier_of(settings)[0], verifier_of(settings)[0]
    assert said_of(warm, token_of(settings)) == said_of(fresh, token_of(settings))
    token = token_of(settings, **changes)
    assert said_of(warm, token) == said_of(verifier_of(settings)[0], token)


def test_of_a_known_header_only_the_signature_is_checked_and_no_key_is_asked_for(settings: Settings) -> None:
    verifier, keys = verifier_of(settings)
    for customer in ("a", "b", "c"):
        assert said_of(verifier, token_of(settings, sub=customer)).subject == customer
    assert keys.asked == 1


def test_a_token_of_another_key_under_a_known_header_is_refused(settings: Settings) -> None:
    verifier, _ = verifier_of(settings)
    said_of(verifier, token_of(settings))
    assert said_of(verifier, token_of(settings, OTHER_KEY)) == "the token does not verify"


@given(data=st.data())
def test_no_change_of_a_character_gets_through(settings: Settings, data: st.DataObject) -> None:
    verifier, _ = verifier_of(settings)
    token = token_of(settings)
    said_of(verifier, token)
    place = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(st.sampled_from("ABab01-_.=+/ é\0").filter(lambda letter: letter != token[place]))
    changed = token[:place] + letter + token[place + 1 :]
    for sent in (changed, token + letter, token[:place] + letter + token[place:]):
        # The header before it ends may be padded, as the library allows; it then is another header, judged whole.
        assert isinstance(said_of(verifier, sent), str) or sent.strip() == token


@pytest.mark.parametrize("tail", [".", ".e30", "=", "==", "\n", "~"])
def test_nothing_may_follow_the_signature(settings: Settings, tail: str) -> None:
    known = KnownHeaders()
    token = token_of(settings)
    known.learn(token, ISSUER_KEY.public_key())
    assert known.claims(token) == claims(settings)
    assert known.claims(token + tail) is None


def test_a_header_is_known_for_its_own_algorithm(settings: Settings) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    verifier, keys = verifier_of(settings, key.public_key())
    for _ in range(2):
        assert said_of(verifier, token_of(settings, key, "ES256")).subject == "b"
    assert keys.asked == 1
    assert said_of(verifier, token_of(settings, ISSUER_KEY, "RS256")) == "the token does not verify"


def test_a_published_key_is_remembered_with_the_algorithm_it_is_published_for(settings: Settings) -> None:
    published = jwt.PyJWK({**jwt.algorithms.RSAAlgorithm.to_jwk(ISSUER_KEY.public_key(), as_dict=True), "alg": "RS256"})
    verifier, keys = verifier_of(settings, published)
    for _ in range(2):
        assert said_of(verifier, token_of(settings)).subject == "b"
    assert keys.asked == 1
    assert said_of(verifier, token_of(settings, OTHER_KEY)) == "the token does not verify"


def test_a_withdrawn_key_is_asked_for_again_before_long(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    verifier, keys = verifier_of(settings)
    said_of(verifier, token_of(settings))
    keys.key = OTHER_KEY.public_key()
    later = time.monotonic() + known_headers.REMEMBERED_SECONDS + 1
    monkeypatch.setattr(known_headers.time, "monotonic", lambda: later)
    assert said_of(verifier, token_of(settings)) == "the token does not verify"
    assert said_of(verifier, token_of(settings, OTHER_KEY)).subject == "b"


def test_many_headers_take_no_more_room_than_they_may(settings: Settings) -> None:
    known = KnownHeaders()
    for number in range(3 * known_headers.MAX_HEADERS):
        token = jwt.encode(claims(settings), ISSUER_KEY, "RS256", headers={"kid": str(number)})
        known.learn(token, ISSUER_KEY.public_key())
        assert known.claims(token) is not None
    assert len(known._signed) <= known_headers.MAX_HEADERS


def test_the_latest_tokens_are_remembered_and_no_more_than_there_is_room_for(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    verifier = TokenVerifier(settings.model_copy(update={"verified_token_cache_size": 10}), now=lambda: NOW)
    verifier._keys = OneKey(ISSUER_KEY.public_key())
    tokens = [token_of(settings, sub=f"customer-{number}") for number in range(40)]
    for token in tokens:
        said_of(verifier, token)
        assert len(verifier._known) + len(verifier._known_before) <= 10
    checked: list[str] = []
    monkeypatch.setattr(verifier, "_check", checked.append)
    for token in tokens[-5:]:
        verifier.verify(f"Bearer {token}")
    assert not checked
    verifier.verify(f"Bearer {tokens[0]}")
    assert checked == [tokens[0]]
