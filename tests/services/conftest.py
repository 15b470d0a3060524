"""What the tests of the services share."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from counter_samples import Wire

from app.storage.database import _BoundedClient

CALLS = ("streaming_read", "execute_streaming_sql", "begin_transaction", "commit", "rollback", "create_session")


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """Stands between the service and the database's client."""
    between = Wire()

    def wrapped(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(client: _BoundedClient, *args: Any, **kwargs: Any) -> Any:
            return between.take(name, lambda: method(client, *args, **kwargs))

        return call

    for name in CALLS:
        monkeypatch.setattr(_BoundedClient, name, wrapped(name, getattr(_BoundedClient, name)))
    yield between
    between.before.clear()
    between.after.clear()
