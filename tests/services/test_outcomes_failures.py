"""Nothing is missed: not what happens around a look at an order, nor while the database is away, nor when it is another one."""

import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from counter_samples import Once, Wire, open_counter, order
from google.api_core import exceptions as google_errors
from sale_samples import put_up
from waiting_world import SHORT_SECONDS, promote, until, wait, waiting, waiting_room, waitlisted, watch

from app.domain.errors import OrderNotFound, StorageUnavailable
from app.domain.states import Status
from app.services import outcomes
from app.services.concurrency import Threads
from app.services.outcomes import Outcomes
from app.settings import Settings
from app.storage import schema
from app.storage.database import FairdropDatabase, connect


@pytest.fixture
def own_settings(settings: Settings) -> Iterator[Settings]:
    """A database of this test's own, to be lost."""
    own = settings.model_copy(update={"spanner_database": f"{settings.spanner_database}-lost"})
    schema.apply(own, database_id=own.spanner_database, folder=schema.SCHEMA_ROOT / "orders")
    yield own
    connect(own).drop()


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_change_around_the_first_look_at_an_order_is_not_missed(
    settings: Settings, database: FairdropDatabase, wire: Wire, when: str
) -> None:
    sale, (mine,) = waitlisted(settings, database, 1)
    room = waiting_room(settings)
    getattr(wire, when)["streaming_read"] = Once(lambda: promote(database, sale, 1))
    told = wait(room, mine, after=1)
    assert (told.status, told.event_seq) == (Status.PLACED, 2)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_change_around_a_read_of_the_log_is_not_missed(
    settings: Settings, database: FairdropDatabase, wire: Wire, when: str
) -> None:
    sale, (mine,) = waitlisted(settings, database, 1)
    room = waiting_room(settings)
    with waiting(room, mine) as (answer,):
        getattr(wire, when)["streaming_read"] = Once(lambda: promote(database, sale, 1))
        assert answer().status is Status.PLACED


def test_a_newcomer_s_look_does_not_skip_what_has_just_changed_for_others(
    settings: Settings, database: FairdropDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcomes, "TICK_SECONDS", 4 * SHORT_SECONDS)
    sale, (mine, other) = waitlisted(settings, database, 2)
    room = waiting_room(settings)
    with waiting(room, mine) as (answer,):
        promote(database, sale, 1)
        with watch(room, other) as newcomer:
            room.first(newcomer)
            assert answer().status is Status.PLACED


class Outage:
    """Every read fails until it is over."""

    def __init__(self, wire: Wire, error: Exception) -> None:
        self._error = error
        self._is_over = threading.Event()
        self.failed_reads = 0
        wire.before["streaming_read"] = self._fail

    def _fail(self) -> None:
        if threading.current_thread().name == "outcomes" and not self._is_over.is_set():
            self.failed_reads += 1
            raise self._error

    def end(self) -> None:
        self._is_over.set()


FAILURES = [
    google_errors.DeadlineExceeded("no answer"),
    google_errors.NotFound("Session not found"),
    RuntimeError("a fault of ours"),
]


@pytest.mark.parametrize("error", FAILURES, ids=lambda error: type(error).__name__)
def test_what_changed_while_the_database_did_not_answer_is_told_when_it_does(
    settings: Settings, database: FairdropDatabase, wire: Wire, error: Exception
) -> None:
    sale, (mine, newcomers) = waitlisted(settings, database, 2)
    room = waiting_room(settings)
    with waiting(room, mine) as (answer,):
        outage = Outage(wire, error)
        until(lambda: outage.failed_reads > 0)
        promote(database, sale, 1)
        with watch(room, newcomers) as place:
            failed = outage.failed_reads
            until(lambda: outage.failed_reads > failed + 1)
            outage.end()
            assert room.first(place) == newcomers
        assert answer().status is Status.PLACED


