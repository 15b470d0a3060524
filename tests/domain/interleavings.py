"""Every interleaving of a small sale, with the decisions of app/domain: lanes, settlement, restock, close, lost answers.

A transaction is one step, for what it reads it reads under lock. What a lane remembers of its home shard is no part of its
transaction, and may be old: its version guards it. Each step ends in a commit, after which the invariants of docs/design.md
must hold. What is done here around the decisions mirrors `place_batch`, `settle_batch`, `restock_step` and `lapse_page`.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache
from itertools import combinations, permutations
from typing import NamedTuple

from domain_samples import NOON, SALE_ID, a_request, a_sale, stored

from app.domain.errors import FairdropError, SaleClosed, SoldOut
from app.domain.orders import Order, OrderRequest
from app.domain.placement import Decision, NewOrder, Refused, Replayed, decide
from app.domain.promotion import WaitingOrder, promote, spread_over
from app.domain.sale import Sale, SaleState
from app.domain.settlement import OrderKey, OrderRecord, Settlement, apply, share_out
from app.domain.states import HOLDING, LIVE, Status, Trigger
from app.domain.stock import ShardState, StockBook

NOW_VERSION, OLD_VERSION = 2, 1
"""All that a version tells is whether a shard has changed since: states that differ in no more are one."""

PAID = (Trigger.AUTHORIZE, Trigger.CONFIRM, Trigger.CAPTURE)


class Shard(NamedTuple):
    allocated: int
    available: int
    waiting: int


class Stored(NamedTuple):
    """An order: which request made it, and what became of it. `commit` and `seq` are its place in the line while it waits."""

    request: int
    status: Status
    shard_id: int
    commit: int
    seq: int


class View(NamedTuple):
    """What a lane remembers of its home shard and of the sale."""

    shard: Shard
    is_fresh: bool
    is_closed: bool


class World(NamedTuple):
    """Everything that matters. `todo` and `views` by lane; `orders` by request."""

    shards: tuple[Shard, ...]
    orders: tuple[Stored, ...]
    todo: tuple[tuple[int, ...], ...]
    views: tuple[View | None, ...]
    restock_units: int
    is_closed: bool


@dataclass(frozen=True)
class Plan:
    """Who asks for what, at which lane (a lane's home is the shard of its number); and what may happen besides.

    One request at two lanes is a retry in another process.
    """

    requests: tuple[OrderRequest, ...]
    todo: tuple[tuple[int, ...], ...]
    stock: tuple[int, ...]
    sale: Sale
    restock_units: int = 0
    may_close: bool = False
    may_fail: bool = True
    may_lose_answers: bool = False
    batch_limit: int = 2

    def first(self) -> World:
        shards = tuple(Shard(units, units, 0) for units in self.stock)
        views = tuple(View(shard, True, False) for shard in shards)
        return World(shards, (), self.todo, views, self.restock_units, False)


Line = Callable[[Sequence[WaitingOrder]], Sequence[WaitingOrder]]


@dataclass(frozen=True)
class Rules:
    """What the code around the decisions does. A test breaks one, and the search must find what that leads to."""

    guards_versions: bool = True
    promotes_at_once: bool = True
    rereads_before_no: bool = True
    sees_others_orders: bool = True
    lapses_only_without_holds: bool = True
    line: Line = field(default=lambda waiting: waiting)


class Violated(AssertionError):
    """An invariant does not hold."""


def _check(holds: bool, invariant: str) -> None:
    if not holds:
        raise Violated(invariant)


class Model:
    """The steps that a world may take."""

    def __init__(self, plan: Plan, rules: Rules) -> None:
        self.plan, self.rules = plan, rules
        self.open_sale = plan.sale
        self.closed_sale = replace(plan.sale, state=SaleState.CLOSED)
        self.record = cache(self._record)
        self.trying = ""

    def _record(self, row: Stored) -> OrderRecord:
        made = stored(self.plan.requests[row.request], row.status)
        placed_at = NOON + timedelta(microseconds=row.commit)
        return OrderRecord(replace(made, shard_id=row.shard_id, seq=row.seq, placed_at=placed_at), "tok")

    def key(self, row: Stored) -> OrderKey:
        request = self.plan.requests[row.request]
        return OrderKey(request.customer_id, SALE_ID, request.order_id)

    def units(self, row: Stored) -> int:
        return self.plan.requests[row.request].units

    def steps(self, world: World) -> Iterator[tuple[str, World]]:
        """Every step that may come next, and the world after it."""
        for lane, todo in enumerate(world.todo):
            for size in range(1, min(self.plan.batch_limit, len(todo)) + 1):
                for batch in permutations(todo, size):
                    yield from self._place(world, lane, batch)
        yield from self._settlements(world)
        if world.restock_units and not world.is_closed:
            yield f"restock {world.restock_units}", self._restock(world)
        if self.plan.may_close and not world.is_closed:
            # As change_sale does: every shard gets a new version, so that no lane goes on with the old terms.
            yield "close", self._changed(world, world.shards, all_change=True)._replace(is_closed=True)
        if world.is_closed:
            yield from self._lapse(world)

    def _changed(self, world: World, shards: tuple[Shard, ...], *, all_change: bool = False) -> World:
        """The world with these shards: what lanes remember of those that have a new version is old now."""
        views = tuple(
            view._replace(is_fresh=False) if view and (all_change or shards[home] != world.shards[home]) else view
            for home, view in enumerate(world.views)
        )
        return world._replace(shards=shards, views=views)

    def _place(self, world: World, lane: int, batch: tuple[int, ...]) -> Iterator[tuple[str, World]]:
        requests = [self.plan.requests[number] for number in batch]
        name = self.trying = f"lane {lane} places {batch}"
        decision, was_quick = self._decide(world, lane, requests)
        if self.rules.guards_versions and any(shard.version <= NOW_VERSION for shard in decision.shards):
            yield f"{name}: conflict", _with(world, lane, None)
            return
        self._check_decision(world, decision, requests)
        after = self._changed(world, _written(world.shards, decision.shards))
        commit = 1 + max((row.commit for row in world.orders), default=0)
        rows = [Stored(self.plan.requests.index(n.request), n.status, lane, commit, n.seq) for n in decision.new_orders]
        after = after._replace(orders=_merged([*world.orders, *rows]))
        if decision.new_orders:
            _check(not world.is_closed, "no order after the close")
        remembered = world.views[lane] if was_quick and not decision.shards else None
        view = remembered or View(after.shards[lane], True, world.is_closed)
        left = tuple(number for number in world.todo[lane] if number not in batch)
        yield name, _with(after, lane, view, left)
        if self.plan.may_lose_answers and rows:
            yield f"{name}: answer lost", _with(after, lane, None)

    def _decide(self, world: World, lane: int, requests: Sequence[OrderRequest]) -> tuple[Decision, bool]:
        """As place_batch does; and whether it was decided from what the lane remembers."""
        existing: dict[str, list[Order]] = defaultdict(list)
        if self.rules.sees_others_orders:
            for row in world.orders:
                order = self.record(row).order
                existing[order.customer_id].append(order)
        view = world.views[lane]
        if view is not None:
            version = NOW_VERSION if view.is_fresh else OLD_VERSION
            sale = self.closed_sale if view.is_closed else self.open_sale
            home = ShardState(lane, version, *view.shard)
            quick = decide(sale, home, None, existing, requests, _gate(view.is_closed))
            if isinstance(quick, Decision):
                refuses = any(isinstance(outcome, Refused) for outcome in quick.outcomes)
                if quick.new_orders or not (refuses and self.rules.rereads_before_no):
                    return quick, True
            elif not self.rules.rereads_before_no:
                others = [ShardState(n, version, 0, 0, 0) for n in range(len(world.shards)) if n != lane]
                said = decide(sale, home, others, existing, requests, _gate(view.is_closed))
                assert isinstance(said, Decision)
                return said, True
        shards = _states(world.shards)
        home = shards.pop(lane)
        sale = self.closed_sale if world.is_closed else self.open_sale
        decision = decide(sale, home, shards, existing, requests, _gate(world.is_closed))
        assert isinstance(decision, Decision)
        return decision, False

    def _check_decision(self, world: World, decision: Decision, requests: Sequence[OrderRequest]) -> None:
        left = sum(shard.available for shard in world.shards)
        made = {self.plan.requests[row.request].order_id: row for row in world.orders}
        for request, outcome in zip(requests, decision.outcomes, strict=True):
            if isinstance(outcome, Replayed):
                _check(outcome.order == self.record(made[request.order_id]).order, "same key, same order")
            elif isinstance(outcome, NewOrder):
                _check(request.order_id not in made, "same key, same order")
                if outcome.status in HOLDING:
                    left -= request.units
                else:
                    _check(request.units > left, "nobody waits while any shard has stock for them")
            elif isinstance(outcome.error, SoldOut):
                _check(request.units > left, "nobody is refused while any shard has stock for them")

    def _settlements(self, world: World) -> Iterator[tuple[str, World]]:
        pending = [row for row in world.orders if row.status is Status.PENDING]
        for row in pending:
            yield self._settle(world, [(row, trigger) for trigger in PAID])
        if not self.plan.may_fail:
            return
        # What a decline, an expiry and a cancel do to the stock is the same.
        takers = [row for row in world.orders if row.status in (Status.PENDING, Status.WAITLISTED)]
        for size in (1, 2):
            for rows in combinations(takers, size):
                yield self._settle(world, [(row, Trigger.CANCEL) for row in rows])

    def _settle(self, world: World, wishes: Sequence[tuple[Stored, Trigger]]) -> tuple[str, World]:
        """As settle_batch does."""
        name = self.trying = ", ".join(f"{trigger.value} {row.request}" for row, trigger in wishes)
        sale = self.closed_sale if world.is_closed else self.open_sale
        records = {self.key(row): self.record(row) for row in world.orders}
        batch = [Settlement(self.key(row), trigger, "test") for row, trigger in wishes]
        applied = apply(sale, records, batch, NOON)
        moved = {step.after.order.order_id: step.after.order.status for step in applied.steps}
        if applied.freed:
            _check(all(row.status is not Status.LAPSED for row in world.orders), "no unit comes free after the lapse")
        waiting = self._waitlist(world) if applied.freed and self.rules.promotes_at_once else []
        shards = _states(world.shards)
        book = StockBook(shards if waiting else [shards[number] for number in applied.shard_ids])
        freed = applied.freed.total()
        promotion = share_out(sale, book, applied, self.rules.line(waiting))
        promoted = {order.order_id: promotion.status for order in promotion.orders}
        after = self._changed(world, _written(world.shards, book.changes()))
        after = after._replace(orders=self._moved(world.orders, {**moved, **promoted}))
        if freed:
            self._check_promotion(world, after, freed)
        return name, after

    def _restock(self, world: World) -> World:
        """As restock_step does."""
        self.trying = "restock"
        book, units = StockBook(_states(world.shards)), world.restock_units
        waiting = self._waitlist(world) if self.rules.promotes_at_once else []
        promotion, used = promote(self.open_sale, book, self.rules.line(waiting), units, at_most=100)
        spread_over(book, range(len(world.shards)), units - used)
        promoted = {order.order_id: promotion.status for order in promotion.orders}
        after = self._changed(world, _written(world.shards, book.changes()))
        after = after._replace(orders=self._moved(world.orders, promoted), restock_units=0)
        self._check_promotion(world, after, units)
        return after

    def _lapse(self, world: World) -> Iterator[tuple[str, World]]:
        """As lapse_page does."""
        waiting = [(row, Trigger.LAPSE) for row in world.orders if row.status is Status.WAITLISTED]
        holds = any(row.status is Status.PENDING for row in world.orders)
        if waiting and not (holds and self.rules.lapses_only_without_holds):
            yield self._settle(world, waiting)

    def _waitlist(self, world: World) -> list[WaitingOrder]:
        rows = [row for row in world.orders if row.status is Status.WAITLISTED]
        found = [self.record(row).order for row in rows]
        line = [WaitingOrder(o.customer_id, o.order_id, o.units, o.shard_id, o.placed_at, o.seq) for o in found]
        return sorted(line, key=lambda order: order.position)

    def _moved(self, rows: Sequence[Stored], statuses: dict[str, Status]) -> tuple[Stored, ...]:
        return _merged(
            [row._replace(status=statuses.get(self.plan.requests[row.request].order_id, row.status)) for row in rows]
        )

    def _check_promotion(self, before: World, after: World, new_units: int) -> None:
        """Whoever still waits found too little left when all before them had been served, and only they."""
        left = new_units + sum(shard.available for shard in before.shards)
        waited = [(row, now.status) for row, now in zip(before.orders, after.orders, strict=True)]
        line = sorted(
            (row.commit, row.shard_id, row.seq, self.units(row), now)
            for row, now in waited
            if row.status is Status.WAITLISTED and now is not Status.CANCELLED
        )
        for *_, units, now in line:
            if now is Status.WAITLISTED:
                _check(units > left, "promotion in queue order")
            else:
                left -= units

    def check(self, world: World) -> None:
        """What holds after every commit."""
        held: dict[int, int] = defaultdict(int)
        waits: dict[int, int] = defaultdict(int)
        live: dict[str, int] = defaultdict(int)
        available = sum(shard.available for shard in world.shards)
        for row in world.orders:
            units = self.units(row)
            if row.status in HOLDING:
                held[row.shard_id] += units
            if row.status is Status.WAITLISTED:
                waits[row.shard_id] += 1
                _check(units > available, "nobody waits for what the stock could fill")
            if row.status in LIVE:
                live[self.plan.requests[row.request].customer_id] += units
        stock = sum(self.plan.stock) + self.plan.restock_units - world.restock_units
        _check(sum(shard.allocated for shard in world.shards) == stock, "the shards add up to the stock")
        for number, shard in enumerate(world.shards):
            _check(0 <= shard.available <= shard.allocated, "never oversold")
            _check(shard.allocated - shard.available == held[number], "never oversold")
            _check(shard.waiting == waits[number], "who waits is counted")
        _check(all(units <= self.plan.sale.limit_per_customer for units in live.values()), "the limit per customer")
        _check(len({row.request for row in world.orders}) == len(world.orders), "same key, same order")

    def is_settled(self, world: World) -> bool:
        """Whether everybody was answered and nobody's payment is under way."""
        return not any(world.todo) and all(row.status is not Status.PENDING for row in world.orders)


@dataclass
class Explored:
    """What a search has seen: worlds, steps between them, and the worlds in which all is settled."""

    worlds: int
    steps: int
    settled: list[World]


def explore(plan: Plan, rules: Rules | None = None) -> Explored:
    """All worlds, breadth first, so that the trace of a violation is a shortest one. Raises Violated with that trace.

    From every world one in which all is settled must be reached.
    """
    model = Model(plan, rules or Rules())
    first = plan.first()
    came_from: dict[World, tuple[World, str] | None] = {first: None}
    before: dict[World, list[World]] = defaultdict(list)
    queue, steps = deque([first]), 0
    while queue:
        world = queue.popleft()
        try:
            for step, after in model.steps(world):
                steps += 1
                if after != world:
                    before[after].append(world)
                if after in came_from:
                    continue
                came_from[after] = (world, step)
                model.check(after)
                queue.append(after)
        except AssertionError as error:
            raise Violated(f"{error}\n" + "\n".join([*_trace(came_from, world), model.trying])) from error
    settled = [world for world in came_from if model.is_settled(world)]
    _check(_reaching(settled, before) == came_from.keys(), "everything can be settled")
    return Explored(len(came_from), steps, settled)


def _reaching(goals: Sequence[World], before: dict[World, list[World]]) -> set[World]:
    seen, stack = set(goals), list(goals)
    while stack:
        for world in before.get(stack.pop(), ()):
            if world not in seen:
                seen.add(world)
                stack.append(world)
    return seen


def _trace(came_from: dict[World, tuple[World, str] | None], world: World) -> list[str]:
    trace: list[str] = []
    while (origin := came_from[world]) is not None:
        world, step = origin
        trace.insert(0, step)
    return trace


def _states(shards: Sequence[Shard]) -> list[ShardState]:
    return [ShardState(number, NOW_VERSION, *shard) for number, shard in enumerate(shards)]


def _written(shards: tuple[Shard, ...], changes: Sequence[ShardState]) -> tuple[Shard, ...]:
    new = {s.shard_id: Shard(s.allocated, s.available, s.waiting) for s in changes}
    return tuple(new.get(number, shard) for number, shard in enumerate(shards))


def _merged(rows: Sequence[Stored]) -> tuple[Stored, ...]:
    """The same orders, without what no longer matters: the place of who does not wait, and how far places lie apart."""
    ranks = sorted({row.commit for row in rows if row.status is Status.WAITLISTED})
    merged = [
        row._replace(commit=1 + ranks.index(row.commit))
        if row.status is Status.WAITLISTED
        else row._replace(commit=0, seq=0)
        for row in rows
    ]
    return tuple(sorted(merged))


def _with(world: World, lane: int, view: View | None, todo: tuple[int, ...] | None = None) -> World:
    views = (*world.views[:lane], view, *world.views[lane + 1 :])
    left = world.todo if todo is None else (*world.todo[:lane], todo, *world.todo[lane + 1 :])
    return world._replace(views=views, todo=left)


def _gate(is_closed: bool) -> FairdropError | None:
    return SaleClosed(closes_at=NOON) if is_closed else None


def small_sale(**changes: object) -> Plan:
    """Two units over two shards; three customers, one of whom wants two, and tries for a third; one who asks twice."""
    sale = a_sale(unit_price_minor=500, stock=2, shard_count=2, limit_per_customer=2, waitlist_limit=2)
    ann, ben, more, cat = (
        a_request("ann", 1, "key", "tok"),
        a_request("ben", 2, "key", "tok"),
        a_request("ben", 1, "more", "tok"),
        a_request("cat", 1, "key", "tok"),
    )
    plan = Plan((ann, ben, more, cat), ((0, 1), (0, 2, 3)), (1, 1), sale)
    return replace(plan, **changes)  # type: ignore[arg-type]  # what a test changes are fields of Plan
