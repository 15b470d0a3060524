"""Several processes' counters in one thread: a script says who acts next, what happens between a read and its commit, and which
answers get lost. So whatever hypothesis finds can be played again.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import pytest
from google.api_core import exceptions as google_errors
from sale_samples import put_up

from app.domain.errors import FairdropError, IdempotencyKeyReused, SoldOut
from app.domain.ids import fingerprint, order_id
from app.domain.orders import OrderRequest
from app.domain.sale import Sale
from app.domain.settlement import OrderKey, Settlement
from app.domain.states import Trigger
from app.services import group_commit, lane, sales, settlement, watch
from app.services.group_commit import Ticket
from app.services.lane import Lane, Taken
from app.services.placement import Placement
from app.settings import Settings
from app.storage.clock import DatabaseClock
from app.storage.database import FairdropDatabase, _BoundedClient, connect

PATIENCE_SECONDS = 60.0
METHOD = "tok_visa"

NAMES = ("process:1", "process:4", "process:5")
"""A process's name decides which shard is its home: of three shards each has one of its own, of two the last two share one."""


class Fate(StrEnum):
    """What becomes of a commit."""

    FINE = "fine"
    NEVER_ARRIVES = "never arrives"
    ANSWER_LOST = "answer lost"


@dataclass(frozen=True)
class Wish:
    """One request: whose, for how many units, under which key."""

    customer: str
    units: int
    key: str


@dataclass(frozen=True)
class Place:
    """A process's lane takes a batch; of one request, its memory may answer."""

    process: int
    wishes: tuple[Wish, ...]


@dataclass(frozen=True)
class Look:
    """A process looks at the stock, as for the public page."""

    process: int


@dataclass(frozen=True)
class Settle:
    """Triggers for orders, each named by its number among those known so far."""

    wishes: tuple[tuple[int, Trigger], ...]


@dataclass(frozen=True)
class Sell:
    """The seller restocks so many units, or pauses or opens the sale."""

    what: str
    units: int = 1


Act = Place | Look | Settle | Sell


@dataclass(frozen=True)
class Step:
    """An act, the fate of its first commit, and what others do between its reads and that commit."""

    act: Act
    fate: Fate = Fate.FINE
    meanwhile: tuple[Act, ...] = ()


@dataclass(frozen=True)
class Game:
    """A fairness policy and the terms it is played with. `ends` are the triggers that settle an order, tried in turn."""

    name: str
    terms: dict[str, Any]
    triggers: tuple[Trigger, ...]
    ends: tuple[Trigger, ...] = ()


FREE = Game("fcfs, free", {"unit_price_minor": 0}, (Trigger.CANCEL,))
PAID = Game(
    "fcfs, paid",
    {"unit_price_minor": 500},
    (
        # What frees units comes first: it is what others wait for.
        Trigger.DECLINE,
        Trigger.EXPIRE,
        Trigger.CANCEL,
        Trigger.DECLINE,
        Trigger.AUTHORIZE,
        Trigger.CAPTURE_FAIL,
        Trigger.CONFIRM,
        Trigger.CAPTURE,
    ),
    (Trigger.AUTHORIZE, Trigger.CONFIRM, Trigger.CAPTURE),
)


@dataclass(frozen=True)
class Answered:
    """What a process said to a wish."""

    process: int
    wish: Wish
    answer: Taken | FairdropError


@dataclass
class _Wire:
    """Stands before the commits: what is to happen at the next one, and what has happened."""

    fate: Fate = Fate.FINE
    meanwhile: Callable[[], None] | None = None
    seen: Counter[str] = field(default_factory=Counter)

    def commit(self, send: Callable[[], Any]) -> Any:
        fate, meanwhile = self.fate, self.meanwhile
        self.fate, self.meanwhile = Fate.FINE, None
        if meanwhile is not None:
            self.seen["others acted between a read and its commit"] += 1
            meanwhile()
        if fate is Fate.NEVER_ARRIVES:
            raise google_errors.ServiceUnavailable("connection lost")
        try:
            answer = send()
        except google_errors.AlreadyExists:
            self.seen["a commit met a version that another had written"] += 1
            raise
        if fate is Fate.ANSWER_LOST:
            self.seen["a commit whose answer was lost"] += 1
            raise google_errors.DeadlineExceeded("no answer")
        return answer


@contextmanager
def one_thread() -> Iterator[_Wire]:
    """For the length of a block, lanes work in the thread that asks them, and nothing looks or waits by itself."""
    wire, commit = _Wire(), _BoundedClient.commit

    def through_the_wire(client: _BoundedClient, *args: Any, **kwargs: Any) -> Any:
        return wire.commit(lambda: commit(client, *args, **kwargs))

    def at_once(queue: Any, request: Any, deadline: float, span: Any = None) -> Any:
        ticket = Ticket(request, deadline, queue._concurrency.waiter(), span)
        queue._run([ticket])
        return ticket

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_BoundedClient, "commit", through_the_wire)
        patch.setattr(group_commit.GroupCommit, "submit", at_once)
        patch.setattr(watch.SaleWatch, "look_soon", lambda _: None)
        # Memory may speak at once: what it says must be true of its moment all the same.
        patch.setattr(watch, "STEADY_SECONDS", 0.0)
        patch.setattr(lane, "RETRY_PAUSE_SECONDS", 0.001)
        patch.setattr(settlement, "RETRY_PAUSE_SECONDS", 0.001)
        yield wire


