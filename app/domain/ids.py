"""Names derived from what they name: the order's id, the fingerprint of a request, the outbox shard of an order."""

import hashlib
import re
import uuid
import zlib

ORDER_NAMESPACE = uuid.UUID("5b6f0c5e-8a53-5d2b-9d0a-0f1f6f6d7a10")
"""Namespace of order ids (RFC 9562, version 5)."""

_NAMESPACE_BYTES = ORDER_NAMESPACE.bytes
_VARIANT = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))

OUTBOX_SHARD_COUNT = 16
"""Fixed for the life of a database: relays keep a cursor for each, and one order's events must stay in one of them."""


def order_id(sale_id: str, customer_id: str, idempotency_key: str) -> str:
    """The id of the order that this customer's key names in this sale; a retry computes the same one.

    The customer's length is part of the name, so that no customer and key can spell another pair's name.
    """
    return _uuid5(f"{sale_id}\n{len(customer_id)}:{customer_id}\n{idempotency_key}")


def _uuid5(name: str) -> str:
    """`str(uuid.uuid5(ORDER_NAMESPACE, name))` in a quarter of its time; every request of a crowd pays for it."""
    h = hashlib.sha1(_NAMESPACE_BYTES + name.encode(), usedforsecurity=False).hexdigest()
    return f"{h[:8]}-{h[8:12]}-5{h[13:16]}-{_VARIANT[h[16]]}{h[17:20]}-{h[20:32]}"


_ORDER_ID = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def is_order_id(text: str) -> bool:
    """Whether a text has the form of an order id; any other names no order."""
    return _ORDER_ID.fullmatch(text) is not None


def fingerprint(units: int, payment_method: str | None) -> str:
    """What a request asked for, as 64 hex digits: the same key with another fingerprint is another request."""
    return hashlib.sha256(f"{units}\n{payment_method!r}".encode()).hexdigest()


def restock_id(sale_id: str, idempotency_key: str) -> str:
    """The id of the restock that this key names in this sale."""
    return _uuid5(f"restock\n{sale_id}\n{idempotency_key}")


def redemption_request_id(till_id: str, idempotency_key: str) -> str:
    """The id of the redemption that this key names at this till."""
    return _uuid5(f"redemption\n{len(till_id)}:{till_id}\n{idempotency_key}")


def outbox_shard(sale_id: str, shard_id: int) -> int:
    """The outbox shard of all events of the orders of one stock shard: an order keeps its shard, so its events stay in order."""
    return zlib.crc32(f"{sale_id}\n{shard_id}".encode()) % OUTBOX_SHARD_COUNT
