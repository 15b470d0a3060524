"""The service in this process, against the module's database."""

import pytest
from http_samples import Shop

from app.http.app import create_app
from app.http.local_issuer import LocalIssuer
from app.settings import Settings
from app.storage.database import FairdropDatabase


@pytest.fixture(scope="module")
def shop(settings: Settings, database: FairdropDatabase) -> Shop:
    """The service, as everybody may call it."""
    return Shop(create_app(settings).test_client(), LocalIssuer.load(settings), database)
