"""A service of two worker processes, against the module's database."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from shop import OpenShop, opener
from system_service import Service, service

from app.settings import Settings
from emulator import Emulators


@pytest.fixture(scope="module")
def two_workers(
    emulators: Emulators, settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """gunicorn with two workers, for the module's tests."""
    log_path = tmp_path_factory.mktemp("logs") / "service.log"
    with service(settings, emulators.environment, log_path, workers=2) as started:
        yield started


@pytest.fixture
def open_shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OpenShop:
    """`with open_shop("api", "relay", …) as shop:` these processes, on emulators of their own."""
    return opener(tmp_path, monkeypatch)
