"""What an audit has before it: a sale as of one timestamp, its rows in a workspace, perhaps its money and a rush's answers."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from app.domain.audit.accounts import GRACE, Patience
from app.domain.audit.answers import Attempt
from app.domain.audit.findings import micros
from app.domain.audit.orders import OUTBOX_KEEPS
from app.domain.audit.rows import Moment
from app.domain.audit.stock import LEDGER_KEEPS, effects, moments
from app.domain.errors import SaleNotFound
from app.domain.stock import Cause
from app.services.audit.money import (
    NO_PAYMENTS,
    NOT_ASKED_FOR,
    MoneyEvidence,
    MoneySources,
    gather_money,
    stand_of_payments,
)
from app.storage.answers import Answers, read_attempts
from app.storage.audit import SaleRows, SaleStand, read_stand, sale_rows
from app.storage.database import FairdropDatabase
from app.storage.money import Logs
from app.storage.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that the checks look at. Times in microseconds of the database's clock.

    The ledger is whole from `ledger_from` on, the outbox from `outbox_from` on; what is older may have been deleted by age.
    The terms of the sale were last changed at `terms_changed_at`. Without `money`, `no_money` says why. What is under way may take
    `grace`; when all is said to be settled, nothing is.
    """

    stand: SaleStand
    workspace: Workspace
    snapshot_at: int
    ledger_from: int
    outbox_from: int
    terms_changed_at: int
    answers: Answers | None
    logs: Logs
    money: MoneyEvidence | None
    no_money: str
    grace: timedelta
    is_settled: bool

    @property
    def may_lack_the_oldest(self) -> bool:
        """Whether the sale is older than the ledger's memory."""
        return micros(self.stand.created_at) < micros(self.stand.as_of - LEDGER_KEEPS)

    @property
    def available(self) -> int:
        """Units on offer in all the shards."""
        return sum(shard.available for shard in self.stand.shards)

    @property
    def patience(self) -> Patience:
        """What may still be under way."""
        payments_at = self.money.payments_at if self.money is not None else self.snapshot_at
        return Patience(self.snapshot_at, payments_at, self.grace // timedelta(microseconds=1), self.is_settled)

    def may_lack_rows(self, oldest_at: int | None) -> bool:
        """Whether an outbox which is in use since then may have lost rows to its deletion policy."""
        return oldest_at is not None and oldest_at < self.outbox_from

    def moments(self) -> Iterator[Moment]:
        """The sale's totals after each commit, from where the ledger is whole."""
        return self.workspace.moments(self.ledger_from)


@dataclass(frozen=True, slots=True)
class Demands:
    """What is asked of an audit besides: to compare the money, that nothing be under way, how long something may be."""

    money: MoneySources | None = None
    is_settled: bool = False
    grace: timedelta = GRACE


@contextmanager
def gathered(
    database: FairdropDatabase, sale_id: str, answers: Path | None, as_of: datetime | None, demands: Demands
) -> Iterator[Evidence]:
    """Read everything. Raises SaleNotFound, StorageUnavailable, AnswersUnreadable, PaymentsMissing or BookUnreadable.

    First the orders' timestamp is taken, then the payments', last the book is read: what an order has come to by its payment, the
    payment shows; and what a payment has come to by the gateway, the book.
    """
    stand = read_stand(database, sale_id, as_of)
    if stand is None:
        raise SaleNotFound(sale_id=sale_id)
    sources = demands.money
    payments = stand_of_payments(sources, as_of, must_be=demands.is_settled and not stand.sale.is_free)
    with Workspace() as workspace:
        with sale_rows(database, stand) as rows:
            fill(workspace, rows)
        logs, money = Logs(workspace, stand.log), None
        if sources is not None and payments is not None:
            money = gather_money(workspace, logs, sources, payments, sale_id)
        attempts = read_attempts(answers, sale_id) if answers is not None else None
        yield evidence_of(stand, workspace, attempts, logs, money, demands)


def fill(workspace: Workspace, rows: SaleRows) -> None:
    """Put a sale's rows into a workspace."""
    workspace.fill("orders", 14, rows.orders)
    workspace.fill("events", 6, rows.events)
    workspace.fill("outbox", 6, rows.outbox)
    workspace.fill("ledger", 7, rows.ledger)
    workspace.fill("redemptions", 4, rows.redemptions)


def evidence_of(
    stand: SaleStand,
    workspace: Workspace,
    attempts: Iterator[Attempt] | None,
    logs: Logs,
    money: MoneyEvidence | None,
    demands: Demands,
) -> Evidence:
    """What a filled workspace shows. Raises whatever reading the attempts raises."""
    workspace.index(effects())
    logs.index()
    recorded = {shard for (shard,) in workspace.rows("SELECT DISTINCT shard_id FROM ledger")}
    unrecorded = [shard for shard in stand.shards if shard.shard_id not in recorded]
    workspace.fill("moments", 3, moments(workspace.ledger_by_commit(), unrecorded))
    return Evidence(
        stand=stand,
        workspace=workspace,
        snapshot_at=micros(stand.as_of),
        ledger_from=_ledger_from(workspace),
        outbox_from=max(0, micros(stand.as_of - OUTBOX_KEEPS)),
        terms_changed_at=workspace.number(
            "SELECT MAX(committed_at) FROM ledger WHERE cause IN (?, ?)", Cause.CREATED, Cause.SALE_CHANGED
        ),
        answers=Answers(workspace, attempts) if attempts is not None else None,
        logs=logs,
        money=money,
        no_money=NO_PAYMENTS if demands.money is not None and demands.money.payments is not None else NOT_ASKED_FOR,
        grace=demands.grace,
        is_settled=demands.is_settled,
    )


def _ledger_from(workspace: Workspace) -> int:
    """From when on every shard's state is recorded: the oldest row left of the last shard whose first ones are gone."""
    query = """
        SELECT MAX(committed_at) FROM ledger l
        WHERE version > 1 AND version = (SELECT MIN(version) FROM ledger f WHERE f.shard_id = l.shard_id)"""
    return workspace.number(query)
