"""The short way for tokens whose header has been seen before: their signature and plain claims, and nothing else.

All tokens of an issuer's key have one and the same header, byte for byte. The JWT library takes each of them apart anew: of the
47 µs of a verification 28 are spent on what the header has settled already (in a worker under load, 70 of 114; `scripts/bench
budget`). So the library judges the first token of a header, whole, and what it has found, the key and the algorithm, is
remembered for that header. A later token with these very bytes needs only the signature, by the library's own algorithm. This
way only ever says yes: whatever is not plain is for the library to judge, and each refusal is the library's.
"""

import base64
import binascii
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt
import orjson
from jwt.algorithms import Algorithm

REMEMBERED_SECONDS = 60.0
"""So much longer than the key source itself trusts a key that its issuer has withdrawn."""

MAX_HEADERS = 16
"""An issuer has one or two keys at a time. Only a token that was verified whole puts a header here."""


@dataclass(frozen=True, slots=True)
class _Signed:
    """How tokens of one header are signed."""

    algorithm: Algorithm
    key: Any
    until: float


class KnownHeaders:
    """Headers of tokens that the library has verified; thread-safe, for each step is one of a dict."""

    def __init__(self) -> None:
        """No header is known yet."""
        self._signed: dict[str, _Signed] = {}

    def learn(self, token: str, key: Any) -> None:
        """Remember how this token is signed: the library has just verified it, whole, with this key."""
        if len(self._signed) >= MAX_HEADERS:
            self._signed.clear()
        algorithm = jwt.get_algorithm_by_name(jwt.get_unverified_header(token)["alg"])
        material = algorithm.prepare_key(key.key if isinstance(key, jwt.PyJWK) else key)
        header = token.partition(".")[0]
        self._signed[header] = _Signed(algorithm, material, time.monotonic() + REMEMBERED_SECONDS)

    def claims(self, token: str) -> Mapping[str, Any] | None:
        """The claims of a token that is signed as its header's others were; None when that cannot be said."""
        header, _, rest = token.partition(".")
        signed = self._signed.get(header)
        if signed is None or signed.until < time.monotonic():
            return None
        payload, _, signature = rest.partition(".")
        try:
            if not signed.algorithm.verify(f"{header}.{payload}".encode(), signed.key, _decoded(signature)):
                return None
            claims = orjson.loads(_decoded(payload))
        except ValueError:
            return None
        return claims if isinstance(claims, dict) else None


def _decoded(segment: str) -> bytes:
    """The bytes of a segment in the one spelling that RFC 7515 allows them. Raises ValueError for any other."""
    text = segment.encode()
    try:
        data = base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    except binascii.Error as error:
        raise ValueError from error
    # The decoder passes over what is not of its alphabet, and over bits that no byte has.
    if base64.urlsafe_b64encode(data).rstrip(b"=") != text:
        raise ValueError("not canonical")
    return data
