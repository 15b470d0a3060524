"""The transaction that settles a batch of one sale's orders: they move on, and what they free goes to the waitlist at once."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from google.cloud.spanner_v1 import KeyRange, KeySet
from google.cloud.spanner_v1.transaction import Transaction

from app.domain.errors import OrderNotFound
from app.domain.ids import outbox_shard
from app.domain.promotion import Promotion
from app.domain.sale import Sale
from app.domain.settlement import (
    Applied,
    OrderKey,
    OrderRecord,
    Outcome,
    Refused,
    Settlement,
    Step,
    apply,
    share_out,
)
from app.domain.stock import Cause, StockBook
from app.storage.orders import EVENTS, ORDER_COLUMNS, order_of_row, payload
from app.storage.outbox import append_outbox
from app.storage.promotion import StoredWaitlist, write_promotion
from app.storage.rows import COMMIT_TIMESTAMP, NULL, insert, moment, number, text, update
from app.storage.sales import find_sale
from app.storage.stock import read_shards, read_some_shards, write_shards

MAX_REASON_LENGTH = 200
"""Of the column."""

_RECORD = (*ORDER_COLUMNS, "PaymentMethod", "Traceparent")
_CHANGED = (
    "CustomerId",
    "SaleId",
    "OrderId",
    "Status",
    "DueAt",
    "ConfirmedAt",
    "WaitlistedAt",
    "EventSeq",
    "UpdatedAt",
)


def settle_batch(
    transaction: Transaction, sale_id: str, batch: Sequence[Settlement], database_time: datetime, writer: str
) -> list[Outcome]:
    """Settle the batch's orders, all of this sale, in a read-write transaction; rerunning it changes nothing further.

    Returns an outcome each for the first part of the batch, at least one: the rest is for the next transaction (`apply` says
    why). Two reads when no units and no places of the waitlist come free; then the shards that change are read too, and all of
    them, with the head of the waitlist, when somebody waits for the units.
    """
    sale = find_sale(transaction, sale_id)
    if sale is None:
        return [Refused(OrderNotFound(order_id=wish.order.order_id)) for wish in batch]
    stored = _read_records(transaction, {wish.order for wish in batch})
    applied = apply(sale, stored, batch, database_time)
    _write_steps(transaction, sale, applied.steps)
    if applied.shard_ids:
        promotion = _share_out(transaction, sale, applied, writer)
        write_promotion(transaction, sale, promotion, database_time, "settlement")
    return applied.outcomes


def waiting_keys(reads: Any, sale_id: str, at_most: int) -> list[OrderKey]:
    """The keys of up to `at_most` waiting orders of a sale, by shard and queue position."""
    keys = KeySet(ranges=[KeyRange(start_closed=[sale_id], end_closed=[sale_id])])
    columns = ("CustomerId", "SaleId", "OrderId")
    return [OrderKey(*row) for row in reads.read("Orders", columns, keys, index="OrdersByWaitlistedAt", limit=at_most)]


def _read_records(transaction: Transaction, orders: Iterable[OrderKey]) -> Mapping[OrderKey, OrderRecord]:
    keys = KeySet(keys=[[key.customer_id, key.sale_id, key.order_id] for key in orders])
    records: dict[OrderKey, OrderRecord] = {}
    for *row, method, traceparent in transaction.read("Orders", _RECORD, keys):
        order = order_of_row(row)
        records[OrderKey(order.customer_id, order.sale_id, order.order_id)] = OrderRecord(order, method, traceparent)
    return records


def _share_out(transaction: Transaction, sale: Sale, applied: Applied, writer: str) -> Promotion:
    """Write the shards, with the freed units given to those who wait."""
    # Only those who wait need all the shards, and reading them holds up every lane: so it is asked first whether anybody does.
    if applied.freed and waiting_keys(transaction, sale.sale_id, 1):
        shards = read_shards(transaction, sale.sale_id)
        units = applied.freed.total() + sum(shard.available for shard in shards)
        waiting = StoredWaitlist(transaction, sale, shards, units)
    else:
        shards = read_some_shards(transaction, sale.sale_id, applied.shard_ids)
        waiting = StoredWaitlist(transaction, sale, (), 0)
    book = StockBook(shards)
    promotion = share_out(sale, book, applied, waiting, waiting.behind)
    write_shards(transaction, sale.sale_id, book.changes(), Cause.SETTLED, writer)
    return promotion


def _write_steps(transaction: Transaction, sale: Sale, steps: Sequence[Step]) -> None:
    """Each changed order as it now is; an event and an outbox row a step."""
    if not steps:
        return
    sale_id = text(sale.sale_id)
    last = {step.after.order.order_id: step.after for step in steps}
    order_rows = [
        (
            text(record.order.customer_id),
            sale_id,
            text(record.order.order_id),
            text(record.order.status.value),
            moment(record.order.due_at),
            moment(record.order.confirmed_at),
            NULL,
            number(record.order.event_seq),
            COMMIT_TIMESTAMP,
        )
        for record in last.values()
    ]
    update(transaction, "Orders", _CHANGED, order_rows)
    insert(transaction, "OrderEvents", EVENTS, (_event_row(step) for step in steps))
    append_outbox(transaction, ((_outbox_row(sale, step), step.traceparent) for step in steps))


def _event_row(step: Step) -> Sequence[Any]:
    order = step.after.order
    return (
        text(order.customer_id),
        text(order.sale_id),
        text(order.order_id),
        number(order.event_seq),
        text(order.status.value),
        text(step.trigger.value),
        text(step.actor),
        text(step.reason[:MAX_REASON_LENGTH] if step.reason else None),
        COMMIT_TIMESTAMP,
    )


def _outbox_row(sale: Sale, step: Step) -> Sequence[Any]:
    order = step.after.order
    body = payload(order, sale, order.status, order.unit_price_minor, step.after.payment_method)
    shard = number(outbox_shard(sale.sale_id, order.shard_id))
    return (shard, COMMIT_TIMESTAMP, text(order.order_id), number(order.event_seq), text(step.event), text(body))
