"""Who waits for which order, and what is known of each of those orders: one process's board, under one lock. It reads nothing.

A request that waits has a Watch; all watches of one order share a Topic. Whoever looks at the database (`outcomes.py`) takes
the topics that need a look and brings back what it saw; the board wakes those whom that concerns, and nobody else.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from types import TracebackType
from typing import Self

from app.domain.errors import OrderNotFound, StorageUnavailable, TooManyWaiting, WaitSuperseded
from app.domain.ids import outbox_shard
from app.domain.orders import Order
from app.services.concurrency import Concurrency, Waiter
from app.storage.database import RETRY_AFTER_SECONDS

WAITS_PER_PROCESS = 3_000
"""Each holds a connection, of which a worker has `worker_connections` (app/http/gunicorn_conf.py): the rest is for orders."""

WAITS_PER_CUSTOMER = 8
"""A few screens, and connections that died unnoticed: the newest is surely wanted, so past this the oldest must go."""

BUSY_RETRY_SECONDS = 5
"""When there may be room again: a long poll lasts some 20 s, so a share of them has ended by then."""

Key = tuple[str, str, str]
"""The ids of customer, sale and order."""


class Topic:
    """An order that somebody waits for, as it was at the latest look; `order` is None when there was no such order."""

    __slots__ = ("key", "look", "order", "outbox_shard", "watches")

    def __init__(self, key: Key) -> None:
        """Know nothing of the order yet."""
        self.key = key
        self.order: Order | None = None
        self.look = 0
        self.outbox_shard: int | None = None
        self.watches: set[Watch] = set()


class Watch:
    """One request's place at the board, from the look that follows its registration on. Leave it with `close`."""

    __slots__ = ("_board", "_since", "_waiter", "is_superseded", "known", "topic")

    def __init__(self, board: "Board", topic: Topic, since: int) -> None:
        """Only the board makes these."""
        self._board = board
        self._since = since
        self._waiter: Waiter | None = None
        self.topic = topic
        self.known: int | None = None
        self.is_superseded = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def is_seen(self) -> bool:
        """Whether a look that began after the registration has seen the order, or seen that there is none."""
        return self.topic.look >= self._since

    @property
    def has_news(self) -> bool:
        """Whether the order is not, or no longer, in the state that the request knows."""
        order = self.topic.order
        return self.is_seen and (order is None or order.event_seq != self.known)

    @property
    def is_over(self) -> bool:
        """Whether waiting any longer is in vain, since the process is about to end."""
        return self._board.is_closed and self.is_seen

    def first(self, seconds: float) -> Order:
        """The order as it now stands. Raises OrderNotFound, WaitSuperseded, or StorageUnavailable when the time is up."""
        order = self.next(None, seconds)
        if order is None:
            raise StorageUnavailable("the database does not answer", RETRY_AFTER_SECONDS)
        return order

    def next(self, known: int | None, seconds: float) -> Order | None:
        """The order once its `event_seq` is another than the known one; None when the time is up, or the process is about to end.

        Raises OrderNotFound or WaitSuperseded.
        """
        deadline = time.monotonic() + seconds
        while True:
            with self._board.lock:
                self.known = known
                if self.is_superseded:
                    raise WaitSuperseded(limit=WAITS_PER_CUSTOMER, retry_after_seconds=BUSY_RETRY_SECONDS)
                if self.has_news:
                    return self._order()
                left = deadline - time.monotonic()
                if left <= 0 or self.is_over:
                    return None
                waiter = self._waiter = self._board.concurrency.waiter()
            waiter.wait(left)

    def take_waiter(self) -> Waiter | None:
        """Whom to wake, once: the next wait makes a new one. Under the board's lock."""
        waiter, self._waiter = self._waiter, None
        return waiter

    def close(self) -> None:
        """Give the place back; more than once does no harm."""
        self._board.leave(self)

    def _order(self) -> Order:
        if self.topic.order is None:
            raise OrderNotFound(order_id=self.topic.key[2])
        return self.topic.order


