"""`fairdrop replay`: events published again, from a time on, of either outbox."""

import uuid
from collections.abc import Callable, Iterator, Sequence

import pytest
from click.testing import Result

from app.local.children import free_port
from app.messaging.broker import EMULATOR_VARIABLE
from app.messaging.consumer import Consumer, Done
from app.messaging.events import Event
from app.messaging.topics import ORDER_EVENTS, PAYMENT_EVENTS, Route
from app.settings import Settings
from app.storage import schema
from app.storage.database import connect
from emulator import Emulators
from tests.services.relay_world import write

Run = Callable[..., Result]

LONG_AGO = "2020-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def databases(settings: Settings, pubsub_emulator: Emulators) -> Iterator[dict[str, str]]:
    """The variables of two outboxes, with two orders in two shards of the first and one payment in the second."""
    payments = f"payments-{uuid.uuid4().hex[:12]}"
    schema.apply(settings, database_id=payments, folder=schema.SCHEMA_ROOT / "payments")
    write(connect(settings), 0, "o-1", 1, 2)
    write(connect(settings), 7, "o-2", 1)
    write(connect(settings, payments), 3, "o-1", 1)
    yield {"FAIRDROP_PAYMENTS_DATABASE": payments}
    connect(settings, payments).drop()


@pytest.fixture
def env(databases: dict[str, str]) -> dict[str, str]:
    return {**databases, "FAIRDROP_PUBSUB_PROJECT": f"test-{uuid.uuid4().hex[:10]}"}


def received(env: dict[str, str], route: Route, count: int) -> list[str]:
    consumer = Consumer(env["FAIRDROP_PUBSUB_PROJECT"], route)
    ids: list[str] = []

    def handle(batch: Sequence[Event]) -> Sequence[Done]:
        ids.extend(event.id for event in batch)
        return [Done()] * len(batch)

    while consumer.handled < count:
        consumer.step(handle)
    return sorted(ids)


def test_every_event_since_a_time_is_published_again(run: Run, env: dict[str, str]) -> None:
    result = run("replay", "--since", LONG_AGO, env=env)
    assert result.exit_code == 0, result.output
    assert "published 3 events again" in result.output
    assert received(env, ORDER_EVENTS, 3) == ["o-1:1", "o-1:2", "o-2:1"]


def test_one_shard_or_the_payments_may_be_chosen(run: Run, env: dict[str, str]) -> None:
    assert "published 1 events again" in run("replay", "--since", LONG_AGO, "--shard", "7", env=env).output
    assert "published 1 events again" in run("replay", "--since", LONG_AGO, "--database", "payments", env=env).output
    assert received(env, ORDER_EVENTS, 1) == ["o-2:1"]
    assert received(env, PAYMENT_EVENTS, 1) == ["o-1:p1"]


def test_a_time_without_events_publishes_none(run: Run, env: dict[str, str]) -> None:
    assert "published 0 events again" in run("replay", "--since", "now+1h", env=env).output


def test_without_a_broker_it_says_so_in_one_line(
    run: Run, env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(EMULATOR_VARIABLE, f"127.0.0.1:{free_port()}")
    result = run("replay", "--since", LONG_AGO, env=env)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: Pub/Sub: ")
    assert result.stderr.count("\n") == 1
