"""A service of its own on this machine for the length of a block: emulators, databases, schema and processes. Leaves nothing."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from app.gateway_simulator.options import BOOK_NAME
from app.http.local_issuer import LocalIssuer
from app.http.tokens import SELLER
from app.local.children import Child, child, wait_for_http
from app.local.crew import Addresses, service_environment
from app.local.settling import post
from app.settings import Settings, load_settings
from app.storage.schema import SCHEMA_ROOT, apply
from emulator import running

Say = Callable[[str], None]


@contextmanager
def own_databases(name: str, state_dir: Path, say: Say) -> Iterator[Settings]:
    """Emulators with both databases, empty, and settings to reach them; in the environment of this process too.

    SIGTERM ends the block as Ctrl-C does. Raises EmulatorError with what to do about it.
    """
    interrupt_on_sigterm()
    say("starting the emulators of Spanner and Pub/Sub")
    with running(spanner=True, pubsub=True) as emulators:
        os.environ.update(emulators.environment)
        settings = own_settings(name, state_dir)
        say(f"applying the schema to databases {settings.spanner_database} and {settings.payments_database}")
        apply_schemas(settings)
        yield settings


@contextmanager
def whole_service(
    settings: Settings, workers: int, gateway_options: str, duplicate_share: float = 0.0
) -> Iterator[tuple[Addresses, Child]]:
    """Every process of the Procfile for the length of a block; yields where it is. Raises ChildFailed."""
    environment, addresses = service_environment(
        settings, workers=workers, gateway_options=gateway_options, duplicate_share=duplicate_share
    )
    command = [sys.executable, "-m", "app.cli", "stack"]
    with child("the service", command, environment, settings.state_dir / "service.log") as stack:
        wait_for_http(f"{addresses.api}/readyz", stack)
        wait_for_http(f"{addresses.gateway}/healthz", stack)
        yield addresses, stack


def interrupt_on_sigterm() -> None:
    """Let SIGTERM end this process as Ctrl-C does, so that what it started is stopped."""
    signal.signal(signal.SIGTERM, _interrupt)


def seller_token(settings: Settings) -> str:
    """A seller's token of the local issuer."""
    return LocalIssuer.load(settings).token("seller", (SELLER,))


def create_sale(url: str, token: str, **terms: Any) -> dict[str, Any]:
    """Create a sale as a seller would, by HTTP; returns what the service says of it. Times may be datetimes."""
    body = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in terms.items()}
    return post(f"{url}/v1/admin/sales", token, body)


def own_settings(name: str, state_dir: Path, **more: Any) -> Settings:
    """Databases and topics of this run's own: emulators that were there before keep what they have. `more` are other settings.

    The state folder is made, and loses the gateway's book of an earlier run.
    """
    folder = state_dir.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    # The databases begin empty, and so must the book: what it knew of an earlier run nobody else would.
    for old in folder.glob(f"{BOOK_NAME}*"):
        old.unlink()
    own = f"{name}-{datetime.now(UTC):%m%d-%H%M%S}"
    changes = {
        "environment": "development",
        "state_dir": folder,
        "spanner_database": own,
        "payments_database": f"{own}-pay",
        "pubsub_project": f"fair{own}",
        **more,
    }
    return load_settings().model_copy(update=changes)


def apply_schemas(settings: Settings) -> None:
    """Make both databases, or bring them up to date."""
    apply(settings, database_id=settings.spanner_database, folder=SCHEMA_ROOT / "orders")
    apply(settings, database_id=settings.payments_database, folder=SCHEMA_ROOT / "payments")


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
