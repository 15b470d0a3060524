"""A lane whose sale was made anew, with fewer shards, in a database that has lost the old one; and what its batches wait for."""

import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from counter_samples import balanced_books
from sale_samples import put_up

from app.domain.ids import fingerprint, order_id
from app.domain.orders import OrderRequest
from app.domain.sale import Sale
from app.domain.states import Status
from app.services.concurrency import Threads
from app.services.figures import Figures
from app.services.group_commit import CROWD_BATCH
from app.services.lane import Lane
from app.services.watch import SaleWatch
from app.storage.clock import DatabaseClock
from app.storage.database import FairdropDatabase


def lane(database: FairdropDatabase, sale: Sale, writer: str, under_way: int = 0) -> Lane:
    """A lane that was opened when the sale had more shards, in a process that has so many orders under way."""
    clock = DatabaseClock()
    watch = SaleWatch(database, clock, Threads(), sale.sale_id)
    watch.within(0.0, 30.0)
    return Lane(
        database,
        clock,
        watch,
        Threads(),
        sale,
        writer,
        capacity=10,
        batch_limit=10,
        figures=Figures(),
        under_way=lambda: under_way,
    )


def test_a_lane_that_remembers_more_shards_than_there_are_sells_from_those_that_there_are(
    database: FairdropDatabase,
) -> None:
    sale = put_up(database, stock=10, shard_count=2)
    old = replace(sale, shard_count=64)
    for number in range(6):
        request = OrderRequest(
            f"customer-{number}",
            order_id(sale.sale_id, f"customer-{number}", "key"),
            1,
            fingerprint(1, None),
            None,
            datetime.now(UTC),
        )
        taken = lane(database, old, f"process:{number}").submit(request, time.monotonic() + 60).wait()
        assert taken.order.status is Status.PLACED
    assert balanced_books(database, sale.sale_id).available == 4


@pytest.mark.parametrize(("under_way", "enough"), [(0, CROWD_BATCH), (CROWD_BATCH, CROWD_BATCH), (1_000, 300)])
def test_the_larger_the_crowd_the_more_orders_a_batch_waits_for(
    database: FairdropDatabase, under_way: int, enough: int
) -> None:
    sale = put_up(database, stock=1, shard_count=1)
    assert lane(database, sale, "process:1", under_way)._enough() == enough
