"""Restocking, step by step: each transaction adds what it can give away or spread, and writes down how far it came."""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from google.cloud.spanner_v1 import COMMIT_TIMESTAMP as NOW
from google.cloud.spanner_v1 import KeyRange, KeySet
from google.cloud.spanner_v1.transaction import Transaction

from app.domain.errors import InvalidValue, RestockReused, SaleNotFound
from app.domain.ids import outbox_shard
from app.domain.promotion import Promotion, WaitingOrder, promote, spread_over
from app.domain.sale import MAX_STOCK_UNITS, Sale
from app.domain.states import Status
from app.domain.stock import Cause, ShardState, StockBook
from app.storage.orders import EVENTS, OUTBOX, payload
from app.storage.rows import COMMIT_TIMESTAMP, NULL, insert, moment, number, text, update
from app.storage.sales import find_sale
from app.storage.stock import read_shards, write_shards

PROMOTIONS_PER_STEP = 300
"""Some 40 mutations each, far below Spanner's 80,000 a commit."""

WAITING_PAGE = 500
"""Waiting orders read at once from one shard's index."""


@dataclass(frozen=True, slots=True)
class RestockStep:
    """How far a restock is. Units."""

    units: int
    done_units: int
    promoted_orders: int


def restock_step(
    transaction: Transaction, sale_id: str, restock_id: str, units: int, database_time: datetime, writer: str
) -> RestockStep:
    """One bounded step of a restock, in a read-write transaction: waiting orders are served first, by queue position.

    The last step puts what nobody waits for on offer. Rerunning a finished restock changes nothing. Raises SaleNotFound,
    RestockReused, and InvalidValue when the stock would pass its bound.
    """
    sale = find_sale(transaction, sale_id)
    if sale is None:
        raise SaleNotFound(sale_id=sale_id)
    done = _done_units(transaction, sale_id, restock_id, units)
    if done == units:
        return RestockStep(units, units, 0)
    left = units - (done or 0)
    if sale.stock + left > MAX_STOCK_UNITS:
        raise InvalidValue(field="units", rule=f"must keep the stock within {MAX_STOCK_UNITS}")
    shards = read_shards(transaction, sale_id)
    book = StockBook(shards)
    waiting = _waiting(transaction, sale_id, [shard for shard in shards if shard.waiting])
    promotion, used = promote(sale, book, waiting, left, PROMOTIONS_PER_STEP)
    if len(promotion.orders) < PROMOTIONS_PER_STEP:
        spread_over(book, [shard.shard_id for shard in shards], left - used)
        used = left
    _write_promotion(transaction, sale, promotion, database_time)
    transaction.update("Sales", ("SaleId", "Stock", "UpdatedAt"), [[sale_id, sale.stock + used, NOW]])
    write_shards(transaction, sale_id, book.changes(), Cause.RESTOCKED, writer)
    row = [sale_id, restock_id, units, (done or 0) + used, NOW]
    columns = ["SaleId", "RestockId", "Units", "DoneUnits", "UpdatedAt"]
    if done is None:
        transaction.insert("Restocks", [*columns, "CreatedAt"], [[*row, NOW]])
    else:
        transaction.update("Restocks", columns, [row])
    return RestockStep(units, (done or 0) + used, len(promotion.orders))


def _done_units(transaction: Transaction, sale_id: str, restock_id: str, units: int) -> int | None:
    rows = list(transaction.read("Restocks", ("Units", "DoneUnits"), KeySet(keys=[[sale_id, restock_id]])))
    if not rows:
        return None
    if rows[0][0] != units:
        raise RestockReused(restock_id=restock_id)
    done: int = rows[0][1]
    return done


def _waiting(transaction: Transaction, sale_id: str, shards: Iterable[ShardState]) -> Iterator[WaitingOrder]:
    """The waitlist in queue order, over all shards, read page by page as far as it is asked for."""
    lines = [_waiting_of_shard(transaction, sale_id, shard.shard_id) for shard in shards]
    return heapq.merge(*lines, key=lambda order: order.position)


def _waiting_of_shard(transaction: Transaction, sale_id: str, shard_id: int) -> Iterator[WaitingOrder]:
    prefix: list[object] = [sale_id, shard_id]
    start: dict[str, list[object]] = {"start_closed": prefix}
    columns = ("CustomerId", "OrderId", "Units", "ShardId", "WaitlistedAt", "Seq")
    while True:
        keys = KeySet(ranges=[KeyRange(**start, end_closed=prefix)])
        rows = list(transaction.read("Orders", columns, keys, index="OrdersByWaitlistedAt", limit=WAITING_PAGE))
        yield from (WaitingOrder(*row) for row in rows)
        if len(rows) < WAITING_PAGE:
            return
        start = {"start_open": [*prefix, rows[-1][4], rows[-1][5]]}


def _write_promotion(transaction: Transaction, sale: Sale, promotion: Promotion, database_time: datetime) -> None:
    """Move the promoted orders on: their rows, an event and an outbox row each."""
    if not promotion.orders:
        return
    keys = KeySet(keys=[[order.customer_id, sale.sale_id, order.order_id] for order in promotion.orders])
    columns = ("CustomerId", "OrderId", "EventSeq", "PaymentMethod", "UnitPriceMinor")
    stored = {(row[0], row[1]): row for row in transaction.read("Orders", columns, keys)}
    due = moment(database_time + timedelta(seconds=sale.hold_seconds)) if promotion.status is Status.PENDING else NULL
    sale_id, status, event = text(sale.sale_id), text(promotion.status.value), text(promotion.event)
    trigger, actor = text(promotion.trigger.value), text("restock")
    order_rows, event_rows, outbox_rows = [], [], []
    for order in promotion.orders:
        _, _, event_seq, method, price = stored[(order.customer_id, order.order_id)]
        customer, order_id, seq = text(order.customer_id), text(order.order_id), number(event_seq + 1)
        order_rows.append((customer, sale_id, order_id, status, due, NULL, seq, COMMIT_TIMESTAMP))
        event_rows.append((customer, sale_id, order_id, seq, status, trigger, actor, NULL, COMMIT_TIMESTAMP))
        body = payload(order, sale, promotion.status, price, method)
        shard = number(outbox_shard(sale.sale_id, order.shard_id))
        outbox_rows.append((shard, COMMIT_TIMESTAMP, order_id, seq, event, text(body)))
    changed = ("CustomerId", "SaleId", "OrderId", "Status", "DueAt", "WaitlistedAt", "EventSeq", "UpdatedAt")
    update(transaction, "Orders", changed, order_rows)
    insert(transaction, "OrderEvents", EVENTS, event_rows)
    insert(transaction, "Outbox", OUTBOX, outbox_rows)
