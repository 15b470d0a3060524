"""The service's own design: lanes that share commits, shards with row locks, stock taken over at the tail (docs/design.md).

What it leaves out: retries by clients, payments, and the bound of a lane's queue (a late answer stands for a 503). A lane that has
seen the stock and the waitlist gone refuses from memory from then on, and so does every lane once they have been gone for as long
as the watch wants to see it. A transaction that only refuses writes nothing: it waits for the writers before it, and holds up none.
"""

import random
from bisect import bisect_right
from collections.abc import Generator, Sequence
from typing import Any

import simpy

from app.domain.sale import spread as spread_stock
from app.simulation.setting import Outcome, Result, Setting, result

CROWD_REQUESTS = 8
"""As the lane: after a smaller batch nothing is held back."""

CROWD_BATCH = 64
"""As the lane: so many wait no longer."""

WATCH_MS = 500.0
"""So long a process's watch sees everything gone before the process refuses from memory."""

Events = Generator[simpy.Event, Any, None]


class _World:
    """The database: shards, their versions and locks, and what was told to whom."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.env = simpy.Environment()
        self.dice = random.Random(setting.seed + 1)  # noqa: S311  # a simulation's dice
        self.available = spread_stock(setting.stock, setting.shards)
        self.versions = [0] * setting.shards
        self.locks = [simpy.Resource(self.env) for _ in range(setting.shards)]
        self.writer = simpy.Resource(self.env)
        self.waitlist_room = setting.waitlist
        self.outcomes: list[Outcome] = []
        self.commits = self.conflicts = 0
        self.gone_at = float("inf") if setting.stock or setting.waitlist else 0.0

    def takes(self, milliseconds: float) -> simpy.Event:
        """A call to the database."""
        return self.env.timeout(milliseconds * self.dice.lognormvariate(0, self.setting.spread))

    @property
    def is_gone(self) -> bool:
        """Whether neither stock nor room on the waitlist is left; here nothing comes back."""
        return self.env.now >= self.gone_at

    def commit_ms(self, orders: int) -> float:
        return self.setting.commit_ms + self.setting.commit_order_ms * orders


def simulate(setting: Setting) -> Result:
    """Run it to the end."""
    world = _World(setting)
    entering = _entering(setting)
    for number, requests in enumerate(entering):
        if requests:
            world.env.process(_lane(world, number % setting.shards, requests))
    world.env.run()
    if sum(world.available) + sum(outcome.sold for outcome in world.outcomes) != setting.stock:
        raise AssertionError("the simulated stock is not conserved")
    design = "group commit" if setting.take_over else "group commit, no taking over"
    return result(design, setting, world.outcomes, world.commits, world.conflicts)


def _entering(setting: Setting) -> list[list[tuple[float, float]]]:
    """Each lane's requests: when it has passed its process's one thread, and when it came."""
    dice = random.Random(setting.seed + 2)  # noqa: S311  # a simulation's dice
    lanes: list[list[tuple[float, float]]] = [[] for _ in range(setting.lanes)]
    for came in setting.arrivals():
        lane = lanes[dice.randrange(setting.lanes)]
        start = max(came, lane[-1][0]) if lane else came
        lane.append((start + setting.cpu_us / 1_000, came))
    return lanes


def _lane(world: _World, home: int, requests: Sequence[tuple[float, float]]) -> Events:
    env, setting = world.env, world.setting
    done, last_started, crowded, gone = 0, 0.0, False, False
    while done < len(requests):
        if env.now < requests[done][0]:
            yield env.timeout(requests[done][0] - env.now)
        if gone or env.now >= world.gone_at + WATCH_MS:
            entered, came = requests[done]
            world.outcomes.append(Outcome(came, max(entered, env.now), sold=False, stock_left=sum(world.available) > 0))
            done += 1
            continue
        if crowded:
            enough = requests[min(done + CROWD_BATCH, len(requests)) - 1][0]
            yield env.timeout(max(0.0, min(last_started + setting.interval_ms, enough) - env.now))
        last_started = env.now
        until = bisect_right(requests, (env.now, float("inf")), done, min(len(requests), done + setting.batch_limit))
        batch = [came for _, came in requests[done : max(until, done + 1)]]
        done += len(batch)
        crowded = len(batch) >= CROWD_REQUESTS
        gone = yield from _transaction(world, home, batch)


def _transaction(world: _World, home: int, batch: Sequence[float]) -> Generator[simpy.Event, Any, bool]:
    """Decide a batch; whether the lane may refuse from memory from now on."""
    if world.setting.single_writer:
        with world.writer.request() as turn:
            yield turn
            yield world.takes(world.commit_ms(len(batch)))
            return bool(_decide(world, home, batch, every=True))
    if world.is_gone:
        yield world.takes(world.setting.read_ms)
        return bool(_decide(world, home, batch, every=True))
    if world.available[home] >= len(batch):
        seen = world.versions[home]
        yield world.takes(world.setting.read_ms)
        with world.locks[home].request() as lock:
            yield lock
            yield world.takes(world.commit_ms(len(batch)))
            if world.versions[home] == seen:
                return bool(_decide(world, home, batch, every=False))
        world.conflicts += 1
    shards = range(world.setting.shards) if world.setting.take_over and world.available[home] < len(batch) else (home,)
    held = [world.locks[shard].request() for shard in shards]
    for lock in held:
        yield lock
    if not world.is_gone:
        yield world.takes(world.setting.read_ms + world.commit_ms(len(batch)))
    told = _decide(world, home, batch, every=len(held) > 1 or world.setting.shards == 1)
    for shard, lock in zip(shards, held, strict=True):
        world.locks[shard].release(lock)
    # What another lane took meanwhile: asked again, now with every shard.
    return told if told is not None else (yield from _transaction(world, home, batch))


def _decide(world: _World, home: int, batch: Sequence[float], every: bool) -> bool | None:
    """Give units in the batch's order; None when the home shard alone cannot answer."""
    available, now = world.available, world.env.now
    if available[home] < len(batch) and not every and world.setting.take_over:
        return None
    world.commits += 1
    world.versions[home] += 1
    gone = False
    for came in batch:
        if available[home] == 0 and world.setting.take_over:
            richest = max(range(len(available)), key=available.__getitem__)
            if available[richest]:
                moved = -(-available[richest] // 2)
                available[richest] -= moved
                available[home] += moved
                world.versions[richest] += 1
        sold = available[home] > 0
        available[home] -= sold
        left = False
        if not sold:
            left = sum(available) > 0
            if world.waitlist_room:
                world.waitlist_room -= 1
            else:
                gone = True
        world.outcomes.append(Outcome(came, now, sold, left))
    if not world.waitlist_room and not sum(available):
        world.gone_at = min(world.gone_at, now)
    return gone
