"""Reading the payment service's side of a sale, and both services' logs: as `app/storage/audit.py` reads the orders' side."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from google.api_core.exceptions import NotFound
from google.cloud.spanner_v1 import KeySet

from app.domain.audit.delivery import LogShard
from app.domain.audit.findings import micros
from app.domain.errors import StorageUnavailable
from app.storage.audit import partitioned, read_log
from app.storage.database import FairdropDatabase, batch_snapshot, read_timestamp, snapshot

KEYS_PER_READ = 1_000

PAYMENTS = """
    SELECT OrderId, SaleId, CustomerId, AmountMinor, Currency, Wanted, State, GatewayReference, EventSeq,
           UNIX_MICROS(OpenSince), UNIX_MICROS(CreatedAt)
    FROM Payments WHERE SaleId = @sale"""

OUTBOX = """
    SELECT 'payment', OrderId, EventSeq, EventType, OutboxShard, UNIX_MICROS(CreatedAt)
    FROM Outbox WHERE JSON_VALUE(Payload, '$.sale_id') = @sale"""


@dataclass(frozen=True, slots=True)
class PaymentsStand:
    """The payment service's log at one timestamp of its database, which its rows are read at, too.

    `oldest_at` is when the first payment of all was made, in microseconds; None before it.
    """

    as_of: datetime
    log: list[LogShard]
    oldest_at: int | None


@dataclass(frozen=True, slots=True)
class PaymentRows:
    """Two tables of a sale, each to be streamed once."""

    payments: Iterator[list[Any]]
    outbox: Iterator[list[Any]]


def read_payments_stand(database: FairdropDatabase, as_of: datetime | None) -> PaymentsStand | None:
    """The log as of a time (None: now), or None if there is no payment database. Raises StorageUnavailable."""
    try:
        return _stand(database, as_of)
    except StorageUnavailable as error:
        if not isinstance(error.__cause__, NotFound):
            raise
    # What was not found may have been a session; that is forgotten now.
    try:
        return _stand(database, as_of)
    except StorageUnavailable as error:
        if not isinstance(error.__cause__, NotFound):
            raise
        return None


def _stand(database: FairdropDatabase, as_of: datetime | None) -> PaymentsStand:
    bounds = {} if as_of is None else {"read_timestamp": as_of}
    with snapshot(database, **bounds) as reads:
        # By the read interface, which says that a table is not found; SQL only says that it is wrong.
        nothing = reads.read("Payments", ("OrderId",), KeySet(keys=[[""]]))
        list(nothing)
        read_at = as_of or read_timestamp(nothing)
        ((oldest,),) = reads.execute_sql("SELECT MIN(CreatedAt) FROM Payments")
        return PaymentsStand(read_at, read_log(reads), micros(oldest) if oldest is not None else None)


@contextmanager
def payment_rows(database: FairdropDatabase, stand: PaymentsStand, sale_id: str) -> Iterator[PaymentRows]:
    """The tables as of the stand's timestamp. Raises StorageUnavailable."""
    with batch_snapshot(database, stand.as_of) as reads:
        yield PaymentRows(partitioned(reads, PAYMENTS, sale_id), partitioned(reads, OUTBOX, sale_id))


def sales_of_payments(database: FairdropDatabase, order_ids: Iterable[str]) -> Iterator[tuple[str, str]]:
    """(order id, sale) of those orders of which there is a payment now. Strong reads, a thousand keys each."""
    rest = iter(order_ids)
    while page := list(islice(rest, KEYS_PER_READ)):
        with snapshot(database) as reads:
            keys = KeySet(keys=[[order_id] for order_id in page])
            yield from [(row[0], row[1]) for row in reads.read("Payments", ("OrderId", "SaleId"), keys)]
