"""Puts many orders or entries into a sale by the service's own transaction, without the servers."""

from datetime import UTC, datetime

from app.bench.measures import Say
from app.bench.stage import Stage
from app.domain.ids import fingerprint, order_id
from app.domain.orders import OrderRequest
from app.storage.database import transact
from app.storage.placement import HomeView, place_batch

SAY_EVERY = 50_000


def store(stage: Stage, sale_id: str, count: int, batch_size: int, name: str, say: Say) -> None:
    """One order each of `count` customers called after `name`, in transactions of `batch_size`."""
    view: HomeView | None = None
    for first in range(0, count, batch_size):
        now = datetime.now(UTC)
        batch = [_request(sale_id, name, number, now) for number in range(first, min(first + batch_size, count))]
        placement, _ = transact(
            stage.database, "store", place_batch, sale_id, 0, view, batch, lambda _sale: None, now, "bench"
        )
        view = placement.view
        if first % SAY_EVERY == 0:
            say(f"{first:,} of {count:,} {name} stored")


def _request(sale_id: str, name: str, number: int, now: datetime) -> OrderRequest:
    customer, method = f"{name}-{number:07d}", "tok_visa"
    return OrderRequest(customer, order_id(sale_id, customer, name), 1, fingerprint(1, method), method, now)
