"""A whole shop in processes, and a real Chromium that visits it. Without a Chromium on this machine these tests are skipped."""

import os
import shutil
import uuid
from collections.abc import Iterator

import pytest
from browser_samples import BrowserShop, Visitors
from playwright.sync_api import Browser, sync_playwright

from app.local.crew import crew, service_environment
from app.messaging.topics import ensure_topics
from app.settings import Settings
from app.storage import schema
from app.storage.database import connect
from emulator import Emulators

CHROMIUM = os.environ.get("FAIRDROP_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
PROCESSES = ("gateway", "relay", "payments-relay", "payments", "settlement", "deadlines", "api")


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """One browser for all; each visitor has a context of their own in it."""
    if CHROMIUM is None:
        pytest.skip("no Chromium: apt-get install chromium, or name one in FAIRDROP_CHROMIUM")
    with sync_playwright() as playwright:
        # As root Chromium has no sandbox; the only pages it opens here are our own.
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def browser_shop(
    chromium: Browser,
    emulators: Emulators,
    pubsub_emulator: Emulators,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[BrowserShop]:
    """Every process of the service, on databases and topics of its own; the gateway answers at once and declines nobody."""
    mark = uuid.uuid4().hex[:8]
    folder = tmp_path_factory.mktemp("browser")
    settings = Settings(
        spanner_project="fairdrop-test",
        spanner_instance="fairdrop-test",
        spanner_database=f"browser-{mark}",
        payments_database=f"browser-{mark}-pay",
        pubsub_project=f"browser-{mark}",
        state_dir=folder,
        lease_seconds=2.0,
    )
    schema.apply(settings, database_id=settings.spanner_database, folder=schema.SCHEMA_ROOT / "orders")
    schema.apply(settings, database_id=settings.payments_database, folder=schema.SCHEMA_ROOT / "payments")
    ensure_topics(settings.broker_project, ack_deadline_seconds=10)
    environment, addresses = service_environment(settings, workers=2)
    with crew({**os.environ, **environment}, addresses, folder / "logs", *PROCESSES) as team:
        yield BrowserShop(team.addresses.api, settings, connect(settings))
    connect(settings, settings.payments_database).drop()
    connect(settings).drop()


@pytest.fixture
def visitors(chromium: Browser, browser_shop: BrowserShop) -> Iterator[Visitors]:
    """Opens pages; when the test is over, none of them may have had an error, or a request that the policy forbids."""
    opened = Visitors(chromium, browser_shop)
    yield opened
    opened.close()
