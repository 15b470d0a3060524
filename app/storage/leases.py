"""The Leases table: rows `<group>/slot/<name>` and `<group>/member/<holder>`, times by the database's clock."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from google.cloud.spanner_v1 import COMMIT_TIMESTAMP, KeyRange, KeySet
from google.cloud.spanner_v1.transaction import Transaction

from app.domain.leases import Division, Lease, divide

_COLUMNS = ("Name", "Holder", "Until", "UpdatedAt")
FORGET_AFTER = timedelta(hours=1)
"""When the row of a member that is gone is removed."""


def renew(
    transaction: Transaction, group: str, slots: Sequence[str], me: str, now: datetime, lease: timedelta
) -> Division:
    """Take my share of the slots and prolong it; in a read-write transaction, rerunnable. `now` is the database's time."""
    rows = list(transaction.read("Leases", _COLUMNS[:3], KeySet(ranges=[_range(group)])))
    stored = {name.removeprefix(f"{group}/"): Lease(holder, until) for name, holder, until in rows}
    leases = {name.removeprefix("slot/"): it for name, it in stored.items() if name.startswith("slot/")}
    members = {it.holder: it for name, it in stored.items() if name.startswith("member/")}
    division = divide(slots, leases, members, me, now)
    until = now + lease
    write = [[f"{group}/member/{me}", me, until, COMMIT_TIMESTAMP]]
    write += [[f"{group}/slot/{slot}", me, until, COMMIT_TIMESTAMP] for slot in division.held]
    write += [[f"{group}/slot/{slot}", me, now, COMMIT_TIMESTAMP] for slot in division.given_back]
    transaction.insert_or_update("Leases", _COLUMNS, write)
    gone = [name for name, it in members.items() if it.until < now - FORGET_AFTER and name != me]
    if gone:
        transaction.delete("Leases", KeySet(keys=[[f"{group}/member/{name}"] for name in gone]))
    return division


def give_up(transaction: Transaction, group: str, me: str, now: datetime) -> None:
    """End all my leases, and my membership; in a read-write transaction, rerunnable."""
    rows = list(transaction.read("Leases", _COLUMNS[:3], KeySet(ranges=[_range(group)])))
    mine = [name for name, holder, until in rows if holder == me and until > now]
    if mine:
        transaction.insert_or_update("Leases", _COLUMNS, [[name, me, now, COMMIT_TIMESTAMP] for name in mine])


def holds(transaction: Transaction, group: str, slots: Sequence[str], me: str) -> frozenset[str]:
    """Which of the slots are still in my name; locks the rows, so that nobody takes them before this transaction ends."""
    keys = KeySet(keys=[[f"{group}/slot/{slot}"] for slot in slots])
    rows = transaction.read("Leases", _COLUMNS[:2], keys)
    return frozenset(name.removeprefix(f"{group}/slot/") for name, holder in rows if holder == me)


def _range(group: str) -> KeyRange:
    # "0" is the character after "/".
    return KeyRange(start_closed=[f"{group}/"], end_open=[f"{group}0"])
