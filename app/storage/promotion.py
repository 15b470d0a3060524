"""The waitlist in Spanner: reading it in queue order, and moving its head on."""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

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

SECOND_PAGE = 16
"""At least; each further page is twice as large, up to WAITING_PAGE."""

_WAITING = ("CustomerId", "OrderId", "Units", "ShardId", "WaitlistedAt", "Seq")
_DRAWN = (*_WAITING, "DrawPlace")


@dataclass(frozen=True, slots=True)
class _Index:
    """An index that has lines in queue order, what is read from it, and its key columns after those that all of a line share."""

    name: str
    columns: Sequence[str]
    by: Sequence[str]


_LINE = _Index("OrdersByWaitlistedAt", _WAITING, ("WaitlistedAt", "Seq"))
_DRAWN_LINE = _Index("OrdersByDrawPlace", _DRAWN, ("DrawPlace", "WaitlistedAt"))
_SIZED_LINE = _Index("OrdersByWaitingUnits", _DRAWN, ("DrawPlace", "WaitlistedAt", "Seq"))

_NOBODY = KeyRange(start_closed=[""], end_closed=[""])
"""No sale has this id."""


class StoredWaitlist:
    """The waitlist of a sale in a transaction, in queue order (in a lottery in the order of the draw), over all of the shards.

    It is read page by page as far as it is asked for, and what is read is locked.
    """

    def __init__(self, transaction: Transaction, sale: Sale, shards: Iterable[ShardState], units: int) -> None:
        """`units` is how many there are to give: no more orders than that can be served, so first pages are no larger."""
        self._transaction = transaction
        self._sale_id = sale.sale_id
        self._index = _DRAWN_LINE if sale.is_lottery else _LINE
        self._shard_ids = [shard.shard_id for shard in shards if shard.waiting]
        self._first_page = min(units + 1, WAITING_PAGE)

    def __iter__(self) -> Iterator[WaitingOrder]:
        """All of them."""
        return _merged(self._read_on(self._index, [shard_id]) for shard_id in self._shard_ids)

    def behind(self, order: WaitingOrder, units: int) -> Iterator[WaitingOrder]:
        """Those behind this one that want no more than so many units. One read when there are none anywhere in the line."""
        if self._smallest(self._shard_ids, 1, units) is None:
            return iter(())
        since = (order.draw_place, order.waitlisted_at)
        lines = [
            self._read_on(_SIZED_LINE, [shard_id, size], since)
            for shard_id in self._shard_ids
            for size in self._sizes(shard_id, units)
        ]
        return (other for other in _merged(lines) if other.position > order.position)

    def _sizes(self, shard_id: int, units: int) -> Iterator[int]:
        """The sizes of a shard's waiting orders up to `units`: a read each, and one unless the last is `units`."""
        size = self._smallest([shard_id], 1, units)
        while size is not None:
            yield size
            size = self._smallest([shard_id], size + 1, units) if size < units else None

    def _smallest(self, shard_ids: Sequence[int], least: int, most: int) -> int | None:
        """The size of the smallest order of the first of these shards that has one of `least` to `most` units."""
        ranges = [
            KeyRange(start_closed=[self._sale_id, shard_id, least], end_closed=[self._sale_id, shard_id, most])
            for shard_id in shard_ids
        ]
        rows = self._transaction.read("Orders", ("Units",), KeySet(ranges=ranges), index=_SIZED_LINE.name, limit=1)
        return next((units for (units,) in rows), None)

    def _read_on(self, index: _Index, line: Sequence[object], since: Sequence[object] = ()) -> Iterator[WaitingOrder]:
        """A line's orders, from one with these first columns of `index.by` on."""
        places = [index.columns.index(column) for column in index.by]
        prefix: list[object] = [self._sale_id, *line]
        start: dict[str, list[object]] = {"start_closed": [*prefix, *since]}
        page = self._first_page
        while True:
            keys = KeySet(ranges=[KeyRange(**start, end_closed=prefix)])
            rows = list(self._transaction.read("Orders", index.columns, keys, index=index.name, limit=page))
            yield from (WaitingOrder(*row) for row in rows)
            if len(rows) < page:
                return
            start = {"start_open": [*prefix, *(rows[-1][place] for place in places)]}
            page = min(max(2 * page, SECOND_PAGE), WAITING_PAGE)


def read_nobody_waiting(reads: Any) -> None:
    """A read that finds nothing, of the newest index that the waitlist is served by: an error where it is missing."""
    list(reads.read("Orders", _SIZED_LINE.columns, KeySet(ranges=[_NOBODY]), index=_SIZED_LINE.name))


def _merged(lines: Iterable[Iterator[WaitingOrder]]) -> Iterator[WaitingOrder]:
    return heapq.merge(*lines, key=lambda order: order.position)


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
