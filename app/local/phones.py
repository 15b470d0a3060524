"""The scenario “noon”: 100 phones, strictly first come, first served, and not one order before the opening.

The crowd comes before, at and after it; who comes too early is told in how long the sale opens, and is there again then.
"""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from app.domain.timestamps import rfc3339
from app.local.children import ChildFailed
from app.local.own_service import Say, create_sale, own_databases, seller_token, whole_service
from app.local.promises import Promise, Refusals, refusals_of
from app.local.settling import AUDIT_DEADLINE_SECONDS, SETTLE_SECONDS, Standing, close, settle, settled_audit
from app.local.tokens_file import sign_tokens
from app.rush.options import RushOptions
from app.rush.plan import Shares
from app.rush.report import RushReport
from app.rush.runner import ProgressHook, run_whole_rush
from app.rush.tokens import FileTokens
from app.services.audit.money import MoneySources
from app.services.audit.report import AuditReport
from app.services.fairness import fairness
from app.services.fairness_report import FairnessReport
from app.storage.database import FairdropDatabase, connect, snapshot

SALE_ID = "phones"
SALE_NAME = "100 phones at noon"
UNIT_PRICE_MINOR = 99_900
HOLD_SECONDS = 60
CANCEL_WINDOW_SECONDS = 2
GATEWAY_OPTIONS = "--decline-rate 0.1 --delay-ms 20"
"""Every tenth card is declined, so the waitlist moves."""

OPENS_IN_SECONDS = 4.0
"""From the sale's making: the crowd's processes start within about one second, so it is there well before."""

CROWD_SECONDS = 8.0
"""Over which the crowd comes, evenly."""

CROWD = Shares(double=0.02, retry=0.02, dropped=0.01, false_time=0.02)
RUSH_PROCESSES = 2
TRIES = 200
"""Of one request: who is told that it opens in a millisecond may ask a few times."""

FIRST_ORDER_WITHIN_MS = 100.0
MEMORY_SHARE = 0.5
"""“Mostly”."""


@dataclass(frozen=True, slots=True)
class PhonesOptions:
    """How large the scenario is. `state_dir` gets its logs and answers."""

    buyers: int
    phones: int
    workers: int
    state_dir: Path


@dataclass(frozen=True, slots=True)
class Opening:
    """When the first order was committed, and how many before the opening: all by the database's clock."""

    opens_at: datetime
    first_order_at: datetime | None
    orders_before: int

    @property
    def first_after_ms(self) -> float | None:
        """From the opening to the first order's commit, in milliseconds; None without an order."""
        if self.first_order_at is None:
            return None
        return (self.first_order_at - self.opens_at) / timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class PhonesResult:
    """What the scenario found."""

    options: PhonesOptions
    rush: RushReport
    opening: Opening
    refusals: Refusals
    standing: Standing
    audit: AuditReport
    fairness: FairnessReport

    @property
    def promises(self) -> list[Promise]:
        """What was promised, and whether it was kept."""
        first, memory = self.opening.first_after_ms, self.refusals.memory_share
        faults = sum(count for kind, count in self.rush.answers_by_kind.items() if kind.startswith("500"))
        return [
            Promise(
                "no order before the opening", f"{self.opening.orders_before:,} orders", not self.opening.orders_before
            ),
            Promise(
                f"the first order within {FIRST_ORDER_WITHIN_MS:.0f} ms of the opening",
                "no order" if first is None else f"{first:,.1f} ms",
                first is not None and 0 <= first <= FIRST_ORDER_WITHIN_MS,
            ),
            Promise("every buyer answered", f"{self.rush.unanswered:,} were not", not self.rush.unanswered),
            Promise("no fault", f"{faults:,} answers of 500", not faults),
            Promise(
                "refused mostly from memory",
                "nobody was refused" if memory is None else f"{100 * memory:.1f} %",
                memory is None or memory > MEMORY_SHARE,
            ),
            Promise(
                "every phone sold, none twice",
                f"{self.standing.placed_units:,} of {self.options.phones:,} PLACED",
                self.standing.placed_units == self.options.phones,
            ),
            Promise("the line agrees with real time", self.fairness.verdict, not self.fairness.is_unfair),
            Promise("the audit", self.audit.verdict, not self.audit.broken),
        ]

    def as_json(self) -> dict[str, Any]:
        """All of it as plain values."""
        first = self.opening.first_order_at
        return {
            "scenario": "phones",
            "kept": all(promise.is_kept for promise in self.promises),
            "promises": [asdict(promise) for promise in self.promises],
            "opening": {
                "opens_at": rfc3339(self.opening.opens_at),
                "first_order_at": rfc3339(first) if first else None,
                "first_order_after_ms": self.opening.first_after_ms,
                "orders_before": self.opening.orders_before,
            },
            "refusals": {**asdict(self.refusals), "memory_share": self.refusals.memory_share},
            "orders": dict(self.standing.orders),
            "rush": self.rush.as_json(),
            "fairness": self.fairness.as_json(),
            "audit": self.audit.as_json(),
        }


