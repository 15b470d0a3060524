"""The main job from nothing, on one machine: emulators, schema, all processes, a sale, a rush, payments, and the audit."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Any

from app.http.local_issuer import LocalIssuer
from app.http.tokens import SELLER
from app.local.children import Child, ChildFailed, child, wait_for_http
from app.local.crew import Addresses, service_environment
from app.local.report_page import write_page
from app.local.settling import Cancellers, Spread, Standing, authorization_lag, post, wait_until
from app.rush.local_tokens import LocalTokens
from app.rush.options import RushOptions
from app.rush.plan import Shares
from app.rush.report import RushReport
from app.rush.runner import ProgressHook, run_rush
from app.services.audit.money import MoneySources
from app.services.audit.report import AuditReport, audit
from app.settings import Settings, load_settings
from app.storage.database import FairdropDatabase, connect
from app.storage.schema import SCHEMA_ROOT, apply
from emulator import running

SALE_ID = "iphone"
SALE_NAME = "iPhone, half price"
UNIT_PRICE_MINOR = 49_900
LIMIT_PER_CUSTOMER = 5
RUSH_PROCESSES = 2
AUDIT_DEADLINE_SECONDS = 60.0
CROWD = Shares(double=0.02, retry=0.02, dropped=0.01, false_time=0.02, several=0.1)
"""Of a real crowd: some send twice, retry, hang up, lie about the time, want several."""

GATEWAY_OPTIONS = "--decline-rate 0.3 --timeout-rate 0.05 --lost-rate 0.05 --hold-seconds 2 --delay-ms 20"
"""A third of the cards is declined, every twentieth answer comes too late, every twentieth never."""
DUPLICATE_SHARE = 0.02
CANCEL_PERCENT = 3
CANCEL_WINDOW_SECONDS = 15
HOLD_SECONDS = 120
SETTLE_SECONDS = 600.0
LAPSE_SECONDS = 120.0
LAST_VOIDS_SECONDS = 60.0

Say = Callable[[str], None]


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
    signal.signal(signal.SIGTERM, _interrupt)
    state_dir = options.state_dir.absolute()
    state_dir.mkdir(parents=True, exist_ok=True)
    say("starting the emulators of Spanner and Pub/Sub")
    with running(spanner=True, pubsub=True) as emulators:
        os.environ.update(emulators.environment)
        settings = _settings(state_dir)
        say(f"applying the schema to databases {settings.spanner_database} and {settings.payments_database}")
        apply(settings, database_id=settings.spanner_database, folder=SCHEMA_ROOT / "orders")
        apply(settings, database_id=settings.payments_database, folder=SCHEMA_ROOT / "payments")
        say(f"starting every process of scripts/Procfile; the API with {options.workers} gevent worker(s)")
        with whole_service(settings, options.workers, GATEWAY_OPTIONS) as (addresses, stack):
            token = LocalIssuer.load(settings).token("seller", (SELLER,))
            say(f"creating the sale: {options.stock:,} units of “{SALE_NAME}” at {addresses.api}")
            create_sale(addresses.api, token, options)
            yield _play(options, settings, addresses, token, stack, say, progress)


@contextmanager
def whole_service(settings: Settings, workers: int, gateway_options: str) -> Iterator[tuple[Addresses, Child]]:
    """Every process of the Procfile for the length of a block; yields where it is."""
    environment, addresses = service_environment(
        settings, workers=workers, gateway_options=gateway_options, duplicate_share=DUPLICATE_SHARE
    )
    command = [sys.executable, "-m", "app.cli", "stack"]
    with child("the service", command, environment, settings.state_dir / "service.log") as stack:
        wait_for_http(f"{addresses.api}/readyz", stack)
        wait_for_http(f"{addresses.gateway}/healthz", stack)
        yield addresses, stack


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
    rush = run_rush(_crowd(options, settings, url, answers), progress)
    if rush.is_interrupted:
        raise KeyboardInterrupt
    say("the payments settle: holds expire, cards are declined, the waitlist moves up")
    settled = wait_until(database, SALE_ID, lambda now: now.is_settled, SETTLE_SECONDS, lambda now: say(_told(now)))
    cancellers.stop()
    stack.check()
    if not settled.is_settled:
        raise ChildFailed(f"the payments have not settled in {SETTLE_SECONDS:.0f} s; see {stack.log_path}")
    say("closing the sale; whoever still waits is let go")
    post(f"{url}/v1/admin/sales/{SALE_ID}/close", token)
    final = wait_until(
        database, SALE_ID, lambda now: not now.orders.get("WAITLISTED"), LAPSE_SECONDS, lambda now: say(_told(now))
    )
    say("auditing every row, every answer, every payment, and the gateway's own book")
    verdict = _settled_audit(database, answers, money)
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


def _settled_audit(database: FairdropDatabase, answers: Path, money: MoneySources) -> AuditReport:
    """The audit once the last voids are through: that no order is under way does not say that they are."""
    give_up = time.monotonic() + LAST_VOIDS_SECONDS
    while True:
        report = audit(database, SALE_ID, answers, None, money=money, settled=True)
        if not report.broken or time.monotonic() > give_up:
            return report
        time.sleep(2.0)


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


def _told(now: Standing) -> str:
    return "  " + ", ".join(f"{status} {count:,}" for status, count in sorted(now.orders.items()))


def _settings(state_dir: Path) -> Settings:
    """Databases and topics of this run's own: emulators that were there before keep what they have."""
    name = f"demo-{datetime.now(UTC):%m%d-%H%M%S}"
    changes = {
        "environment": "development",
        "state_dir": state_dir,
        "spanner_database": name,
        "payments_database": f"{name}-pay",
        "pubsub_project": f"fair{name}",
    }
    return load_settings().model_copy(update=changes)


def create_sale(url: str, token: str, options: DemoOptions) -> dict[str, Any]:
    """Create and open the demo's sale as a seller would, by HTTP; returns what the service says of it."""
    now = datetime.now(UTC)
    body = {
        "sale_id": SALE_ID,
        "name": SALE_NAME,
        "unit_price_minor": UNIT_PRICE_MINOR,
        "currency": "EUR",
        "stock": options.stock,
        "limit_per_customer": LIMIT_PER_CUSTOMER,
        "expected_crowd": options.buyers,
        "hold_seconds": HOLD_SECONDS,
        "cancel_window_seconds": CANCEL_WINDOW_SECONDS,
        "opens_at": (now - timedelta(seconds=1)).isoformat(),
        "closes_at": (now + timedelta(hours=2)).isoformat(),
    }
    return post(f"{url}/v1/admin/sales", token, body)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
