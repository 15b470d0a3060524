"""Whether orders already stored slow down new ones: a million of them are placed by the service's own transaction first."""

from collections.abc import Iterator
from datetime import UTC, datetime
from statistics import median

from app.bench.measures import Figure, Say
from app.bench.stage import Stage
from app.domain.ids import fingerprint, order_id
from app.domain.orders import OrderRequest
from app.storage.database import transact
from app.storage.placement import HomeView, place_batch

STORED_ORDERS = 1_000_000
STORED_STOCK = 4_000_000
BATCH_ORDERS = 500
SAY_EVERY_ORDERS = 50_000


def stored(stage: Stage, rounds: int, say: Say) -> Iterator[Figure]:
    """Orders a second on a sale that has STORED_ORDERS already, against a sale that has none."""
    full = stage.new_sale(stock=STORED_STOCK)
    empty_first = [stage.round(stage.new_sale(), seed=100).per_second]
    _store(stage, full, say)
    ratios = []
    for number in range(rounds):
        say(f"{STORED_ORDERS:,} orders stored, round {number + 1} of {rounds}")
        on_full = stage.round(full, seed=200 + number).per_second
        on_empty = stage.round(stage.new_sale(), seed=300 + number).per_second
        ratios.append(on_full / on_empty)
    yield Figure("orders taken, an empty database", median(empty_first), "orders/s")
    yield Figure(f"a sale with {STORED_ORDERS:,} orders / a sale with none", median(ratios), "x", at_least=0.85)


def _store(stage: Stage, sale_id: str, say: Say) -> None:
    view: HomeView | None = None
    for first in range(0, STORED_ORDERS, BATCH_ORDERS):
        now = datetime.now(UTC)
        batch = [_request(sale_id, number, now) for number in range(first, first + BATCH_ORDERS)]
        placement, _ = transact(
            stage.database, "store", place_batch, sale_id, 0, view, batch, lambda _sale: None, now, "bench"
        )
        view = placement.view
        if first % SAY_EVERY_ORDERS == 0:
            say(f"{first:,} of {STORED_ORDERS:,} orders stored")


def _request(sale_id: str, number: int, now: datetime) -> OrderRequest:
    customer = f"stored-{number:07d}"
    method = "tok_visa"
    return OrderRequest(customer, order_id(sale_id, customer, "stored"), 1, fingerprint(1, method), method, now)
