"""What every test may ask for: the emulators, settings with a database of the module's own, and the database itself."""

import os
import signal
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import hypothesis
import pytest

from app.settings import Settings
from app.storage import schema
from app.storage.database import FairdropDatabase, connect
from emulator import Emulators, running

# A shell's background job ignores SIGINT, and so would every process that the tests start and press Ctrl-C on.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes is the machine's affair, and that of whatever else runs on it.
hypothesis.settings.register_profile("fairdrop", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("fairdrop")

LONG_FIRST = ("history", "system", "browser", "container", "workers", "emulator")
"""Folders whose modules run for long: workers that share the suite out begin with them, so that none is left with one at last."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The long modules first, when workers share the suite out."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        ranks = {config.rootpath / "tests" / folder: rank for rank, folder in enumerate(LONG_FIRST)}
        items.sort(key=lambda item: ranks.get(item.path.parent, len(ranks)))


@contextmanager
def _exported(environment: Mapping[str, str]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="session")
def emulators() -> Iterator[Emulators]:
    """A Spanner emulator, started unless SPANNER_EMULATOR_HOST gives one; its variables are set for the session."""
    with running(spanner=True) as started, _exported(started.environment):
        yield started


@pytest.fixture(scope="session")
def pubsub_emulator() -> Iterator[Emulators]:
    """A Pub/Sub emulator, started when the first test asks for it."""
    with running(spanner=False, pubsub=True) as started, _exported(started.environment):
        yield started


@pytest.fixture(scope="module")
def settings(emulators: Emulators, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings of a database of this module's own, with the schema applied; dropped afterwards."""
    own = Settings(
        spanner_project="fairdrop-test",
        spanner_instance="fairdrop-test",
        spanner_database=f"test-{uuid.uuid4().hex[:12]}",
        state_dir=tmp_path_factory.mktemp("state"),
    )
    schema.apply(own, database_id=own.spanner_database, folder=schema.SCHEMA_ROOT / "orders")
    yield own
    connect(own).drop()


@pytest.fixture(scope="module")
def database(settings: Settings) -> FairdropDatabase:
    """The module's database."""
    return connect(settings)