def test_a_newcomer_whose_first_look_fails_is_looked_at_again(
    settings: Settings, database: FairdropDatabase, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcomes, "TICK_SECONDS", 4 * SHORT_SECONDS)
    _, (mine, newcomers) = waitlisted(settings, database, 2)
    room = waiting_room(settings)
    with watch(room, mine) as earlier:
        room.first(earlier)
        outage = Outage(wire, google_errors.DeadlineExceeded("no answer"))
        with watch(room, newcomers) as place:
            until(lambda: outage.failed_reads > 0)
            outage.end()
            assert room.first(place) == newcomers


def test_who_waits_in_vain_is_told_that_the_database_does_not_answer_rather_than_an_old_state(
    settings: Settings, database: FairdropDatabase, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcomes, "FRESH_SECONDS", SHORT_SECONDS / 3)
    monkeypatch.setattr(outcomes, "TICK_SECONDS", SHORT_SECONDS / 30)
    _, (mine,) = waitlisted(settings, database, 1)
    room = waiting_room(settings)
    with waiting(room, mine, seconds=5 * SHORT_SECONDS) as (answer,):
        outage = Outage(wire, google_errors.DeadlineExceeded("no answer"))
        with pytest.raises(StorageUnavailable):
            answer()
        outage.end()


def test_who_cannot_be_told_how_the_order_stands_is_told_so_after_the_request_deadline(
    settings: Settings, database: FairdropDatabase, wire: Wire
) -> None:
    _, (mine,) = waitlisted(settings, database, 1)
    room = Outcomes(connect(settings), Threads(), first_look_seconds=SHORT_SECONDS)
    outage = Outage(wire, google_errors.DeadlineExceeded("no answer"))
    with pytest.raises(StorageUnavailable):
        wait(room, mine)
    outage.end()
    assert wait(room, mine, after=0) == mine


def test_failures_are_answered_with_pauses_that_grow_up_to_a_bound(
    settings: Settings, database: FairdropDatabase, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    _, (mine,) = waitlisted(settings, database, 1)
    room = waiting_room(settings)
    with watch(room, mine) as place:
        room.first(place)
        outage = Outage(wire, google_errors.DeadlineExceeded("no answer"))
        monkeypatch.setattr(outcomes, "time", SimpleNamespace(monotonic=time.monotonic, sleep=pauses.append))
        until(lambda: len(pauses) > 6)
        outage.end()
    assert pauses[:4] == [0.1, 0.2, 0.4, 0.8]
    assert set(pauses[4:]) == {outcomes.MAX_PAUSE_SECONDS}


def test_after_an_outage_of_thousands_of_failures_the_orders_are_followed_as_before(
    settings: Settings, database: FairdropDatabase, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    sale, (mine,) = waitlisted(settings, database, 1)
    room = waiting_room(settings)
    with waiting(room, mine) as (answer,):
        monkeypatch.setattr(outcomes, "time", SimpleNamespace(monotonic=time.monotonic, sleep=lambda _: None))
        outage = Outage(wire, google_errors.DeadlineExceeded("no answer"))
        until(lambda: outage.failed_reads > 1_100)
        outage.end()
        promote(database, sale, 1)
        assert answer().status is Status.PLACED


def test_who_waits_for_an_order_of_a_database_that_was_made_anew_is_told_that_it_is_gone(
    own_settings: Settings,
) -> None:
    database = connect(own_settings)
    _, (mine,) = waitlisted(own_settings, database, 1)
    room = waiting_room(own_settings)
    with waiting(room, mine) as (answer,):
        database.drop()
        schema.apply(own_settings, database_id=own_settings.spanner_database, folder=schema.SCHEMA_ROOT / "orders")
        with pytest.raises(OrderNotFound):
            answer()
    sale = put_up(connect(own_settings), stock=1)
    newer = order(open_counter(own_settings), sale, "ann").order
    assert wait(room, newer).status is Status.PLACED


def test_an_epoch_that_another_has_noticed_makes_all_be_looked_at_again(
    settings: Settings, database: FairdropDatabase
) -> None:
    sale, (mine,) = waitlisted(settings, database, 1)
    room = waiting_room(settings)
    with waiting(room, mine) as (answer,):
        reads = room.order_reads
        room._database.forget_sessions()
        until(lambda: room.order_reads > reads)
        promote(database, sale, 1)
        assert answer().status is Status.PLACED
