"""Waiting rooms to wait in, and orders on a waitlist to wait for."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from counter_samples import PATIENCE_SECONDS, crowd, open_counter, order
from sale_samples import put_up

from app.domain.orders import Order
from app.domain.sale import Sale
from app.domain.states import Status
from app.services import sales
from app.services.concurrency import Threads
from app.services.lane import Taken
from app.services.outcomes import Outcomes
from app.services.waiting import Watch
from app.settings import Settings
from app.storage.database import FairdropDatabase, connect

SHORT_SECONDS = 0.6
"""Of a wait that is to be in vain: some ticks long."""


def waiting_room(settings: Settings) -> Outcomes:
    """A waiting room as a process of its own would have it, with its own connection, and patience."""
    return Outcomes(connect(settings), Threads(), PATIENCE_SECONDS)


def waitlisted(
    settings: Settings, database: FairdropDatabase, count: int, *customers: str, **terms: object
) -> tuple[Sale, list[Order]]:
    """A free sale without stock, and so many orders that wait for some, in queue order, each of a customer of its own
    unless some are named.
    """
    sale = put_up(database, **{"stock": 0, "waitlist_limit": 5_000, **terms})
    counter = open_counter(settings)
    names = customers or tuple(f"customer-{i}" for i in range(count))

    def attempt(customer: str) -> Callable[[], Taken]:
        return lambda: order(counter, sale, customer, key=uuid.uuid4().hex, method="tok_visa")

    answers = crowd([attempt(name) for name in names], in_flight=50)
    orders = [answer.order for answer in answers if isinstance(answer, Taken)]
    assert [o.status for o in orders] == [Status.WAITLISTED] * len(names)
    return sale, sorted(orders, key=lambda o: (o.placed_at, o.shard_id, o.seq))


def promote(database: FairdropDatabase, sale: Sale, units: int) -> None:
    """Give the head of the waitlist so many units."""
    sales.restock(database, sale.sale_id, units, uuid.uuid4().hex, "seller")


def watch(room: Outcomes, order: Order) -> Watch:
    """A place for one who waits for his order."""
    return room.watch(order.customer_id, order.sale_id, order.order_id)


def wait(room: Outcomes, order: Order, after: int | None = None, seconds: float = PATIENCE_SECONDS) -> Order:
    """Wait for a change of one's order."""
    return room.wait_for_change(order.customer_id, order.sale_id, order.order_id, after, seconds)


@contextmanager
def waiting(room: Outcomes, *orders: Order, seconds: float = PATIENCE_SECONDS) -> Iterator[list[Callable[[], Order]]]:
    """A wait for each order, all seen as they stand before the block begins; each to be asked for its answer."""
    with ThreadPoolExecutor(len(orders)) as clients:
        before = room.order_reads
        answers = [clients.submit(wait, room, order, None, seconds).result for order in orders]
        until(lambda: room.order_reads > before and all(w.is_seen for w in watches(room)) and is_full(room, orders))
        yield answers


def watches(room: Outcomes) -> list[Watch]:
    """Everybody at the board."""
    with room._board.lock:
        return [watch for topic in room._board._topics.values() for watch in topic.watches]


def is_full(room: Outcomes, orders: tuple[Order, ...]) -> bool:
    """Whether somebody waits for each of these."""
    at_board = {watch.topic.key[2] for watch in watches(room) if watch.known is not None}
    return at_board >= {order.order_id for order in orders}


def until(condition: Callable[[], bool]) -> None:
    """Return once the condition holds."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < give_up, "it never came to that"
        time.sleep(0.005)


def followers() -> int:
    """Threads that follow the log, of all rooms."""
    return sum(thread.name == "outcomes" for thread in threading.enumerate())
