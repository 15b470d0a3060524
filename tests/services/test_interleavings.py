"""Random interleavings of several processes' lanes with all else that moves stock: the invariants hold at every commit, and in
the end. FAIRDROP_INTERLEAVINGS says how many are played (tests/README.md).
"""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as profile
from hypothesis import strategies as st
from interleaving_world import (
    FREE,
    NAMES,
    PAID,
    Act,
    Fate,
    Game,
    Look,
    Place,
    Sell,
    Settle,
    Step,
    Wish,
    World,
    handles_of,
    one_thread,
)
from raw_invariants import History, check_history, read_history

from app.domain.states import Trigger
from app.services.audit.report import audit
from app.settings import Settings
from app.storage.database import FairdropDatabase

GAMES = {game.name: game for game in (FREE, PAID)}
"""Every fairness policy there is, with and without money."""

QUICK = 20
WANTED = int(os.environ.get("FAIRDROP_INTERLEAVINGS", "0"))
PROCESSES = len(NAMES)
MUST_HAPPEN = {
    "others acted between a read and its commit",
    "a commit met a version that another had written",
    "a commit whose answer was lost",
    "a refusal from memory",
    "stock was taken over from another shard",
    "an order was promoted",
}
"""In the course of a profile: a script that never gets there would prove nothing."""

ROUNDS = 40
"""Each round of settling ends what the one before has promoted; more would mean that it never ends."""

WISHES = st.builds(Wish, st.sampled_from("abcdefghijklmnop"), st.integers(1, 4), st.sampled_from(["k1", "k2"]))
PROCESS = st.integers(0, PROCESSES - 1)
BATCHES = st.builds(Place, PROCESS, st.lists(WISHES, min_size=2, max_size=6).map(tuple))
ONES = st.builds(Place, PROCESS, st.tuples(WISHES))
SALES = st.one_of(
    st.builds(Sell, st.just("restock"), st.integers(1, 5)), st.sampled_from([Sell("pause"), Sell("open"), Sell("open")])
)


def acts_of(game: Game) -> st.SearchStrategy[Act]:
    """What may happen in this game; most of it is orders."""
    settlings = st.lists(st.tuples(st.integers(0, 30), st.sampled_from(game.triggers)), min_size=1, max_size=6)
    settles = st.builds(Settle, settlings.map(tuple))
    return st.one_of(BATCHES, BATCHES, ONES, ONES, settles, settles, SALES, st.builds(Look, PROCESS))


def steps_of(game: Game) -> st.SearchStrategy[Step]:
    acts = acts_of(game)
    fates = st.sampled_from([Fate.FINE, Fate.FINE, Fate.FINE, Fate.NEVER_ARRIVES, Fate.ANSWER_LOST])
    return st.builds(Step, acts, fates, st.lists(acts, max_size=2).map(tuple))


TERMS = st.fixed_dictionaries(
    {
        "stock": st.integers(1, 12),
        "shard_count": st.integers(1, 3),
        "limit_per_customer": st.integers(3, 6),
        "waitlist_limit": st.sampled_from([0, 0, 2, 5, 8]),
    }
)


@pytest.fixture(scope="module")
def handles(settings: Settings, database: FairdropDatabase) -> list[FairdropDatabase]:
    return handles_of(settings, PROCESSES + 3)


@pytest.fixture(autouse=True)
def wire() -> Iterator[Any]:
    with one_thread() as between:
        yield between


@pytest.mark.parametrize("name", GAMES)
def test_whatever_the_interleaving_the_invariants_hold_at_every_commit_and_in_the_end(
    settings: Settings, database: FairdropDatabase, handles: list[FairdropDatabase], wire: Any, name: str
) -> None:
    game = GAMES[name]

    @profile(
        max_examples=WANTED or QUICK,
        derandomize=not WANTED,
        database=None,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(TERMS, st.lists(steps_of(game), min_size=8, max_size=20), st.lists(st.booleans(), min_size=3, max_size=3))
    def played(terms: dict[str, Any], script: list[Step], fails: list[bool]) -> None:
        world = World.open(settings, handles, wire, game, terms)
        for step in script:
            world.play(step)
        wire.fate, wire.meanwhile = Fate.FINE, None
        judge(world)
        world.act(Sell("open"))
        finish(world, fails)
        judge(world)
        report = audit(world.database, world.sale.sale_id)
        assert {finding.name: finding.violations for finding in report.broken} == {}

    played()
    assert {what for what, times in wire.seen.items() if times} >= MUST_HAPPEN, wire.seen


def judge(world: World) -> None:
    """The invariants, by a check that knows nothing of the service, and what was answered."""
    world.check_answers()
    history = read_history(world.database, world.sale.sale_id)
    check_history(history)
    world.wire.seen["stock was taken over from another shard"] += sum(row[6] == "moved" for row in history.ledger)
    world.wire.seen["an order was promoted"] += sum(row[4].startswith("promote") for row in history.events)
    check_refusals(world, history)


def check_refusals(world: World, history: History) -> None:
    """Whoever was told "sold out" was told the truth about the moment that the answer speaks for."""
    for wish, refusal in world.refusals():
        assert refusal.as_of is not None
        then = history.as_of(refusal.as_of)
        assert then.available < wish.units, f"{wish} was refused while {then.available} were left"
        assert then.waiting >= history.waitlist_limit


def finish(world: World, fails: list[bool]) -> None:
    """Settle every payment, some of them failing, until nothing moves; then nothing is left that anybody waits for."""
    for round_ in range(ROUNDS):
        history = read_history(world.database, world.sale.sale_id)
        world.keys = sorted(world.keys, key=lambda key: key.order_id)
        moving = [
            number
            for number, key in enumerate(world.keys)
            if history.orders[key.order_id][2] in ("PENDING", "AUTHORIZED")
        ]
        unknown = {order for order, row in history.orders.items() if row[2] in ("PENDING", "AUTHORIZED")}
        assert {world.keys[number].order_id for number in moving} == unknown
        if not moving:
            break
        for number in moving:
            failing = fails[(number + round_) % len(fails)] and not all(fails)
            world.settle([(number, trigger) for trigger in ((Trigger.DECLINE,) if failing else world.game.ends)])
    else:
        raise AssertionError("settling never ends")
    demand = sum(row[3] for row in history.orders.values() if row[2] in ("PLACED", "WAITLISTED"))
    placed = sum(row[3] for row in history.orders.values() if row[2] == "PLACED")
    smallest = min((row[3] for row in history.orders.values() if row[2] == "WAITLISTED"), default=None)
    assert placed <= history.stock
    if demand > placed:
        assert smallest is not None
        assert history.stock - placed < smallest
