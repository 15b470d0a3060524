"""A sale that lives in memory by the domain's own decisions, and leaves the rows that a database would hold of it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from app.domain.audit.answers import Attempt
from app.domain.audit.delivery import LogShard
from app.domain.audit.findings import Finding, micros
from app.domain.audit.rows import StoredOrder
from app.domain.ids import fingerprint, order_id, outbox_shard
from app.domain.orders import OrderRequest
from app.domain.placement import Decision, decide
from app.domain.promotion import WaitingOrder, promote, spread_over
from app.domain.sale import Policy, Sale, SaleState, spread
from app.domain.states import NEW, Status, Trigger, transition
from app.domain.stock import Cause, ShardState, StockBook
from app.services.audit.evidence import Demands, Evidence, evidence_of, fill
from app.services.audit.money import MoneyEvidence
from app.services.audit.report import run_checks
from app.storage.audit import SaleRows, SaleStand
from app.storage.money import Logs
from app.storage.workspace import Workspace

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
STEP = timedelta(milliseconds=10)
SALE_ID = "phones"


def audited_sale(**terms: Any) -> Sale:
    defaults: dict[str, Any] = {
        "sale_id": SALE_ID,
        "name": "Phones",
        "state": SaleState.SCHEDULED,
        "policy": Policy.FCFS,
        "unit_price_minor": 100,
        "currency": "EUR",
        "stock": 6,
        "shard_count": 3,
        "limit_per_customer": 4,
        "waitlist_limit": 50,
        "expected_crowd": 1_000,
        "opens_at": NOON,
        "closes_at": NOON + timedelta(hours=1),
        "hold_seconds": 600,
        "cancel_window_seconds": 1_800,
    }
    return Sale(**{**defaults, **terms})


@dataclass
class World:
    """Rows as lists, in the columns of a workspace, so that a test can put in what no transaction would."""

    sale: Sale = field(default_factory=audited_sale)
    now: datetime = NOON - timedelta(minutes=1)
    orders: list[list[Any]] = field(default_factory=list)
    events: list[list[Any]] = field(default_factory=list)
    outbox: list[list[Any]] = field(default_factory=list)
    ledger: list[list[Any]] = field(default_factory=list)
    redemptions: list[list[Any]] = field(default_factory=list)
    attempts: list[Attempt] | None = None

    def __post_init__(self) -> None:
        self.created_at = self.now
        units = spread(self.sale.stock, self.sale.shard_count)
        self.shards = {i: ShardState(i, 0, 0, 0, 0) for i in range(self.sale.shard_count)}
        self._commit({i: ShardState(i, 0, u, u, 0) for i, u in enumerate(units)}, Cause.CREATED)
        self.now = NOON

    @property
    def at(self) -> int:
        return micros(self.now)

    def place(self, home: int, *wishes: tuple[str, int]) -> Decision:
        """One transaction of orders, (customer, units) each, homed on a shard."""
        self.now += STEP
        batch = [self.request(customer, units) for customer, units in wishes]
        others = [shard for shard in self.shards.values() if shard.shard_id != home]
        decision = decide(self.sale, self.shards[home], others, {}, batch)
        assert isinstance(decision, Decision)
        for new in decision.new_orders:
            request, waits = new.request, new.status is Status.WAITLISTED
            order = StoredOrder(
                request.customer_id,
                request.order_id,
                "new",
                request.units,
                home,
                new.seq,
                self.at,
                self.at if waits else None,
                self.at + 1 if new.status is Status.PENDING else None,
                0,
                self.sale.unit_price_minor,
                self.sale.currency,
            )
            self.orders.append(list(order))
            self._step(self.orders[-1], new.trigger)
        self._commit({shard.shard_id: shard for shard in decision.shards}, decision.cause)
        return decision

    def request(self, customer: str, units: int) -> OrderRequest:
        name = order_id(SALE_ID, customer, f"key of {customer}")
        return OrderRequest(customer, name, units, fingerprint(units, "tok"), "tok", NOON)

    def release(self, order: list[Any], trigger: Trigger) -> None:
        """A hold ends, and its units go to the waitlist's head in the same commit."""
        self.now += STEP
        units, home = order[3], order[4]
        self._step(order, trigger)
        freed = replace(self.shards[home], available=self.shards[home].available + units)
        self._promote({**self.shards, home: freed}, 0, Cause.PLACED)

    def restock(self, units: int) -> None:
        self.now += STEP
        self.sale = replace(self.sale, stock=self.sale.stock + units)
        self._promote(dict(self.shards), units, Cause.RESTOCKED)

    def leave(self, order: list[Any]) -> None:
        """A waiting customer cancels."""
        self.now += STEP
        self._step(order, Trigger.CANCEL)
        shard = self.shards[order[4]]
        self._commit({shard.shard_id: replace(shard, waiting=shard.waiting - 1)}, Cause.PLACED)

    def authorize(self, order: list[Any]) -> None:
        self.now += STEP
        self._step(order, Trigger.AUTHORIZE)

    def waiting(self) -> list[list[Any]]:
        """Who waits, in queue order."""
        return sorted((o for o in self.orders if o[2] == "WAITLISTED"), key=lambda o: (o[6], o[4], o[5]))

    def _promote(self, shards: dict[int, ShardState], new_units: int, cause: Cause) -> None:
        book = StockBook(shards.values())
        line = [WaitingOrder(o[0], o[1], o[3], o[4], NOON + timedelta(microseconds=o[6]), o[5]) for o in self.waiting()]
        promotion, used = promote(self.sale, book, line, new_units, 100)
        spread_over(book, sorted(shards), new_units - used)
        for promoted in promotion.orders:
            self._step(next(o for o in self.orders if o[1] == promoted.order_id), promotion.trigger)
        after = shards | {shard.shard_id: shard for shard in book.changes()}
        moved = sum(_differs(after[i], self.shards[i]) for i in after) > 1
        self._commit(after, Cause.MOVED if moved and cause is Cause.PLACED else cause)

    def _step(self, order: list[Any], trigger: Trigger) -> None:
        """One transition of an order, with its event and its outbox row."""
        step = transition(NEW if order[2] == "new" else Status(order[2]), trigger)
        order[2], order[9] = step.status.value, order[9] + 1
        order[7] = order[6] if step.status is Status.WAITLISTED else None
        order[8] = self.at + 1 if step.status in (Status.PENDING, Status.AUTHORIZED) else None
        self.events.append([order[0], order[1], order[9], step.status.value, trigger.value, self.at])
        shard = outbox_shard(SALE_ID, order[4])
        self.outbox.append([order[1], order[9], step.event, shard, self.at, step.status.value])

    def _commit(self, shards: dict[int, ShardState], cause: Cause) -> None:
        for shard_id, shard in shards.items():
            before = self.shards[shard_id]
            if cause is Cause.CREATED or _differs(shard, before):
                after = replace(shard, version=before.version + 1)
                self.shards[shard_id] = after
                self.ledger.append(
                    [shard_id, after.version, after.allocated, after.available, after.waiting, cause.value, self.at]
                )

    @contextmanager
    def evidence(self) -> Iterator[Evidence]:
        as_of = self.now + timedelta(seconds=1)
        shards = list(self.shards.values())
        stand = SaleStand(self.sale, as_of, self.created_at, shards, self.orders_log(), micros(self.created_at))
        with Workspace() as workspace:
            tables = (self.orders, self.events, self.outbox, self.ledger, self.redemptions)
            fill(workspace, SaleRows(*map(iter, tables)))
            attempts = iter(self.attempts) if self.attempts is not None else None
            yield evidence_of(stand, workspace, attempts, *self.money(workspace))

    def orders_log(self) -> list[LogShard]:
        """The cursors of the orders' outbox: nothing is published."""
        return []

    def money(self, workspace: Workspace) -> tuple[Logs, MoneyEvidence | None, Demands]:
        """The logs, the money and what is asked of the audit: nothing is compared."""
        return Logs(workspace, self.orders_log()), None, Demands()

    def audit(self) -> dict[str, list[str]]:
        """What each broken check says, by its name."""
        return {finding.name: said(finding) for finding in self.findings() if not finding.is_clean}

    def findings(self) -> list[Finding]:
        with self.evidence() as evidence:
            return run_checks(evidence)


def said(finding: Finding) -> list[str]:
    return [f"{violation.row}: {violation.says}" for violation in finding.violations]


def _differs(one: ShardState, other: ShardState) -> bool:
    return (one.allocated, one.available, one.waiting) != (other.allocated, other.available, other.waiting)


def told(
    order: Sequence[Any], line: int, sent_ms: int, answered_ms: int | None, status: int | None = 201, **other: Any
) -> Attempt:
    """An attempt for a stored order, confirmed as it began unless said otherwise."""
    confirmed = status in (200, 201)
    fields: dict[str, Any] = {
        "line": line,
        "customer_id": order[0],
        "order_id": order[1],
        "units": order[3],
        "sent_ns": sent_ms * 1_000_000,
        "answered_ns": None if answered_ms is None else answered_ms * 1_000_000,
        "status": status,
        "said_order_id": order[1] if confirmed else None,
        "said_status": order[2] if confirmed else None,
        "placed_at": order[6] if confirmed else None,
        "shard_id": order[4] if confirmed else None,
        "seq": order[5] if confirmed else None,
        "problem": None,
        "as_of": None,
        "age_ms": None,
        "error": None if answered_ms is not None else "timeout",
    }
    return Attempt(**{**fields, **other})
