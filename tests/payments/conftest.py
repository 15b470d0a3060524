"""What the payment tests share: a database of the module's own with the payments schema, and simulators on free ports."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.payments.store import SpannerBooks
from app.settings import Settings
from app.storage import schema
from app.storage.database import FairdropDatabase, connect
from emulator import Emulators
from tests.gateway_simulator.simulator_process import Simulator


@pytest.fixture(scope="module")
def payments_settings(emulators: Emulators) -> Iterator[Settings]:
    """Settings whose payments database is the module's own; dropped afterwards."""
    own = Settings(
        spanner_project="fairdrop-test",
        spanner_instance="fairdrop-test",
        payments_database=f"payments-{uuid.uuid4().hex[:12]}",
    )
    schema.apply(own, database_id=own.payments_database, folder=schema.SCHEMA_ROOT / "payments")
    yield own
    connect(own, own.payments_database).drop()


@pytest.fixture(scope="module")
def payments_database(payments_settings: Settings) -> FairdropDatabase:
    return connect(payments_settings, payments_settings.payments_database)


@pytest.fixture(scope="module")
def books(payments_database: FairdropDatabase) -> SpannerBooks:
    return SpannerBooks(payments_database)


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[Simulator]:
    """Not started yet: a test starts it with the faults it wants."""
    process = Simulator(tmp_path)
    yield process
    process.stop()
