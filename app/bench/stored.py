"""Whether orders already stored slow down new ones: a million of them are placed by the service's own transaction first."""

from collections.abc import Iterator
from statistics import median

from app.bench.measures import Figure, Say
from app.bench.stage import Stage
from app.bench.storing import store

STORED_ORDERS = 1_000_000
STORED_STOCK = 4_000_000
BATCH_ORDERS = 500


def stored(stage: Stage, rounds: int, say: Say) -> Iterator[Figure]:
    """Orders a second on a sale that has STORED_ORDERS already, against a sale that has none."""
    full = stage.new_sale(stock=STORED_STOCK)
    empty_first = [stage.round(stage.new_sale(), seed=100).per_second]
    store(stage, full, STORED_ORDERS, BATCH_ORDERS, "orders", say)
    ratios = []
    for number in range(rounds):
        say(f"{STORED_ORDERS:,} orders stored, round {number + 1} of {rounds}")
        on_full = stage.round(full, seed=200 + number).per_second
        on_empty = stage.round(stage.new_sale(), seed=300 + number).per_second
        ratios.append(on_full / on_empty)
    yield Figure("orders taken, an empty database", median(empty_first), "orders/s")
    yield Figure(f"a sale with {STORED_ORDERS:,} orders / a sale with none", median(ratios), "x", at_least=0.85)
