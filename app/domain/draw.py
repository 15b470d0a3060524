"""The lottery's draw as a rule that anybody can work out again: from the seed, all the entries and the stock follows who won.

1. Before the first entry the service draws a seed and publishes its SHA-256: from then on it cannot choose another.
2. When no entry can come or go any more, the *digest* of all entries is taken: SHA-256 over the lines "<order id> <units>" in the
   ascending order of their ids, each ended by a line feed. So the order of reading and the shards have no say in it.
3. The *rank* of an entry is HMAC-SHA256 with the seed as the key, of the digest's 32 bytes and the order id. Ranks are compared as
   numbers; the smallest has place 1. Whoever does not know the seed cannot tell what an entry's rank will be, and each entry that
   comes or goes gives all others a new one.
4. By place, an entry wins if its units are still left. One that is too large for what is left does not block those behind it. Who
   does not win waits, in the same order, as long as the waitlist has room.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from app.domain.sale import Sale
from app.domain.states import Status, Transition, Trigger, transition

SEED_BYTES = 32
"""As many as the hash has: guessing the seed is as hard as breaking the hash."""

HEX_64 = re.compile("[0-9a-f]{64}")
"""A seed, a commitment or a digest as text."""


class DrawState(StrEnum):
    """How far a lottery is."""

    COMMITTED = "COMMITTED"
    SEALED = "SEALED"
    DRAWING = "DRAWING"
    DRAWN = "DRAWN"


class Result(StrEnum):
    """What the draw made of an entry. In the order in which entries are drawn."""

    WON = "won"
    WAITLISTED = "waitlisted"
    LAPSED = "lapsed"


@dataclass(frozen=True, slots=True)
class Draw:
    """A lottery's record, as stored. Only `state` and `commitment` are set before it is sealed; the seed when all are drawn."""

    sale_id: str
    state: DrawState
    commitment: str
    sealed_at: datetime | None
    stock: int | None
    waitlist_limit: int | None
    digest: str | None
    entries: int | None
    done_entries: int
    won_orders: int
    won_units: int
    seed: str | None
    drawn_at: datetime | None

    @property
    def is_drawn(self) -> bool:
        """Whether every entry has its result."""
        return self.state is DrawState.DRAWN


class Entry(NamedTuple):
    """An entry as the draw must know it."""

    order_id: str
    units: int


class Drawn(NamedTuple):
    """An entry with what the draw gave it; `place` is from 1."""

    place: int
    order_id: str
    units: int
    result: Result


def commitment_of(seed: bytes) -> str:
    """What is published of a seed before the draw: its SHA-256, hexadecimal."""
    return hashlib.sha256(seed).hexdigest()


class DrawBroken(Exception):
    """What is stored contradicts the lottery's record: somebody has written past the service. Nothing further is drawn."""

    def __init__(self, sale_id: str, says: str) -> None:
        """Say what contradicts it."""
        super().__init__(f"the draw of sale {sale_id!r} is broken: {says}")


class NotCanonical(Exception):
    """Entries did not come in the ascending order of their ids, each once: `order_id` is the one that broke it."""

    def __init__(self, order_id: str) -> None:
        """Name the entry."""
        super().__init__(f"entry {order_id} is out of order, or there twice")
        self.order_id = order_id


class EntriesDigest:
    """The digest of all entries, taken one by one in the ascending order of their ids; keeps nothing of them."""

    def __init__(self) -> None:
        """Of no entries yet."""
        self._hash = hashlib.sha256()
        self._last = ""
        self.entries = 0

    def take(self, entry: Entry) -> None:
        """Add an entry. Raises NotCanonical."""
        if entry.order_id <= self._last:
            raise NotCanonical(entry.order_id)
        self._last = entry.order_id
        self._hash.update(b"%s %d\n" % (entry.order_id.encode(), entry.units))
        self.entries += 1

    @property
    def hex(self) -> str:
        """The digest of what was taken so far."""
        return self._hash.hexdigest()


def digest_of(entries: Iterable[Entry]) -> EntriesDigest:
    """The digest of entries that come in the ascending order of their ids. Raises NotCanonical."""
    digest = EntriesDigest()
    for entry in entries:
        digest.take(entry)
    return digest


def rank_of(seed: bytes, digest: str, order_id: str) -> bytes:
    """The rank of an entry, 32 bytes that compare as the number they are."""
    return hmac.digest(seed, bytes.fromhex(digest) + order_id.encode(), "sha256")


class Allotment:
    """Gives results to entries that come by place."""

    def __init__(self, stock: int, waitlist_limit: int) -> None:
        """Units to give, and orders that may wait."""
        self._left = stock
        self._room = waitlist_limit

    def result(self, units: int) -> Result:
        """The next entry's result."""
        if units <= self._left:
            self._left -= units
            return Result.WON
        if self._room > 0:
            self._room -= 1
            return Result.WAITLISTED
        return Result.LAPSED


def allot(entries: Iterable[Entry], stock: int, waitlist_limit: int) -> Iterator[Drawn]:
    """The results of entries that come in the order of their ranks."""
    allotment = Allotment(stock, waitlist_limit)
    for place, entry in enumerate(entries, start=1):
        yield Drawn(place, entry.order_id, entry.units, allotment.result(entry.units))


def draw_step(sale: Sale, result: Result) -> tuple[Trigger, Transition]:
    """What the draw's result does to an entry."""
    trigger = {
        Result.WON: Trigger.DRAW_FREE if sale.is_free else Trigger.DRAW,
        Result.WAITLISTED: Trigger.WAITLIST,
        Result.LAPSED: Trigger.LAPSE,
    }[result]
    return trigger, transition(Status.ENTERED, trigger)