class Board:
    """The watches and topics of one process. Thread-safe; `lock` is only ever held for memory's sake, never while anybody waits."""

    def __init__(self, concurrency: Concurrency) -> None:
        """Nobody waits."""
        self.concurrency = concurrency
        self.lock = threading.Lock()
        self.is_closed = False
        self._topics: dict[Key, Topic] = {}
        self._by_order_id: dict[str, Topic] = {}
        self._unseen: set[Topic] = set()
        self._of_customer: defaultdict[str, dict[Watch, None]] = defaultdict(dict)
        self._count = 0
        self._looks = 0

    @property
    def is_empty(self) -> bool:
        """Whether nobody waits."""
        return not self._topics

    @property
    def wants_a_look(self) -> bool:
        """Whether somebody waits for the first look at an order."""
        return bool(self._unseen)

    def register(self, key: Key) -> Watch:
        """A new place, under the lock. Raises TooManyWaiting; of a customer who has too many, the oldest goes instead."""
        own = self._of_customer.get(key[0], {})
        if len(own) >= WAITS_PER_CUSTOMER:
            self._supersede(next(iter(own)))
        elif self._count >= WAITS_PER_PROCESS:
            raise TooManyWaiting(retry_after_seconds=BUSY_RETRY_SECONDS)
        topic = self._topics.get(key)
        if topic is None:
            topic = self._topics[key] = Topic(key)
        # Seen by an earlier look is not enough: what this customer has done since must show.
        self._unseen.add(topic)
        watch = Watch(self, topic, self._looks + 1)
        topic.watches.add(watch)
        self._of_customer[key[0]][watch] = None
        self._count += 1
        return watch

    def leave(self, watch: Watch) -> None:
        """Take a watch off the board, and its topic when it was the last one's."""
        with self.lock:
            self._remove(watch)

    def _remove(self, watch: Watch) -> None:
        topic = watch.topic
        if watch not in topic.watches:
            return
        topic.watches.remove(watch)
        self._count -= 1
        own = self._of_customer[topic.key[0]]
        del own[watch]
        if not own:
            del self._of_customer[topic.key[0]]
        if not topic.watches:
            del self._topics[topic.key]
            self._unseen.discard(topic)
            self._forget(topic)

    def _supersede(self, watch: Watch) -> None:
        watch.is_superseded = True
        self._remove(watch)
        waiter = watch.take_waiter()
        if waiter is not None:
            self.concurrency.wake([waiter])

    def outbox_shards(self) -> set[int]:
        """The shards of the log that tell of the orders seen."""
        with self.lock:
            return {topic.outbox_shard for topic in self._topics.values() if topic.outbox_shard is not None}

    def begin_look(self, changes: Iterable[tuple[str, int]], at_all: bool) -> tuple[int, list[Topic]]:
        """The number of a look that begins now, and what it is to look at: what has changed, and what was never seen, or all."""
        with self.lock:
            self._looks += 1
            topics = set(self._topics.values()) if at_all else self._unseen | self._changed(changes)
            self._unseen = set()
            return self._looks, list(topics)

    def _changed(self, changes: Iterable[tuple[str, int]]) -> set[Topic]:
        found = set()
        for order_id, event_seq in changes:
            topic = self._by_order_id.get(order_id)
            if topic is not None and topic.order is not None and event_seq > topic.order.event_seq:
                found.add(topic)
        return found

    def end_look(self, look: int, topics: Collection[Topic], orders: Mapping[Key, Order]) -> None:
        """Take note of what a look has seen, and wake those for whom it is news."""
        waiters: list[Waiter] = []
        with self.lock:
            for topic in topics:
                if self._topics.get(topic.key) is topic:
                    self._see(topic, look, orders.get(topic.key))
                    waiters += filter(None, (watch.take_waiter() for watch in topic.watches if watch.has_news))
        self.concurrency.wake(waiters)

    def _see(self, topic: Topic, look: int, order: Order | None) -> None:
        topic.look, topic.order = look, order
        if order is not None:
            topic.outbox_shard = outbox_shard(order.sale_id, order.shard_id)
            self._by_order_id[order.order_id] = topic
        else:
            topic.outbox_shard = None
            self._forget(topic)

    def _forget(self, topic: Topic) -> None:
        # Whoever waits in vain for somebody else's order has a topic of the same order id.
        if self._by_order_id.get(topic.key[2]) is topic:
            del self._by_order_id[topic.key[2]]

    def close(self) -> None:
        """Let nobody wait any longer: the process is about to end."""
        with self.lock:
            self.is_closed = True
            watches = [watch for topic in self._topics.values() for watch in topic.watches]
            waiters = [waiter for watch in watches if (waiter := watch.take_waiter()) is not None]
        self.concurrency.wake(waiters)
