"""What an audit has before it: the sale as of one timestamp, its rows in a workspace, and perhaps the answers of a rush."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from app.domain.audit.answers import Attempt
from app.domain.audit.findings import micros
from app.domain.audit.orders import OUTBOX_KEEPS
from app.domain.audit.rows import Moment
from app.domain.audit.stock import LEDGER_KEEPS, effects, moments
from app.domain.errors import SaleNotFound
from app.domain.stock import Cause
from app.storage.answers import Answers, read_attempts
from app.storage.audit import SaleRows, SaleStand, read_stand, sale_rows
from app.storage.database import FairdropDatabase
from app.storage.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that the checks look at. Times in microseconds of the database's clock.

    The ledger is whole from `ledger_from` on, the outbox from `outbox_from` on; what is older may have been deleted by age.
    The terms of the sale were last changed at `terms_changed_at`.
    """

    stand: SaleStand
    workspace: Workspace
    snapshot_at: int
    ledger_from: int
    outbox_from: int
    terms_changed_at: int
    answers: Answers | None

    @property
    def may_lack_the_oldest(self) -> bool:
        """Whether the sale is older than the ledger's memory."""
        return micros(self.stand.created_at) < micros(self.stand.as_of - LEDGER_KEEPS)

    @property
    def available(self) -> int:
        """Units on offer in all the shards."""
        return sum(shard.available for shard in self.stand.shards)

    def moments(self) -> Iterator[Moment]:
        """The sale's totals after each commit, from where the ledger is whole."""
        return self.workspace.moments(self.ledger_from)


@contextmanager
def gathered(
    database: FairdropDatabase, sale_id: str, answers: Path | None, as_of: datetime | None
) -> Iterator[Evidence]:
    """Read everything. Raises SaleNotFound, StorageUnavailable or AnswersUnreadable."""
    stand = read_stand(database, sale_id, as_of)
    if stand is None:
        raise SaleNotFound(sale_id=sale_id)
    with Workspace() as workspace:
        with sale_rows(database, stand) as rows:
            fill(workspace, rows)
        yield evidence_of(stand, workspace, read_attempts(answers, sale_id) if answers is not None else None)


def fill(workspace: Workspace, rows: SaleRows) -> None:
    """Put a sale's rows into a workspace."""
    workspace.fill("orders", 10, rows.orders)
    workspace.fill("events", 6, rows.events)
    workspace.fill("outbox", 6, rows.outbox)
    workspace.fill("ledger", 7, rows.ledger)


def evidence_of(stand: SaleStand, workspace: Workspace, attempts: Iterator[Attempt] | None) -> Evidence:
    """What a filled workspace shows. Raises whatever reading the attempts raises."""
    workspace.index(effects())
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
    )


def _ledger_from(workspace: Workspace) -> int:
    """From when on every shard's state is recorded: the oldest row left of the last shard whose first ones are gone."""
    query = """
        SELECT MAX(committed_at) FROM ledger l
        WHERE version > 1 AND version = (SELECT MIN(version) FROM ledger f WHERE f.shard_id = l.shard_id)"""
    return workspace.number(query)
