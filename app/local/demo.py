"""The main job from nothing, on one machine: emulators, schema, service, a sale, a rush, and the audit's verdict."""

import os
import signal
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Any

import orjson

from app.http.local_issuer import LocalIssuer
from app.http.tokens import SELLER
from app.local.children import serving
from app.local.report_page import write_page
from app.rush.local_tokens import LocalTokens
from app.rush.options import RushOptions
from app.rush.plan import Shares
from app.rush.report import RushReport
from app.rush.runner import ProgressHook, run_rush
from app.services.audit.report import AuditReport, audit
from app.settings import Settings, load_settings
from app.storage.database import connect
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
    page: Path
    seller_token: str


@contextmanager
def demo(options: DemoOptions, say: Any, progress: ProgressHook | None) -> Iterator[DemoResult]:
    """Play the demo; the service runs until the block is left, and nothing is left running after it.

    SIGTERM ends it as Ctrl-C does. Raises EmulatorError, ChildFailed or RushNotPossibleError with what to do about it.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    state_dir = options.state_dir.absolute()
    say("starting the Spanner emulator")
    with running(spanner=True) as emulators:
        os.environ.update(emulators.environment)
        settings = _settings(state_dir)
        say(f"applying the schema to database {settings.spanner_database}")
        apply(settings, database_id=settings.spanner_database, folder=SCHEMA_ROOT / "orders")
        say(f"starting the service: gunicorn with {options.workers} gevent worker(s)")
        environment = {
            "FAIRDROP_STATE_DIR": str(state_dir),
            "FAIRDROP_SPANNER_DATABASE": settings.spanner_database,
            "FAIRDROP_ENVIRONMENT": settings.environment,
        }
        with serving(environment, state_dir / "service.log", workers=options.workers) as (url, _server):
            token = LocalIssuer.load(settings).token("seller", (SELLER,))
            say(f"creating the sale: {options.stock:,} units of “{SALE_NAME}” at {url}")
            create_sale(url, token, options)
            yield _play(options, settings, url, token, say, progress)


def _play(
    options: DemoOptions, settings: Settings, url: str, token: str, say: Any, progress: ProgressHook | None
) -> DemoResult:
    say(f"{options.buyers:,} buyers rush in")
    answers = settings.state_dir / "rush.jsonl"
    rush = run_rush(
        RushOptions(
            sale_id=SALE_ID,
            tokens=LocalTokens(settings),
            answers=answers,
            url=url,
            buyers=options.buyers,
            processes=RUSH_PROCESSES,
            shares=CROWD,
        ),
        progress,
    )
    if rush.is_interrupted:
        raise KeyboardInterrupt
    say("auditing every row, and every answer against the rows")
    patient = settings.model_copy(update={"rpc_deadline_seconds": AUDIT_DEADLINE_SECONDS})
    verdict = audit(connect(patient), SALE_ID, answers, None)
    page = settings.state_dir / "report.html"
    write_page(page, SALE_NAME, rush, verdict, answers)
    return DemoResult(url, rush, verdict, page, token)


def _settings(state_dir: Path) -> Settings:
    """A database of this run's own: an emulator that was there before keeps what it has."""
    name = f"demo-{datetime.now(UTC):%m%d-%H%M%S}"
    changes = {"environment": "development", "state_dir": state_dir, "spanner_database": name}
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
        "opens_at": (now - timedelta(seconds=1)).isoformat(),
        "closes_at": (now + timedelta(hours=2)).isoformat(),
    }
    request = urllib.request.Request(  # noqa: S310  # an address of ours
        f"{url}/v1/admin/sales",
        data=orjson.dumps(body),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310  # an address of ours
        created: dict[str, Any] = orjson.loads(response.read())
        return created


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
