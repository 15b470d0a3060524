"""What a claim code says, and how it is written: an order of a giveaway, as a text that is short, typed easily, and signed.

The layout and the letters only; who signs and verifies is in `app/services/claim_keys.py`. `docs/claims.md` describes the same
for those who write tills.
"""

import base64
import binascii
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from struct import Struct

from app.domain.errors import ClaimCodeInvalid

PREFIX = "FD1"
"""What it is, and the version of the layout. It is signed with the rest."""

KEY_ID_BYTES = 4
SIGNATURE_BYTES = 64
MAX_CODE_LENGTH = 1_000
"""A code has at most some 260 letters; people may add spaces and dashes."""

MAX_NUMBER = 2**16 - 1
"""Of units, shard and place in the commit: each has a lower bound of its own in the domain."""

_FIXED = Struct(f">{KEY_ID_BYTES}s16sHHHQ")
_STANDARD, _CROCKFORD = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_TO_CROCKFORD = str.maketrans(_STANDARD, _CROCKFORD)
_FROM_CROCKFORD = str.maketrans(_CROCKFORD, _STANDARD)
_AS_TYPED = str.maketrans({"O": "0", "I": "1", "L": "1", "-": None, " ": None, "\n": None})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Claim:
    """What the holder of a code may fetch: `units` of an order, which its queue position finds without naming the customer."""

    sale_id: str
    order_id: str
    units: int
    placed_at: datetime
    shard_id: int
    seq: int


@dataclass(frozen=True, slots=True)
class SignedClaim:
    """A code taken apart; whether the signature holds is for the key named by `key_id` to say."""

    claim: Claim
    key_id: bytes
    message: bytes
    signature: bytes


def message_of(claim: Claim, key_id: bytes) -> bytes:
    """The bytes that are signed."""
    fixed = _FIXED.pack(
        key_id,
        uuid.UUID(claim.order_id).bytes,
        claim.units,
        claim.shard_id,
        claim.seq,
        (claim.placed_at - _EPOCH) // _MICROSECOND,
    )
    return PREFIX.encode() + fixed + claim.sale_id.encode()


def code_of(message: bytes, signature: bytes) -> str:
    """The code of a signed message: capital letters and digits only, as a QR code's denser mode takes them."""
    letters = base64.b32encode(message[len(PREFIX) :] + signature).decode().rstrip("=")
    return PREFIX + letters.translate(_TO_CROCKFORD)


def read_code(text: str) -> SignedClaim:
    """A code taken apart, as scanned or typed: small letters, spaces, dashes, and O, I and L for 0 and 1 are put right.

    Raises ClaimCodeInvalid for what is no code; it says nothing about the signature.
    """
    if len(text) > MAX_CODE_LENGTH:
        raise ClaimCodeInvalid(reason="it is too long")
    body = _letters(text)
    if len(body) <= _FIXED.size + SIGNATURE_BYTES:
        raise ClaimCodeInvalid(reason="it is too short")
    rest, signature = body[:-SIGNATURE_BYTES], body[-SIGNATURE_BYTES:]
    key_id, order, units, shard_id, seq, micros = _FIXED.unpack_from(rest)
    try:
        sale_id = rest[_FIXED.size :].decode("ascii")
        placed_at = _EPOCH + micros * _MICROSECOND
    except (UnicodeDecodeError, OverflowError):
        raise ClaimCodeInvalid(reason="it is damaged or mistyped") from None
    claim = Claim(sale_id, str(uuid.UUID(bytes=order)), units, placed_at, shard_id, seq)
    return SignedClaim(claim, key_id, PREFIX.encode() + rest, signature)


def _letters(text: str) -> bytes:
    """The bytes after the prefix. A byte string has exactly one spelling, so that no letter can be changed unseen."""
    typed = text.upper().strip().translate(_AS_TYPED)
    if not typed.startswith(PREFIX):
        raise ClaimCodeInvalid(reason=f"a claim code begins with {PREFIX}")
    letters = typed[len(PREFIX) :]
    if not set(letters) <= set(_CROCKFORD):
        raise ClaimCodeInvalid(reason="it has letters that no claim code has")
    standard = letters.translate(_FROM_CROCKFORD)
    try:
        body = base64.b32decode(standard + "=" * (-len(standard) % 8))
    except binascii.Error:
        raise ClaimCodeInvalid(reason="letters are missing") from None
    if base64.b32encode(body).decode().rstrip("=") != standard:
        raise ClaimCodeInvalid(reason="it is damaged or mistyped")
    return body
