"""Requests made up from our own OpenAPI document, by a tool that knows nothing else of us: every answer is one that we promise."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sale_samples import put_up
from system_service import Service, service

from app.http.local_issuer import LocalIssuer
from app.settings import Settings
from app.storage.database import FairdropDatabase
from emulator import Emulators

TOOL = [sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()", "run"]

UNSAID = "positive_data_acceptance"
"""The one check that is left out. Rules that no schema can say are told with a 400: times in their order, a currency that
exists, a page token that was ours, 1 and not 1.0."""

BUYERS_PATHS = "^/v1/(sales|orders)"
EXAMPLES = 8
EVENTS = 2
"""Read of each stream of events: a seller's has one a second, and never ends by itself."""


@pytest.fixture(scope="module")
def unlimited(settings: Settings, emulators: Emulators, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that lets one customer ask as often as it likes."""
    log_path = tmp_path_factory.mktemp("logs") / "service.log"
    limits = {"FAIRDROP_CUSTOMER_REQUESTS_PER_SECOND": "0"}
    with service(settings, emulators.environment, log_path, workers=2, **limits) as started:
        yield started


def hold_to_its_word(
    started: Service, folder: Path, roles: tuple[str, ...], *options: str, parameters: str = ""
) -> str:
    """Run the tool; it must find nothing. What it has said."""
    (folder / "schemathesis.toml").write_text(f"max-stream-events = {EVENTS}\n{parameters}")
    token = LocalIssuer.load(started.settings).token("anybody", roles)
    command = [*TOOL, f"{started.url}/openapi.json", "--header", f"Authorization: Bearer {token}"]
    command += ["--exclude-checks", UNSAID, "--max-examples", str(EXAMPLES), "--workers", "1", "--seed", "1", *options]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in started.log()
    return done.stdout


def test_whatever_the_document_lets_one_send_is_answered_as_it_says(
    unlimited: Service, database: FairdropDatabase, tmp_path: Path
) -> None:
    put_up(database, sale_id="0")
    # A stream of an order that changes no more ends at once; here nobody knows which that would be.
    options = ("--phases", "examples,coverage,fuzzing", "--exclude-operation-id", "outcomes_follow")
    # In development the figures are for everybody; test_http_metrics has their token.
    options += ("--exclude-path", "/metrics")
    # They are Pub/Sub's, which is not there; test_http_reports has it.
    options += ("--exclude-path", "/v1/admin/dead-letters")
    said = hold_to_its_word(unlimited, tmp_path, ("seller",), *options)
    assert "Selected: 26/29" in said


def test_orders_are_placed_shown_followed_and_cancelled_in_any_order_as_the_document_says(
    unlimited: Service, database: FairdropDatabase, tmp_path: Path
) -> None:
    put_up(database, sale_id="open", stock=1_000_000, limit_per_customer=1_000)
    options = ("--phases", "stateful", "--include-path-regex", BUYERS_PATHS)
    said = hold_to_its_word(unlimited, tmp_path, (), *options, parameters='[parameters]\nsale_id = "open"\n')
    assert "Stateful" in said
