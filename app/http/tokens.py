"""Who is asking: bearer tokens verified against the issuer's published keys, and remembered until they expire."""

import base64
import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import jwt
import orjson

from app.domain.orders import MAX_CUSTOMER_ID_LENGTH
from app.http.issuer_keys import IssuerKeys
from app.http.known_headers import KnownHeaders
from app.http.local_issuer import LocalIssuer
from app.services.concurrency import Concurrency, Threads
from app.settings import Settings

ALGORITHMS = ("RS256", "ES256")
"""Asymmetric ones only: nobody can sign with what we publish, and `none` is not among them."""

MAX_TOKEN_LENGTH = 4_096

ISSUER_AHEAD_SECONDS = 30.0
"""How far the issuer's clock may be ahead of ours before a fresh token counts as one that is not valid yet."""

SELLER = "seller"
TILL = "till"


class Unauthenticated(Exception):
    """No token, or one that does not hold; `reason` is safe to show and never repeats the token."""

    def __init__(self, reason: str) -> None:
        """Say why."""
        super().__init__(reason)
        self.reason = reason


class Forbidden(Exception):
    """The token holds, but lacks a role."""

    def __init__(self, role: str) -> None:
        """Say which role."""
        super().__init__(role)
        self.role = role


class IssuerUnavailable(Exception):
    """The issuer's keys cannot be fetched."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A verified token: whose it is, and what they may do. `expires_at` is in seconds of the epoch."""

    subject: str
    roles: frozenset[str]
    expires_at: float


class KeySource(Protocol):
    """Finds the key that a token claims to be signed with."""

    def get_signing_key_from_jwt(self, token: str) -> Any:
        """The key; raises jwt.PyJWTError when there is none."""


class TokenVerifier:
    """Verifies tokens; thread-safe. A token verified once is remembered, for a signature costs more than an order's decision.

    `now` tells the time by which tokens are valid, in seconds of the epoch.
    """

    def __init__(
        self, settings: Settings, concurrency: Concurrency | None = None, now: Callable[[], float] = time.time
    ) -> None:
        """Verify by the published keys, or by the local issuer's in development."""
        self.now = now
        self._issuer = settings.auth_issuer
        self._audience = settings.auth_audience
        self._capacity = settings.verified_token_cache_size
        # Two generations: to take the oldest out of one dict means to walk past the places of all that were taken out before it.
        self._known: dict[str, Identity] = {}
        self._known_before: dict[str, Identity] = {}
        self._lock = threading.Lock()
        self._known_headers = KnownHeaders()
        self._keys: KeySource
        if settings.auth_jwks_url:
            self._keys = IssuerKeys(settings.auth_jwks_url, concurrency or Threads())
        else:
            self._keys = LocalIssuer.load(settings)

    def verify(self, authorization: str | None) -> Identity:
        """The identity of an Authorization header. Raises Unauthenticated or IssuerUnavailable."""
        if not authorization or not authorization[:7].lower() == "bearer ":
            raise Unauthenticated("a bearer token is needed")
        token = authorization[7:].strip()
        known = self._known.get(token) or self._known_before.get(token)
        if known is not None and known.expires_at > self.now():
            return known
        if len(token) > MAX_TOKEN_LENGTH:
            raise Unauthenticated("the token is too long")
        identity = self._check(token)
        with self._lock:
            if 2 * len(self._known) >= self._capacity:
                self._known, self._known_before = {}, self._known
            if self._capacity:
                self._known[token] = identity
        return identity

    def claimed_subject(self, authorization: str | None) -> str | None:
        """Whom an unexpired token claims to be for, unverified: good for nothing but to look up what is no secret."""
        if not authorization or len(authorization) > MAX_TOKEN_LENGTH:
            return None
        try:
            payload = authorization[7:].split(".")[1]
            claims = orjson.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
            subject, expires_at = claims["sub"], claims["exp"]
        except (IndexError, KeyError, TypeError, ValueError):
            return None
        return subject if isinstance(subject, str) and isinstance(expires_at, int) and expires_at > self.now() else None

    def _check(self, token: str) -> Identity:
        claims = self._known_headers.claims(token)
        if claims is None or not self._is_plain(claims):
            claims = self._check_whole(token)
        try:
            expires_at = self._check_times(claims)
        except (ValueError, TypeError, OverflowError) as error:
            raise Unauthenticated("the token does not verify") from error
        return Identity(_subject(claims["sub"]), _roles(claims.get("roles")), expires_at)

    def _is_plain(self, claims: Mapping[str, Any]) -> bool:
        """Whether nothing is left for the library to judge: our issuer, us as the one audience, and all that must be there."""
        return (
            claims.get("iss") == self._issuer
            and claims.get("aud") == self._audience
            and "exp" in claims
            and "iat" in claims
            and isinstance(claims.get("sub"), str)
            and "jti" not in claims
        )

    def _check_whole(self, token: str) -> Mapping[str, Any]:
        """The claims of a token that the library finds in order, but for its times. Raises Unauthenticated or
        IssuerUnavailable.
        """
        try:
            key = self._keys.get_signing_key_from_jwt(token)
        except (jwt.PyJWKClientConnectionError, jwt.PyJWKSetError, OSError, ValueError) as error:
            # No answer, a broken one, or one that is no set of keys.
            raise IssuerUnavailable from error
        except jwt.PyJWTError as error:
            raise Unauthenticated("the token does not verify") from error
        try:
            claims: Mapping[str, Any] = jwt.decode(
                token,
                key,
                algorithms=list(ALGORITHMS),
                audience=self._audience,
                issuer=self._issuer,
                # The library would judge the times by this server's clock.
                options={
                    "require": ["exp", "iat", "sub"],
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
        except (jwt.InvalidAudienceError, jwt.InvalidIssuerError) as error:
            raise Unauthenticated("the token is for another service") from error
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError) as error:
            raise Unauthenticated("the token does not verify") from error
        self._known_headers.learn(token, key)
        return claims

    def _check_times(self, claims: Mapping[str, Any]) -> float:
        """When the token expires. Raises Unauthenticated, or ValueError for what is no time."""
        now, expires_at = self.now(), _seconds(claims["exp"])
        if expires_at <= now:
            raise Unauthenticated("the token has expired")
        if max(_seconds(claims["iat"]), _seconds(claims.get("nbf", 0))) > now + ISSUER_AHEAD_SECONDS:
            raise Unauthenticated("the token is not valid yet")
        return expires_at


def _seconds(value: object) -> float:
    """A time of a token, in seconds of the epoch."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("a time must be a number")
    return float(value)


def _subject(value: object) -> str:
    """The customer id: any text that fits a key column; NUL and lone surrogates fit none."""
    if not isinstance(value, str) or not 0 < len(value) <= MAX_CUSTOMER_ID_LENGTH:
        raise Unauthenticated(f"the token's sub must be a text of 1 to {MAX_CUSTOMER_ID_LENGTH} characters")
    if "\0" in value or (not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value)):
        raise Unauthenticated("the token's sub must be valid Unicode without NUL")
    return value


def _roles(value: object) -> frozenset[str]:
    return frozenset(role for role in value if isinstance(role, str)) if isinstance(value, list) else frozenset()
