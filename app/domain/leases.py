"""Who does what only one process may do: slots divided evenly among the living, by leases that run out by themselves. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Lease:
    """Who holds a slot, and until when by the database's clock."""

    holder: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Division:
    """What one member holds from now on, and what it gives back for others to take."""

    held: frozenset[str]
    given_back: frozenset[str]


def divide(
    slots: Sequence[str],
    leases: Mapping[str, Lease],
    members: Mapping[str, Lease],
    me: str,
    now: datetime,
) -> Division:
    """My slots: an even share among the living members, those that I hold first, then free ones.

    A slot is free when nobody has it or its lease has run out. A member with more than its share gives the last ones back.
    What does not divide evenly goes to the first members by name, one each.
    """
    living = sorted({name for name, lease in members.items() if lease.until > now} | {me})
    share, rest = divmod(len(slots), len(living))
    share += living.index(me) < rest
    mine = [slot for slot in slots if _holder(leases, slot, now) == me]
    free = [slot for slot in slots if _holder(leases, slot, now) is None]
    held = (mine + free)[:share]
    return Division(frozenset(held), frozenset(mine[share:]))


def _holder(leases: Mapping[str, Lease], slot: str, now: datetime) -> str | None:
    lease = leases.get(slot)
    return lease.holder if lease is not None and lease.until > now else None