@dataclass
class World:
    """One sale, its processes, and all that they answered."""

    database: FairdropDatabase
    settings: Settings
    wire: _Wire
    game: Game
    sale: Sale
    counters: list[Placement]
    settler: FairdropDatabase
    seller: FairdropDatabase
    clock: DatabaseClock = field(default_factory=DatabaseClock)
    answers: list[Answered] = field(default_factory=list)
    keys: list[OrderKey] = field(default_factory=list)
    _acting: set[str] = field(default_factory=set)
    _restocks: int = 0

    @classmethod
    def open(
        cls, settings: Settings, handles: Sequence[FairdropDatabase], wire: _Wire, game: Game, terms: dict[str, Any]
    ) -> "World":
        """A new sale; each process has a connection of its own, and remembers nothing."""
        database, settler, seller, *own = handles
        sale = put_up(database, **{**game.terms, **terms})
        counters = []
        for name, handle in zip(NAMES, own, strict=True):
            counter = Placement(handle, settings)
            counter._writer = name
            counters.append(counter)
        return cls(database, settings, wire, game, sale, counters, settler, seller)

    def play(self, step: Step) -> None:
        """One step, with what happens in its midst."""
        self.wire.fate = step.fate
        self.wire.meanwhile = (lambda: [self.act(act) for act in step.meanwhile] and None) if step.meanwhile else None
        self.act(step.act)
        self.wire.fate, self.wire.meanwhile = Fate.FINE, None

    def act(self, act: Act) -> None:
        """One act; a process that is in the midst of another cannot begin it."""
        actor = f"process {act.process % len(self.counters)}" if isinstance(act, Place | Look) else type(act).__name__
        if actor in self._acting:
            return
        self._acting.add(actor)
        try:
            if isinstance(act, Place):
                self._place(act.process % len(self.counters), act.wishes)
            elif isinstance(act, Look):
                self.counters[act.process % len(self.counters)].sight(self.sale.sale_id, 0.0)
            elif isinstance(act, Settle):
                self.settle(act.wishes)
            else:
                self._sell(act)
        finally:
            self._acting.discard(actor)

    def _place(self, process: int, wishes: Sequence[Wish]) -> None:
        counter = self.counters[process]
        answers = [self._at_counter(counter, wishes[0])] if len(wishes) == 1 else self._in_lane(counter, wishes)
        for wish, answer in zip(wishes, answers, strict=True):
            self.answers.append(Answered(process, wish, answer))
            if isinstance(answer, SoldOut) and answer.age_ms > 0:
                self.wire.seen["a refusal from memory"] += 1
            if isinstance(answer, Taken):
                key = OrderKey(answer.order.customer_id, answer.order.sale_id, answer.order.order_id)
                if key not in self.keys:
                    self.keys.append(key)

    def _at_counter(self, counter: Placement, wish: Wish) -> Taken | FairdropError:
        try:
            return counter.place(wish.customer, self.sale.sale_id, wish.units, wish.key, METHOD, datetime.now(UTC))
        except FairdropError as error:
            return error

    def _in_lane(self, counter: Placement, wishes: Sequence[Wish]) -> list[Taken | FairdropError]:
        own = counter._counter(self.sale.sale_id)
        if own.lane is None:
            assert own.watch.sight is not None
            own.lane = counter._new_lane(own.watch, own.watch.sight)
        tickets = [self._ticket(counter, wish) for wish in wishes]
        for ticket in tickets:
            own.watch.learn(ticket.request.order_id)
        Lane._run(own.lane, tickets)
        assert all(ticket.answer is not None for ticket in tickets)
        return [ticket.answer for ticket in tickets if ticket.answer is not None]

    def _ticket(self, counter: Placement, wish: Wish) -> Ticket[OrderRequest, Taken]:
        request = OrderRequest(
            wish.customer,
            order_id(self.sale.sale_id, wish.customer, wish.key),
            wish.units,
            fingerprint(wish.units, METHOD),
            METHOD,
            datetime.now(UTC),
        )
        return Ticket(request, time.monotonic() + PATIENCE_SECONDS, counter._concurrency.waiter())

    def settle(self, wishes: Sequence[tuple[int, Trigger]]) -> None:
        """Settle orders that are known; others are passed over."""
        known = [
            Settlement(self.keys[number % len(self.keys)], trigger, "test") for number, trigger in wishes if self.keys
        ]
        settlement.settle(self.settler, self.clock, known, "settler:1")

    def _sell(self, act: Sell) -> None:
        try:
            if act.what == "restock":
                self._restocks += 1
                sales.restock(self.seller, self.sale.sale_id, act.units, f"restock {self._restocks}", "seller:1")
            else:
                {"pause": sales.pause, "open": sales.open_now}[act.what](self.seller, self.sale.sale_id, "seller:1")
        except FairdropError:
            # Refused in this state, or the answer got lost and the seller does not ask again.
            return

    def refusals(self) -> Iterator[tuple[Wish, SoldOut]]:
        """Everybody who was told "sold out"."""
        for said in self.answers:
            if isinstance(said.answer, SoldOut):
                yield said.wish, said.answer

    def check_answers(self) -> None:
        """One request is one order, whoever answered it and however often; nobody is told that his own key is somebody else's."""
        orders: dict[tuple[str, str], tuple[str, int]] = {}
        for said in self.answers:
            name = (said.wish.customer, said.wish.key)
            if isinstance(said.answer, Taken):
                order = (said.answer.order.order_id, said.answer.order.units)
                assert orders.setdefault(name, order) == order
                assert order[1] == said.wish.units
            elif isinstance(said.answer, IdempotencyKeyReused) and name in orders:
                assert orders[name][1] != said.wish.units


def handles_of(settings: Settings, count: int) -> list[FairdropDatabase]:
    """So many connections, to be used by one world after the other."""
    return [connect(settings) for _ in range(count)]