def play_phones(options: PhonesOptions, say: Say, progress: ProgressHook | None) -> PhonesResult:
    """Play the scenario from nothing, and leave nothing running.

    Raises EmulatorError, ChildFailed or RushNotPossibleError with what to do about it.
    """
    with own_databases("noon", options.state_dir, say) as settings:
        say(f"starting every process of scripts/Procfile; the API with {options.workers} gevent worker(s)")
        with whole_service(settings, options.workers, GATEWAY_OPTIONS) as (addresses, stack):
            database = connect(settings.model_copy(update={"rpc_deadline_seconds": AUDIT_DEADLINE_SECONDS}))
            payments = connect(settings, settings.payments_database)
            tokens = sign_tokens(settings, options.buyers, say)
            token = seller_token(settings)
            opens_at = _create(addresses.api, token, options)
            say(
                f"{options.buyers:,} buyers; {options.phones:,} phones from {rfc3339(opens_at)} on, by the database's clock"
            )
            answers = settings.state_dir / "rush.jsonl"
            rush = run_whole_rush(_crowd(options, tokens, addresses.api, answers), progress)
            say("the payments settle, and the sale is closed")
            settled = settle(database, SALE_ID, say)
            stack.check()
            if not settled.is_settled:
                raise ChildFailed(f"the payments have not settled in {SETTLE_SECONDS:.0f} s; see {stack.log_path}")
            final = close(database, addresses.api, token, SALE_ID, say)
            say("auditing every row, every answer, every payment, and measuring how fair it was")
            with answers.open("rb") as lines:
                refusals = refusals_of(lines)
            return PhonesResult(
                options,
                rush,
                opening_of(database, SALE_ID),
                refusals,
                final,
                settled_audit(
                    database,
                    SALE_ID,
                    answers,
                    MoneySources(payments, addresses.gateway),
                    "fairdrop scenario phones",
                    say,
                ),
                fairness(database, SALE_ID, answers),
            )


def opening_of(database: FairdropDatabase, sale_id: str) -> Opening:
    """The first order of a sale against its opening."""
    sql = """
        SELECT ANY_VALUE(s.OpensAt), MIN(o.PlacedAt), COUNTIF(o.PlacedAt < s.OpensAt)
        FROM Sales s LEFT JOIN Orders o ON o.SaleId = s.SaleId WHERE s.SaleId = @sale"""
    with snapshot(database) as reads:
        ((opens_at, first, before),) = reads.execute_sql(sql, params={"sale": sale_id})
    return Opening(opens_at, first, before)


def _create(url: str, token: str, options: PhonesOptions) -> datetime:
    opens_at = datetime.now(UTC) + timedelta(seconds=OPENS_IN_SECONDS)
    create_sale(
        url,
        token,
        sale_id=SALE_ID,
        name=SALE_NAME,
        unit_price_minor=UNIT_PRICE_MINOR,
        currency="EUR",
        stock=options.phones,
        limit_per_customer=1,
        expected_crowd=options.buyers,
        hold_seconds=HOLD_SECONDS,
        cancel_window_seconds=CANCEL_WINDOW_SECONDS,
        opens_at=opens_at,
        closes_at=opens_at + timedelta(hours=1),
    )
    return opens_at


def _crowd(options: PhonesOptions, tokens: FileTokens, url: str, answers: Path) -> RushOptions:
    return RushOptions(
        sale_id=SALE_ID,
        tokens=tokens,
        answers=answers,
        url=url,
        buyers=options.buyers,
        processes=RUSH_PROCESSES,
        arrivals="open",
        rate_per_second=options.buyers / CROWD_SECONDS,
        shares=CROWD,
        tries_limit=TRIES,
        waits_for_opening=True,
    )
