"""Memory goes on refusing after a crowd that came for nothing, and never hides a request that was let in just now."""

import uuid

from sale_samples import put_up

from app.services.concurrency import Threads
from app.services.watch import LET_IN_PER_FILTER, RECENT_ORDERS, SaleWatch
from app.storage.clock import DatabaseClock
from app.storage.database import FairdropDatabase

STRANGERS = 1_000
MAY_LOOK_TAKEN = STRANGERS // 50
"""Many times the share of false alarms that a filter of the right size has."""


def order_ids(count: int) -> list[str]:
    return [str(uuid.uuid5(uuid.NAMESPACE_URL, str(uuid.uuid4()))) for _ in range(count)]


def sold_out(database: FairdropDatabase) -> SaleWatch:
    watch = SaleWatch(database, DatabaseClock(), Threads(), put_up(database, stock=0, waitlist_limit=0).sale_id)
    watch.within(0.0, 30.0)
    return watch


def test_a_crowd_that_was_refused_in_the_lane_leaves_new_requests_known_as_new(database: FairdropDatabase) -> None:
    watch = sold_out(database)
    for order_id in order_ids(2 * LET_IN_PER_FILTER):
        watch.learn(order_id)
    watch.within(0.0, 30.0)
    assert sum(not watch.surely_new(order_id) for order_id in order_ids(STRANGERS)) < MAY_LOOK_TAKEN


def test_whoever_was_let_in_just_now_is_not_taken_for_new_when_the_filter_is_made_anew(
    database: FairdropDatabase,
) -> None:
    watch = sold_out(database)
    let_in = order_ids(LET_IN_PER_FILTER + 1)
    for order_id in let_in:
        watch.learn(order_id)
    for _ in range(2):
        assert not any(watch.surely_new(order_id) for order_id in let_in[-RECENT_ORDERS:])
        watch.within(0.0, 30.0)
