"""A Bloom filter of order ids: says "surely not taken" from memory, so that a refusal never hides an order already taken.

Order ids are SHA-1 based (UUIDv5), so slices of the id itself serve as the independent hashes.
"""

BITS_PER_ORDER = 16
_SLICE_BITS = 28
"""Four slices of 28 bits; a filter above 2**28 bits (16 million orders) would need wider ones."""


class OrderIdFilter:
    """Remembers order ids in 16 bits each; about 0.25 % of the ids never added look added, none the other way round."""

    def __init__(self, expected_orders: int) -> None:
        """Make room for this many orders; more only raise the share of false alarms."""
        wanted = max(1024, expected_orders * BITS_PER_ORDER)
        self._mask = (1 << min(_SLICE_BITS, (wanted - 1).bit_length())) - 1
        self._bits = bytearray((self._mask + 1) // 8)

    def _places(self, order_id: str) -> tuple[int, int, int, int]:
        number = int(order_id.replace("-", ""), 16)
        # Bits 62, 63 (the variant) and 76 to 79 (the version) are the same in every id: both halves keep clear of them.
        high = number >> 80 << 12 | (number >> 64 & 0xFFF)
        mask = self._mask
        return (number & mask, (number >> _SLICE_BITS) & mask, high & mask, (high >> _SLICE_BITS) & mask)

    def add(self, order_id: str) -> None:
        """Remember an order id."""
        for place in self._places(order_id):
            self._bits[place >> 3] |= 1 << (place & 7)

    def may_contain(self, order_id: str) -> bool:
        """False: surely never added. True: perhaps added."""
        return all(self._bits[place >> 3] & (1 << (place & 7)) for place in self._places(order_id))
