"""Orders, their events and their outbox rows: reading them, and inserting new ones."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import orjson
from google.cloud.spanner_v1 import KeyRange, KeySet
from google.cloud.spanner_v1.transaction import Transaction

from app.domain.ids import outbox_shard
from app.domain.orders import Order
from app.domain.placement import NewOrder
from app.domain.sale import Sale
from app.domain.states import Status, Trigger
from app.storage.outbox import append_outbox
from app.storage.rows import COMMIT_TIMESTAMP, NULL, PrefixKeys, insert, moment, number, text, update

ORDER_COLUMNS = (
    "CustomerId",
    "SaleId",
    "OrderId",
    "Status",
    "Units",
    "UnitPriceMinor",
    "Currency",
    "ShardId",
    "Seq",
    "PlacedAt",
    "Fingerprint",
    "DueAt",
    "ConfirmedAt",
    "EventSeq",
    "DrawPlace",
)
"""In the order of Order's fields."""

# No new order is confirmed or drawn: the hot path is spared the columns.
_ORDERS = (*ORDER_COLUMNS[:-3], "ReceivedAt", "PaymentMethod", "WaitlistedAt", "EventSeq", "UpdatedAt")
EVENTS = ("CustomerId", "SaleId", "OrderId", "EventSeq", "Status", "Trigger", "Actor", "Reason", "CommittedAt")
_TRACED = ("CustomerId", "SaleId", "OrderId", "Traceparent")

_ONE = number(1)
_STATUSES = {status: text(status.value) for status in Status}
_TRIGGERS = {trigger: text(trigger.value) for trigger in Trigger}
_PLACED_BY = text("customer")


def order_of_row(row: Sequence[Any]) -> Order:
    """The order in a row of ORDER_COLUMNS."""
    customer_id, sale_id, order_id, status, *rest = row
    return Order(customer_id, sale_id, order_id, Status(status), *rest)


def orders_of_customers(reads: Any, sale_id: str, customer_ids: Iterable[str]) -> Mapping[str, list[Order]]:
    """Every order of these customers in one sale, by customer. One read; in a transaction it locks also what is not there."""
    sale = text(sale_id)
    found: dict[str, list[Order]] = defaultdict(list)
    for row in reads.read("Orders", ORDER_COLUMNS, PrefixKeys((text(c), sale) for c in customer_ids)):
        order = order_of_row(row)
        found[order.customer_id].append(order)
    return found


def find_order(reads: Any, customer_id: str, sale_id: str, order_id: str) -> Order | None:
    """One order of a customer, or None."""
    rows = list(reads.read("Orders", ORDER_COLUMNS, KeySet(keys=[[customer_id, sale_id, order_id]])))
    return order_of_row(rows[0]) if rows else None


def read_no_order(reads: Any) -> None:
    """A read that finds nothing, of every column that orders are written with: an error where one of them is missing."""
    columns = dict.fromkeys((*ORDER_COLUMNS, *_ORDERS, *_TRACED))
    list(reads.read("Orders", tuple(columns), KeySet(keys=[["", "", ""]])))


def list_orders(
    reads: Any, customer_id: str, sale_id: str | None, after: tuple[str, str] | None, page_size: int
) -> list[Order]:
    """Up to `page_size` of a customer's orders, by sale and order id, after the given (sale id, order id)."""
    prefix = [customer_id] if sale_id is None else [customer_id, sale_id]
    start: dict[str, list[str]] = {"start_closed": prefix} if after is None else {"start_open": [customer_id, *after]}
    keys = KeySet(ranges=[KeyRange(**start, end_closed=prefix)])
    return [order_of_row(row) for row in reads.read("Orders", ORDER_COLUMNS, keys, limit=page_size)]


def order_ids_after(
    reads: Any, sale_id: str, shard_id: int, after: tuple[datetime, int] | None, at_most: int
) -> list[tuple[datetime, int, str]]:
    """(placed_at, seq, order id) of up to `at_most` orders of one shard, in queue order, after the given (placed_at, seq)."""
    prefix = [sale_id, shard_id]
    start = {"start_closed": prefix} if after is None else {"start_open": [*prefix, *after]}
    keys = KeySet(ranges=[KeyRange(**start, end_closed=prefix)])
    columns = ("PlacedAt", "Seq", "OrderId")
    return [tuple(row) for row in reads.read("Orders", columns, keys, index="OrdersByPlacedAt", limit=at_most)]


class Named(Protocol):
    """Whatever names an order: a request for one, or one that waits."""

    @property
    def order_id(self) -> str:
        """The order's id."""

    @property
    def customer_id(self) -> str:
        """Whose order it is."""

    @property
    def units(self) -> int:
        """How many units it is for."""


def payload(order: Named, sale: Sale, status: Status, unit_price_minor: int, payment_method: str | None) -> str:
    """What an event of an order tells its consumers, as JSON text; `amount_minor` is what the whole order costs."""
    return orjson.dumps(
        {
            "order_id": order.order_id,
            "sale_id": sale.sale_id,
            "customer_id": order.customer_id,
            "status": status.value,
            "units": order.units,
            "amount_minor": order.units * unit_price_minor,
            "currency": sale.currency,
            "payment_method": payment_method,
        }
    ).decode()


def insert_orders(
    transaction: Transaction, sale: Sale, shard_id: int, orders: Iterable[NewOrder], hold_until: datetime
) -> None:
    """Insert new orders of one shard, each with its first event and its outbox row. `hold_until` is a hold's deadline."""
    sale_id, price, currency = text(sale.sale_id), number(sale.unit_price_minor), text(sale.currency)
    shard, outbox, due = number(shard_id), number(outbox_shard(sale.sale_id, shard_id)), moment(hold_until)
    order_rows, event_rows, outbox_rows, traced_rows = [], [], [], []
    for new in orders:
        request = new.request
        customer, order_id, status = text(request.customer_id), text(request.order_id), _STATUSES[new.status]
        method = NULL if sale.is_free else text(request.payment_method)
        order_rows.append(
            (
                customer,
                sale_id,
                order_id,
                status,
                number(request.units),
                price,
                currency,
                shard,
                number(new.seq),
                COMMIT_TIMESTAMP,
                text(request.fingerprint),
                due if new.status is Status.PENDING else NULL,
                moment(request.received_at),
                method,
                COMMIT_TIMESTAMP if new.status is Status.WAITLISTED else NULL,
                _ONE,
                COMMIT_TIMESTAMP,
            )
        )
        trigger = _TRIGGERS[new.trigger]
        event_rows.append((customer, sale_id, order_id, _ONE, status, trigger, _PLACED_BY, NULL, COMMIT_TIMESTAMP))
        body = payload(
            request, sale, new.status, sale.unit_price_minor, None if sale.is_free else request.payment_method
        )
        outbox_row = (outbox, COMMIT_TIMESTAMP, order_id, _ONE, text(new.event), text(body))
        outbox_rows.append((outbox_row, request.traceparent))
        if request.traceparent is not None:
            traced_rows.append((customer, sale_id, order_id, text(request.traceparent)))
    if order_rows:
        insert(transaction, "Orders", _ORDERS, order_rows)
        insert(transaction, "OrderEvents", EVENTS, event_rows)
    append_outbox(transaction, outbox_rows)
    if traced_rows:
        update(transaction, "Orders", _TRACED, traced_rows)
