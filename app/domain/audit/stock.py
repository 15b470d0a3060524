"""Invariant 1: the shards, the ledger of all their versions, and the orders say the same."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import groupby
from operator import attrgetter

from app.domain.audit.findings import Violation, at
from app.domain.audit.rows import LedgerRow, Moment, Usage
from app.domain.states import HOLDING, TRANSITIONS, Status, StockEffect
from app.domain.stock import Cause, ShardState

LEDGER_KEEPS = timedelta(days=90)
"""The row deletion policy of StockLedger."""

_SETS_ALLOCATED = {Cause.CREATED.value, Cause.RESTOCKED.value, Cause.SALE_CHANGED.value}
_HELD = {StockEffect.TAKE: 1, StockEffect.RELEASE: -1}


def effects() -> Iterator[tuple[str | None, str, int, int]]:
    """(status before, trigger, holds gained, places in the waitlist gained) of every allowed transition."""
    for (before, trigger), step in TRANSITIONS.items():
        waiting = (step.status is Status.WAITLISTED) - (before is Status.WAITLISTED)
        yield (before.value if before else None, trigger.value, _HELD.get(step.stock, 0), waiting)


def shard_breaks(
    stock: int, shard_count: int, shards: Sequence[ShardState], usage: Iterable[Usage]
) -> Iterator[Violation]:
    """What is wrong with the shards as they now stand, given what the orders add up to."""
    held: dict[int, int] = dict.fromkeys((s.shard_id for s in shards), 0)
    waiting = dict(held)
    for use in usage:
        if use.status in HOLDING:
            held[use.shard_id] = held.get(use.shard_id, 0) + use.units
        if use.status == Status.WAITLISTED:
            waiting[use.shard_id] = waiting.get(use.shard_id, 0) + use.orders
    allocated = sum(s.allocated for s in shards)
    if allocated != stock:
        yield Violation("the sale", f"its shards have {allocated} units allocated, its stock is {stock}")
    for shard_id in sorted(set(range(shard_count)) ^ {s.shard_id for s in shards}):
        yield Violation(f"shard {shard_id}", f"should {'' if shard_id < shard_count else 'not '}exist")
    for shard in shards:
        row = f"shard {shard.shard_id}"
        yield from _state_breaks(row, shard.allocated, shard.available, shard.waiting)
        out, orders_hold = shard.allocated - shard.available, held.pop(shard.shard_id)
        if out != orders_hold:
            yield Violation(row, f"{out} units are out of it, its live orders hold {orders_hold}")
        orders_wait = waiting.pop(shard.shard_id)
        if shard.waiting != orders_wait:
            yield Violation(row, f"counts {shard.waiting} waiting orders, {orders_wait} are WAITLISTED")
    for shard_id in sorted(held.keys() | waiting.keys()):
        if held.get(shard_id) or waiting.get(shard_id):
            yield Violation(f"shard {shard_id}", "does not exist, and has live orders")


def _state_breaks(row: str, allocated: int, available: int, waiting: int) -> Iterator[Violation]:
    if not 0 <= available <= allocated:
        yield Violation(row, f"{available} units available, {allocated} allocated")
    if waiting < 0:
        yield Violation(row, f"{waiting} orders waiting")


def ledger_breaks(
    rows: Iterable[LedgerRow], newest: Mapping[int, ShardState], *, may_lack_the_oldest: bool
) -> Iterator[Violation]:
    """What is wrong with each shard's versions. `rows` come by shard and version.

    Every version must be there, hold the checks, agree with what the orders of its commit did, and end in the shard's row.
    `may_lack_the_oldest`: the sale is older than the ledger's memory.
    """
    left = dict(newest)
    for shard_id, group in groupby(rows, attrgetter("shard_id")):
        shard = left.pop(shard_id, None)
        last: LedgerRow | None = None
        for row in group:
            yield from _version_breaks(row, last, may_lack_the_oldest)
            last = row
        if last is None or shard is None:
            yield Violation(f"ledger of shard {shard_id}", "there is no such shard")
        elif (last.version, *_state(last)) != (shard.version, shard.allocated, shard.available, shard.waiting):
            yield Violation(
                f"shard {shard_id}",
                f"is {_spoken(shard)}; its newest ledger row is {_spoken(last)}",
            )
    for shard_id in left:
        if not may_lack_the_oldest:
            yield Violation(f"shard {shard_id}", "has no ledger")


def _version_breaks(row: LedgerRow, last: LedgerRow | None, may_lack_the_oldest: bool) -> Iterator[Violation]:
    name = ledger_name(row.shard_id, row.version)
    yield from _state_breaks(name, *_state(row))
    if last is None:
        if row.version != 1 and not may_lack_the_oldest:
            yield Violation(name, "is the shard's oldest: version 1 is missing")
        if row.version != 1:
            return
    elif row.version != last.version + 1:
        yield Violation(name, f"follows version {last.version}: what is between is missing")
        return
    if (row.version == 1) != (row.cause == Cause.CREATED):
        yield Violation(name, f"version {row.version} has the cause {row.cause!r}")
    if last is not None and row.committed_at <= last.committed_at:
        yield Violation(name, f"was committed at {at(row.committed_at)}, not after version {last.version}")
    held = row.allocated - row.available - (last.allocated - last.available if last else 0)
    if held != row.held_change:
        yield Violation(name, f"moved {held} units out of stock, its commit's orders took {row.held_change}")
    waiting = row.waiting - (last.waiting if last else 0)
    if waiting != row.waiting_change:
        yield Violation(name, f"counts {waiting:+} waiting orders, its commit's orders make {row.waiting_change:+}")


def allocation_breaks(rows: Iterable[LedgerRow]) -> Iterator[Violation]:
    """Commits in which units appear or vanish. `rows` come by commit.

    Taking and settling orders and moving stock keeps the sum of all allocated units; restocking only adds; only a change of
    the sale, before its opening, may set it anew.
    """
    allocated: dict[int, int] = {}
    for committed_at, group in groupby(rows, attrgetter("committed_at")):
        change, causes, is_known = 0, set(), True
        for row in group:
            before = allocated.get(row.shard_id, 0 if row.version == 1 else None)
            allocated[row.shard_id] = row.allocated
            causes.add(row.cause)
            if before is None:
                is_known = False
                continue
            change += row.allocated - before
            if row.cause == Cause.PLACED and row.allocated != before:
                yield Violation(
                    ledger_name(row.shard_id, row.version),
                    f"orders changed the units allocated from {before} to {row.allocated}",
                )
        keeps = causes.isdisjoint(_SETS_ALLOCATED)
        if is_known and ((change and keeps) or (change < 0 and causes == {Cause.RESTOCKED.value})):
            yield Violation(f"commit at {at(committed_at)}", f"changed the sum of all units allocated by {change}")


def moments(rows: Iterable[LedgerRow], unrecorded: Iterable[ShardState]) -> Iterator[Moment]:
    """The sale's totals after each commit. `rows` come by commit; `unrecorded` are shards of which the ledger has no row.

    Begins with the commit from which on every shard's state is known.
    """
    state = {shard.shard_id: (shard.available, shard.waiting) for shard in unrecorded}
    available, waiting = (sum(column) for column in zip((0, 0), *state.values(), strict=True))
    for committed_at, group in groupby(rows, attrgetter("committed_at")):
        for row in group:
            before = state.get(row.shard_id, (0, 0))
            state[row.shard_id] = (row.available, row.waiting)
            available += row.available - before[0]
            waiting += row.waiting - before[1]
        yield Moment(committed_at, available, waiting)


def ledger_name(shard_id: int, version: int) -> str:
    """How a violation names a row of the ledger."""
    return f"ledger of shard {shard_id}, version {version}"


def _state(row: LedgerRow) -> tuple[int, int, int]:
    return (row.allocated, row.available, row.waiting)


def _spoken(row: ShardState | LedgerRow) -> str:
    return f"version {row.version}: {row.available} of {row.allocated} available, {row.waiting} waiting"
