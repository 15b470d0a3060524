"""The waitlist in Spanner: reading it in queue order, and moving its head on."""

import heapq
from collections.abc import Iterable, Iterator
from datetime import datetime

from google.cloud.spanner_v1 import KeyRange, KeySet
from google.cloud.spanner_v1.transaction import Transaction

from app.domain.ids import outbox_shard
from app.domain.promotion import Promotion, WaitingOrder
from app.domain.sale import Sale
from app.domain.settlement import due_at
from app.domain.stock import ShardState
from app.storage.orders import EVENTS, payload
from app.storage.outbox import append_outbox
from app.storage.rows import COMMIT_TIMESTAMP, NULL, insert, moment, number, text, update

WAITING_PAGE = 500
"""Waiting orders read at once from one shard's index."""

_WAITING = ("CustomerId", "OrderId", "Units", "ShardId", "WaitlistedAt", "Seq")
_LINE = ("OrdersByWaitlistedAt", ("WaitlistedAt", "Seq"))
_DRAWN_LINE = ("OrdersByDrawPlace", ("DrawPlace", "WaitlistedAt"))
"""The index that has a shard's line in its order, and the index's columns after the shard."""


def waitlist(transaction: Transaction, sale: Sale, shards: Iterable[ShardState], units: int) -> Iterator[WaitingOrder]:
    """The waitlist in queue order (in a lottery in the order of the draw), over all of these shards.

    It is read page by page as far as it is asked for.

    `units` is how many there are to give: no more orders than that can be served, so first pages are no larger.
    """
    first_page = min(units + 1, WAITING_PAGE)
    lines = [_line_of_shard(transaction, sale, shard.shard_id, first_page) for shard in shards if shard.waiting]
    return heapq.merge(*lines, key=lambda order: order.position)


def _line_of_shard(transaction: Transaction, sale: Sale, shard_id: int, first_page: int) -> Iterator[WaitingOrder]:
    index, by = _DRAWN_LINE if sale.is_lottery else _LINE
    columns = (*_WAITING, "DrawPlace") if sale.is_lottery else _WAITING
    places = [columns.index(column) for column in by]
    prefix: list[object] = [sale.sale_id, shard_id]
    start: dict[str, list[object]] = {"start_closed": prefix}
    page = first_page
    while True:
        keys = KeySet(ranges=[KeyRange(**start, end_closed=prefix)])
        rows = list(transaction.read("Orders", columns, keys, index=index, limit=page))
        yield from (WaitingOrder(*row) for row in rows)
        if len(rows) < page:
            return
        start = {"start_open": [*prefix, *(rows[-1][place] for place in places)]}
        page = WAITING_PAGE


def write_promotion(
    transaction: Transaction, sale: Sale, promotion: Promotion, database_time: datetime, actor: str
) -> None:
    """Move the promoted orders on: their rows, an event and an outbox row each. One read."""
    if not promotion.orders:
        return
    keys = KeySet(keys=[[order.customer_id, sale.sale_id, order.order_id] for order in promotion.orders])
    columns = ("CustomerId", "OrderId", "EventSeq", "PaymentMethod", "UnitPriceMinor", "Traceparent")
    stored = {(row[0], row[1]): row for row in transaction.read("Orders", columns, keys)}
    due = moment(due_at(sale, promotion.status, promotion.trigger, database_time))
    sale_id, status, event = text(sale.sale_id), text(promotion.status.value), text(promotion.event)
    trigger, by = text(promotion.trigger.value), text(actor)
    order_rows, event_rows, outbox_rows = [], [], []
    for order in promotion.orders:
        _, _, event_seq, method, price, traceparent = stored[(order.customer_id, order.order_id)]
        customer, order_id, seq = text(order.customer_id), text(order.order_id), number(event_seq + 1)
        order_rows.append((customer, sale_id, order_id, status, due, NULL, seq, COMMIT_TIMESTAMP))
        event_rows.append((customer, sale_id, order_id, seq, status, trigger, by, NULL, COMMIT_TIMESTAMP))
        body = payload(order, sale, promotion.status, price, method)
        shard = number(outbox_shard(sale.sale_id, order.shard_id))
        outbox_rows.append(((shard, COMMIT_TIMESTAMP, order_id, seq, event, text(body)), traceparent))
    changed = ("CustomerId", "SaleId", "OrderId", "Status", "DueAt", "WaitlistedAt", "EventSeq", "UpdatedAt")
    update(transaction, "Orders", changed, order_rows)
    insert(transaction, "OrderEvents", EVENTS, event_rows)
    append_outbox(transaction, outbox_rows)
