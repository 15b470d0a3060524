"""Settlement, release with promotion, and the relay, against placement: as transactions alone, and as orders taken over HTTP."""

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from statistics import median

from app.bench.measures import Figure, Say
from app.bench.stage import Stage
from app.domain.ids import fingerprint, order_id
from app.domain.orders import OrderRequest
from app.domain.settlement import OrderKey, Settlement
from app.domain.states import Trigger
from app.messaging.events import ORDERS_SOURCE
from app.messaging.publisher import Publisher
from app.messaging.topics import ORDER_EVENTS, ensure_topics
from app.services.leases import LeaseKeeper
from app.services.relay import SLOTS, Relay, order_event_id
from app.services.settlement import Unsettled, settle
from app.storage.clock import DatabaseClock
from app.storage.database import transact
from app.storage.placement import HomeView, place_batch

ORDERS = 4_000
BATCH_ORDERS = 100
"""What one pull of the emulator brings, and about what a lane gathers under load."""


def money(stage: Stage, rounds: int, say: Say) -> Iterator[Figure]:
    """Orders a second of settlement and of release with promotion, over those of placement; events a second of the relay."""
    placing, settling, promoting = [], [], []
    for number in range(rounds):
        say(f"placing, authorizing, declining and promoting {ORDERS:,} orders, round {number + 1} of {rounds}")
        sale_id = stage.new_sale(stock=ORDERS, waitlist_limit=ORDERS)
        keys = [_key(sale_id, f"{number}-{index}") for index in range(2 * ORDERS)]
        held, waiting = keys[:ORDERS], keys[ORDERS:]
        placing.append(_rate(ORDERS, partial(_place, stage, sale_id, held)))
        _place(stage, sale_id, waiting)
        settling.append(_rate(ORDERS, partial(_settle, stage, held, Trigger.AUTHORIZE)))
        promoting.append(_rate(2 * ORDERS, partial(_settle, stage, held, Trigger.CAPTURE_FAIL)))
    say("orders taken over HTTP, for comparison")
    taken = median(stage.round(stage.new_sale(), seed=number).per_second for number in range(rounds))
    yield Figure("placement by the transaction alone, one writer", median(placing), "orders/s")
    yield Figure("settlement (authorized), one writer", median(settling), "orders/s")
    yield Figure("release with promotion (both orders count), one writer", median(promoting), "orders/s")
    yield Figure("settlement / placement, transactions alone", median(settling) / median(placing), "x")
    yield Figure("release with promotion / placement, transactions alone", median(promoting) / median(placing), "x")
    yield Figure("settlement / orders taken over HTTP", median(settling) / taken, "x", at_least=0.5)
    yield Figure("release with promotion / orders taken over HTTP", median(promoting) / taken, "x", at_least=0.5)
    yield from _relay(stage, say)


def _relay(stage: Stage, say: Say) -> Iterator[Figure]:
    say("relaying all of their events")
    project = f"bench-{int(time.time())}"
    ensure_topics(project)
    clock = DatabaseClock()
    publisher = Publisher(project, ORDER_EVENTS.topic, ORDERS_SOURCE)
    leases = LeaseKeeper(stage.database, clock, "relay", SLOTS, 10.0)
    relay = Relay(stage.database, clock, leases, publisher, order_event_id)
    relay.step()
    behind = relay.stats.published
    started = time.perf_counter()
    while relay.step():
        pass
    yield Figure(
        "relay, catching up",
        (relay.stats.published - behind) / (time.perf_counter() - started),
        "events/s",
        at_least=1_000,
    )
    publisher.close()


def _rate(orders: int, work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return orders / (time.perf_counter() - started)


def _key(sale_id: str, customer: str) -> OrderKey:
    return OrderKey(customer, sale_id, order_id(sale_id, customer, "bench"))


def _place(stage: Stage, sale_id: str, keys: Sequence[OrderKey]) -> None:
    view: HomeView | None = None
    for first in range(0, len(keys), BATCH_ORDERS):
        now = datetime.now(UTC)
        batch = [
            OrderRequest(key.customer_id, key.order_id, 1, fingerprint(1, "tok_visa"), "tok_visa", now)
            for key in keys[first : first + BATCH_ORDERS]
        ]
        placed, _ = transact(
            stage.database, "place", place_batch, sale_id, 0, view, batch, lambda _: None, now, "bench"
        )
        view = placed.view


def _settle(stage: Stage, keys: Sequence[OrderKey], trigger: Trigger) -> None:
    clock = DatabaseClock()
    for first in range(0, len(keys), BATCH_ORDERS):
        batch = [Settlement(key, trigger, "bench", None) for key in keys[first : first + BATCH_ORDERS]]
        outcomes = settle(stage.database, clock, batch, "bench")
        if any(isinstance(outcome, Unsettled) for outcome in outcomes):
            raise RuntimeError("the database did not settle the bench's orders")
