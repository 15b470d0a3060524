"""The keys of claim codes: one signs, and its public half and those of earlier keys verify. No call is made, nothing is stored.

A code is derived from its order whenever it is shown, so taking an order costs no write for it; Ed25519 makes the same code
of the same order each time (RFC 8032).
"""

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from app.domain.claims import KEY_ID_BYTES, Claim, code_of, message_of, read_code
from app.domain.errors import ClaimCodeInvalid
from app.domain.orders import Order
from app.domain.redemption import claim_of
from app.settings import Settings

DEVELOPMENT_KEY = sha256(b"fairdrop: the claim key of development, known to everybody").digest()
"""Everybody can sign with it, which is why production refuses it."""

KEY_HEX_DIGITS = 64


class ClaimKeyRefused(Exception):
    """A claim key of the settings cannot be used. The message never repeats it."""


class ClaimVerifier:
    """Verifies codes by public keys: all that a till needs."""

    def __init__(self, public_keys: Iterable[bytes]) -> None:
        """Verify by these, 32 bytes each. Raises ClaimKeyRefused."""
        self.public_keys: Mapping[bytes, bytes] = {key_id_of(key): key for key in public_keys}
        try:
            self._keys = {name: Ed25519PublicKey.from_public_bytes(key) for name, key in self.public_keys.items()}
        except ValueError as error:
            raise ClaimKeyRefused(f"a public claim key cannot be used: {error}") from None

    def verify(self, code: str) -> Claim:
        """What a code says, once its signature holds; about 80 µs. Raises ClaimCodeInvalid."""
        signed = read_code(code)
        key = self._keys.get(signed.key_id)
        if key is None:
            raise ClaimCodeInvalid(reason="no key that we know has signed it, or it is damaged or mistyped")
        try:
            key.verify(signed.signature, signed.message)
        except InvalidSignature:
            raise ClaimCodeInvalid(reason="its signature does not hold: it is forged, damaged or mistyped") from None
        return signed.claim


class ClaimKeys(ClaimVerifier):
    """Signs codes, and verifies those of this key and of earlier ones."""

    def __init__(self, private_key: bytes, earlier: Iterable[bytes] = ()) -> None:
        """Sign with this key of 32 bytes; `earlier` are public."""
        self._private = Ed25519PrivateKey.from_private_bytes(private_key)
        public = self._private.public_key().public_bytes_raw()
        super().__init__([public, *earlier])
        self.key_id = key_id_of(public)

    @classmethod
    def load(cls, settings: Settings) -> Self:
        """The keys of the settings. Raises ClaimKeyRefused."""
        text = settings.claim_key.get_secret_value().strip()
        private = _key(text, "FAIRDROP_CLAIM_KEY") if text else DEVELOPMENT_KEY
        if settings.environment == "production" and private == DEVELOPMENT_KEY:
            raise ClaimKeyRefused("FAIRDROP_CLAIM_KEY must be set in production: the development key is refused there")
        return cls(private, public_keys_of(settings.claim_public_keys))

    def sign(self, claim: Claim) -> str:
        """The code of a claim; about 30 µs."""
        message = message_of(claim, self.key_id)
        return code_of(message, self._private.sign(message))

    def code_of(self, order: Order) -> str | None:
        """The code of a giveaway's order that is PLACED; no other order has one."""
        return self.sign(claim_of(order)) if order.is_claimable else None


def key_id_of(public_key: bytes) -> bytes:
    """What names a key in a code: the beginning of the SHA-256 of its public half."""
    return sha256(public_key).digest()[:KEY_ID_BYTES]


def public_keys_of(text: str) -> list[bytes]:
    """Public keys, 64 hex digits each, separated by commas. Raises ClaimKeyRefused."""
    return [_key(part.strip(), "a public claim key") for part in text.split(",") if part.strip()]


def _key(text: str, name: str) -> bytes:
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(text) != KEY_HEX_DIGITS or len(key) * 2 != KEY_HEX_DIGITS:
        raise ClaimKeyRefused(f"{name} must be {KEY_HEX_DIGITS} hex digits")
    return key
