"""Visitors of the shop's pages, and what the tests ask of those pages."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page
from sale_samples import put_up

from app.domain.sale import Sale
from app.http.local_issuer import LocalIssuer
from app.messaging.events import PAYMENTS_SOURCE
from app.messaging.publisher import Publisher
from app.messaging.topics import PAYMENT_EVENTS
from app.settings import Settings
from app.storage.database import FairdropDatabase

PATIENCE_MS = 30_000
"""Ends a test that would hang; nothing is expected to take it."""

PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}

# An answer that is a problem is a line on the browser's console, and so is a connection that a test has cut.
EXPECTED_LINES = ("Failed to load resource",)


@dataclass(frozen=True)
class BrowserShop:
    """Where the service is, and its database."""

    url: str
    settings: Settings
    database: FairdropDatabase

    def put_up(self, **terms: Any) -> Sale:
        """A sale; free, open since an hour ago, 100 units, unless the terms say otherwise."""
        return put_up(self.database, **terms)

    def token(self, subject: str, *roles: str) -> str:
        """A token as the host app would hand it over."""
        return LocalIssuer.load(self.settings).token(subject, roles)


@dataclass
class Visitors:
    """The browser's pages of one test."""

    browser: Browser
    shop: BrowserShop
    contexts: list[BrowserContext] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def visit(self, path: str, token: str | None = None, **options: Any) -> Page:
        """A visitor's page, in a context of its own; with a token, signed in."""
        context = self.browser.new_context(base_url=self.shop.url, viewport=PHONE, locale="en-GB", **options)
        context.set_default_timeout(PATIENCE_MS)
        self.contexts.append(context)
        if token is not None:
            context.add_init_script(
                f"if (!sessionStorage['fairdrop.session']) "
                f"sessionStorage['fairdrop.session'] = JSON.stringify({{token: '{token}'}})"
            )
        page = context.new_page()
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", self._hear)
        page.on("request", self._check)
        page.goto(path)
        return page

    def buy(self, sale: Sale, customer: str, **options: Any) -> Page:
        """A signed-in customer at a sale."""
        return self.visit(f"/sales/{sale.sale_id}", self.shop.token(customer), **options)

    def _hear(self, message: Any) -> None:
        if message.type == "error" and not message.text.startswith(EXPECTED_LINES):
            self.faults.append(message.text)

    def _check(self, request: Any) -> None:
        if not request.url.startswith((self.shop.url, "data:", "blob:")):
            self.faults.append(f"asked somebody else: {request.url}")

    def close(self) -> None:
        """Close all; fails when any page had a fault."""
        for context in self.contexts:
            context.close()
        assert not self.faults, self.faults


def let_a_letter_be_dead(shop: BrowserShop) -> None:
    """A message that nobody can read."""
    publisher = Publisher(shop.settings.broker_project, PAYMENT_EVENTS.dead_topic, PAYMENTS_SOURCE)
    publisher.publish_raw(b"not an event", {"reason": "unreadable: not JSON"})
    publisher.close()


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that must come about."""
    give_up = time.monotonic() + PATIENCE_MS / 1_000
    while not condition():
        assert time.monotonic() < give_up, "it did not come about"
        time.sleep(0.05)


@cache
def _axe() -> Axe:
    return Axe()


def assert_accessible(page: Page) -> None:
    """No violation of WCAG 2.2 A and AA that axe can find."""
    found = _axe().run(
        page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
    )
    report = [
        f"{each['id']}: {each['help']}: {[node['target'] for node in each['nodes']]}"
        for each in found.response["violations"]
    ]
    assert not report, report
