"""The main job from nothing, on one machine: emulators, schema, all processes, a sale, a rush, payments, and the audit."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from app.local.children import Child, ChildFailed
from app.local.crew import Addresses
from app.local.own_service import Say, create_sale, own_databases, seller_token, whole_service
from app.local.report_page import write_page
from app.local.settling import (
    AUDIT_DEADLINE_SECONDS,
    SETTLE_SECONDS,
    Cancellers,
    Spread,
    Standing,
    authorization_lag,
    close,
    settle,
    settled_audit,
)
from app.rush.local_tokens import LocalTokens
from app.rush.options import RushOptions
from app.rush.plan import Shares
from app.rush.report import RushReport
from app.rush.runner import ProgressHook, run_whole_rush
from app.services.audit.money import MoneySources
from app.services.audit.report import AuditReport
from app.settings import Settings
from app.storage.database import connect

SALE_ID = "iphone"
SALE_NAME = "iPhone, half price"
UNIT_PRICE_MINOR = 49_900
LIMIT_PER_CUSTOMER = 5
RUSH_PROCESSES = 2
CROWD = Shares(double=0.02, retry=0.02, dropped=0.01, false_time=0.02, several=0.1)
"""Of a real crowd: some send twice, retry, hang up, lie about the time, want several."""

GATEWAY_OPTIONS = "--decline-rate 0.3 --timeout-rate 0.05 --lost-rate 0.05 --hold-seconds 2 --delay-ms 20"
"""A third of the cards is declined, every twentieth answer comes too late, every twentieth never."""
DUPLICATE_SHARE = 0.02
CANCEL_PERCENT = 3
CANCEL_WINDOW_SECONDS = 15
HOLD_SECONDS = 120


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """How large the demo is. `state_dir` gets its logs, answers and page."""

    buyers: int
    stock: int
    workers: int
    state_dir: Path


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What a demo found, and where it can be looked at while the service still runs."""

    url: str
    rush: RushReport
    audit: AuditReport
    standing: Standing
    lag: Spread | None
    cancelled: int
    is_sold: bool
    page: Path
    seller_token: str


@contextmanager
def demo(options: DemoOptions, say: Say, progress: ProgressHook | None) -> Iterator[DemoResult]:
    """Play the demo; the service runs until the block is left, and nothing is left running after it.

    SIGTERM ends it as Ctrl-C does. Raises EmulatorError, ChildFailed or RushNotPossibleError with what to do about it.
    """
    with own_databases("demo", options.state_dir, say) as settings:
        say(f"starting every process of scripts/Procfile; the API with {options.workers} gevent worker(s)")
        with whole_service(settings, options.workers, GATEWAY_OPTIONS, DUPLICATE_SHARE) as (addresses, stack):
            token = seller_token(settings)
            say(f"creating the sale: {options.stock:,} units of “{SALE_NAME}” at {addresses.api}")
            _create_sale(addresses.api, token, options)
            yield _play(options, settings, addresses, token, stack, say, progress)


def _play(
    options: DemoOptions,
    settings: Settings,
    addresses: Addresses,
    token: str,
    stack: Child,
    say: Say,
    progress: ProgressHook | None,
) -> DemoResult:
    url = addresses.api
    patient = settings.model_copy(update={"rpc_deadline_seconds": AUDIT_DEADLINE_SECONDS})
    database = connect(patient)
    money = MoneySources(connect(patient, settings.payments_database), addresses.gateway)
    answers = settings.state_dir / "rush.jsonl"
    say(f"{options.buyers:,} buyers rush in; every {100 // CANCEL_PERCENT}rd of those with an order thinks again")
    cancellers = Cancellers(settings, url, SALE_ID, CANCEL_PERCENT)
    cancellers.start()
    rush = run_whole_rush(_crowd(options, settings, url, answers), progress)
    say("the payments settle: holds expire, cards are declined, the waitlist moves up")
    settled = settle(database, SALE_ID, say)
    cancellers.stop()
    stack.check()
    if not settled.is_settled:
        raise ChildFailed(f"the payments have not settled in {SETTLE_SECONDS:.0f} s; see {stack.log_path}")
    say("closing the sale; whoever still waits is let go")
    final = close(database, url, token, SALE_ID, say)
    say("auditing every row, every answer, every payment, and the gateway's own book")
    verdict = settled_audit(database, SALE_ID, answers, money, "fairdrop demo", say)
    page = settings.state_dir / "report.html"
    write_page(page, SALE_NAME, UNIT_PRICE_MINOR, rush, final, verdict, answers)
    is_sold = final.placed_units == options.stock
    return DemoResult(
        url,
        rush,
        verdict,
        final,
        authorization_lag(database, SALE_ID),
        cancellers.cancelled,
        is_sold,
        page,
        token,
    )


def _crowd(options: DemoOptions, settings: Settings, url: str, answers: Path) -> RushOptions:
    return RushOptions(
        sale_id=SALE_ID,
        tokens=LocalTokens(settings),
        answers=answers,
        url=url,
        buyers=options.buyers,
        processes=RUSH_PROCESSES,
        shares=CROWD,
    )


def _create_sale(url: str, token: str, options: DemoOptions) -> None:
    now = datetime.now(UTC)
    create_sale(
        url,
        token,
        sale_id=SALE_ID,
        name=SALE_NAME,
        unit_price_minor=UNIT_PRICE_MINOR,
        currency="EUR",
        stock=options.stock,
        limit_per_customer=LIMIT_PER_CUSTOMER,
        expected_crowd=options.buyers,
        hold_seconds=HOLD_SECONDS,
        cancel_window_seconds=CANCEL_WINDOW_SECONDS,
        opens_at=now - timedelta(seconds=1),
        closes_at=now + timedelta(hours=2),
    )
