"""A lottery's public record: what must hold of it, so that anybody can see that the draw was done as it says.

It has a head and the entries by place, and names nobody: an order's id says nothing of its customer. All but the digest is judged
row by row; the digest needs the entries in another order, which is for the caller to bring about.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from app.domain.audit.findings import Violation
from app.domain.draw import Allotment, Drawn, Entry, NotCanonical, Result, commitment_of, digest_of, rank_of

HEAD = "the head"


@dataclass(frozen=True, slots=True)
class RecordHead:
    """The first line of a record. `seed`, `commitment` and `digest` are 64 hexadecimal digits."""

    sale_id: str
    commitment: str
    seed: str
    digest: str
    stock: int
    waitlist_limit: int
    entries: int
    won_orders: int
    won_units: int


def head_breaks(head: RecordHead, commitment: str | None, digest: str | None) -> Iterator[Violation]:
    """The seed against the commitment; and both hashes against those that were noted before, if they are given."""
    if commitment_of(bytes.fromhex(head.seed)) != head.commitment:
        yield Violation(HEAD, f"seed {head.seed} is not the one that commitment {head.commitment} was made of")
    if commitment is not None and commitment != head.commitment:
        yield Violation(HEAD, f"commitment {head.commitment} is not {commitment}, which was published before")
    if digest is not None and digest != head.digest:
        yield Violation(HEAD, f"digest {head.digest} is not {digest}, which was published before")


def drawn_breaks(head: RecordHead, drawn: Iterable[Drawn]) -> Iterator[Violation]:
    """The entries, as they come, against their ranks, the stock and the waitlist; and what they add up to against the head."""
    seed = bytes.fromhex(head.seed)
    allotment = Allotment(head.stock, head.waitlist_limit)
    last: tuple[bytes, str] | None = None
    entries = won_orders = won_units = 0
    for entry in drawn:
        entries += 1
        name = f"order {entry.order_id}, place {entry.place}"
        if entry.place != entries:
            yield Violation(name, f"stands where place {entries} belongs")
        rank = (rank_of(seed, head.digest, entry.order_id), entry.order_id)
        if last is not None and rank <= last:
            yield Violation(name, f"has a smaller rank than order {last[1]} before it")
        last = rank
        expected = allotment.result(entry.units)
        if entry.result is not expected:
            yield Violation(name, f"is said to be {entry.result}; by its place it is {expected}")
        if entry.result is Result.WON:
            won_orders, won_units = won_orders + 1, won_units + entry.units
    said = (head.entries, head.won_orders, head.won_units)
    if said != (entries, won_orders, won_units):
        yield Violation(
            HEAD,
            "says {:,} entries, {:,} of which won {:,} units; ".format(*said)
            + f"there are {entries:,}, of which {won_orders:,} won {won_units:,}",
        )


def digest_breaks(head: RecordHead, by_id: Iterable[Entry]) -> Iterator[Violation]:
    """The digest of the entries, which come in the ascending order of their ids."""
    try:
        digest = digest_of(by_id)
    except NotCanonical as error:
        yield Violation(f"order {error.order_id}", "is there more than once")
        return
    if digest.hex != head.digest:
        yield Violation(HEAD, f"the digest of the entries is {digest.hex}, not {head.digest}")
