"""A transaction among others that come again and again: the emulator lets only one at a time go on, often the newcomer."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from google.cloud.spanner_v1 import KeySet
from google.cloud.spanner_v1.transaction import Transaction

from app.settings import Settings
from app.storage.database import FairdropDatabase, connect, transact

NEWCOMERS = 6
LONG_STEPS, SHORT_STEPS = 6, 2
STEP_SECONDS = 0.01
PATIENCE_SECONDS = 60.0
"""Some hundred times what the long transaction takes alone: with waits that do not grow it does not end by then."""


def work(transaction: Transaction, steps: int) -> int:
    """So many reads, with what is done with them in between."""
    for _ in range(steps):
        list(transaction.read("Sales", ["SaleId"], KeySet(keys=[["none"]])))
        time.sleep(STEP_SECONDS)
    return steps


@contextmanager
def newcomers(settings: Settings) -> Iterator[list[int]]:
    """Others with short transactions, one after the other without a pause; what has ended of them."""
    over, ended = threading.Event(), list[int]()

    def come(handle: FairdropDatabase) -> None:
        while not over.is_set():
            done, _ = transact(handle, "short", work, SHORT_STEPS)
            ended.append(done)

    crowd = [threading.Thread(target=come, args=(connect(settings),)) for _ in range(NEWCOMERS)]
    for one in crowd:
        one.start()
    try:
        yield ended
    finally:
        over.set()
        for one in crowd:
            one.join(PATIENCE_SECONDS)


def test_a_long_transaction_ends_among_short_ones_that_come_again_at_once(settings: Settings) -> None:
    patient = settings.model_copy(update={"rpc_deadline_seconds": PATIENCE_SECONDS})
    handle = connect(patient)
    with newcomers(patient) as ended:
        for _ in range(2):
            done, _ = transact(handle, "long", work, LONG_STEPS)
            assert done == LONG_STEPS
    assert len(ended) > NEWCOMERS
