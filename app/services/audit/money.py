"""Where the other side of the money stands, and gathering it: the payment service's database and the gateway's own book."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from app.domain.audit.accounts import Standing
from app.domain.audit.delivery import LogShard
from app.domain.audit.findings import micros
from app.payments.states import State
from app.storage.audit_money import PaymentRows, PaymentsStand, payment_rows, read_payments_stand, sales_of_payments
from app.storage.database import FairdropDatabase
from app.storage.gateway_book import BookUnreadable, read_book
from app.storage.money import Logs, Money
from app.storage.workspace import Workspace

STANDINGS: Mapping[str, Standing] = {
    State.AUTHORIZING: Standing.ASKED,
    State.AUTHORIZED: Standing.HELD,
    State.DECLINED: Standing.REFUSED,
    State.CAPTURING: Standing.MOVING,
    State.CAPTURED: Standing.TAKEN,
    State.CAPTURE_FAILED: Standing.LOOSE,
    State.VOIDING: Standing.MOVING,
    State.VOIDED: Standing.RETURNED,
    State.VOID_FAILED: Standing.STUCK,
    State.REFUNDING: Standing.MOVING,
    State.REFUNDED: Standing.RETURNED,
    State.REFUND_FAILED: Standing.STUCK,
}
"""What each state of a payment says of the money."""

NOT_ASKED_FOR = "payments were not asked for"
NO_PAYMENTS = "there is no payment database"
NO_BOOK = "no gateway's book was asked for"


class PaymentsMissing(Exception):
    """The payment database that was to be compared is not there."""

    def __str__(self) -> str:
        return f"{NO_PAYMENTS}, or it has no schema (fairdrop schema apply)"


@dataclass(frozen=True, slots=True)
class MoneySources:
    """What a sale's orders are compared with: with no payments when `payments` is None, with no book when `book_url` is, and then
    `no_book` says why. What is optional is compared when it is there; what is not must be.
    """

    payments: FairdropDatabase | None
    book_url: str | None = None
    no_book: str = NO_BOOK
    is_payments_optional: bool = False
    is_book_optional: bool = False


@dataclass(frozen=True, slots=True)
class MoneyEvidence:
    """The money of a sale, as of `payments_at` (microseconds). `no_book`: why there is no book; None when there is one.

    `oldest_at` is when the first payment of all sales was made.
    """

    rows: Money
    payments_at: int
    log: list[LogShard]
    oldest_at: int | None
    no_book: str | None


def stand_of_payments(sources: MoneySources | None, as_of: datetime | None, *, must_be: bool) -> PaymentsStand | None:
    """The payments' log as of a time (None: now); None when there is nothing to compare with.

    Raises PaymentsMissing when it is not optional or `must_be` there, and StorageUnavailable.
    """
    if sources is None or sources.payments is None:
        return None
    stand = read_payments_stand(sources.payments, as_of)
    if stand is None and (must_be or not sources.is_payments_optional):
        raise PaymentsMissing
    return stand


def gather_money(
    workspace: Workspace, logs: Logs, sources: MoneySources, stand: PaymentsStand, sale_id: str
) -> MoneyEvidence:
    """Read the payments, and then the book. Raises StorageUnavailable, or BookUnreadable when a book is not optional."""
    if sources.payments is None:
        raise AssertionError("payments that have a stand have a database")
    with payment_rows(sources.payments, stand, sale_id) as rows:
        money = fill_money(workspace, logs, stand, rows)
    return MoneyEvidence(money, micros(stand.as_of), stand.log, stand.oldest_at, _add_book(money, sources))


def fill_money(workspace: Workspace, logs: Logs, stand: PaymentsStand, rows: PaymentRows) -> Money:
    """Put the payments' rows into a workspace."""
    money = Money(workspace, rows.payments)
    logs.add_cursors("payment", stand.log)
    logs.add_rows(rows.outbox)
    return money


def _add_book(money: Money, sources: MoneySources) -> str | None:
    """Why there is no book to compare with; None when it was read."""
    if sources.book_url is None or sources.payments is None:
        return sources.no_book
    try:
        money.add_book(read_book(sources.book_url))
    except BookUnreadable as error:
        if not sources.is_book_optional:
            raise
        return str(error)
    # A payment is written before its gateway is asked: whoever is in the book is in a read that begins after the book's end.
    money.add_strays(sales_of_payments(sources.payments, money.unexplained()))
    return None
