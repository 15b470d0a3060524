"""The door to Spanner: calls that have a deadline, transactions that are rerun on aborts, errors under our own names."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, Concatenate, ParamSpec, TypeVar

from google.api_core import exceptions as google_errors
from google.api_core.retry import exponential_sleep_generator
from google.auth.credentials import AnonymousCredentials
from google.cloud import spanner
from google.cloud.spanner_v1 import SpannerClient
from google.cloud.spanner_v1.database import BatchSnapshot, Database
from google.cloud.spanner_v1.pool import AbstractSessionPool
from google.cloud.spanner_v1.session import Session
from google.cloud.spanner_v1.snapshot import Snapshot
from google.cloud.spanner_v1.transaction import Transaction

from app.domain.errors import StorageUnavailable
from app.settings import Settings
from app.storage.request_tags import give_tag

Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")

SESSION_POOL_SIZE = 16
"""Idle sessions kept: one a lane in flight, and a few sales open at once in one process."""

SESSION_IDLE_SECONDS = 50 * 60
"""Spanner drops a session after an hour without use."""

ABORT_DELAY_SECONDS = 0.008
LONGEST_ABORT_DELAY_SECONDS = 0.1
"""The first wait after an abort is this at most, and the bound doubles from wait to wait; besides what the server advises, which
Spanner does and the emulator does not. There a newcomer aborts the transaction under way with one chance in five (`emulator_main
--helpfull`): whoever comes again every few milliseconds lets no long one of the others end.
"""

QUERY_DEADLINE_FACTOR = 20
"""Queries and administration are for people and may take so many times the deadline of a read or commit."""

RETRY_AFTER_SECONDS = 1
"""What a buyer is told when the database does not answer."""

READ_TRIES = 3
READ_PAUSE_SECONDS = 0.05
"""A connection that the server's restart has cut is made anew within the pause; a server that is gone is not waited for."""


class _Unreachable(google_errors.GoogleAPICallError):
    """No server took the call, so nothing was written. Not ServiceUnavailable, which the library answers, when a read gets it, by
    asking again at once and without end.
    """


_UNKNOWN = (
    google_errors.DeadlineExceeded,
    google_errors.ServiceUnavailable,
    google_errors.InternalServerError,
    google_errors.Cancelled,
    google_errors.Unknown,
)


class OutcomeUnknown(StorageUnavailable):
    """The transaction may or may not have been committed; rerun it if it is idempotent."""


class Conflict(Exception):  # a signal to reread, not an error of anybody's
    """A row that the transaction inserts exists already: what it was computed from is stale. Nothing was written."""


class Rejected(Exception):  # a signal to look closer, not an error of anybody's
    """The database will not have a value or a statement, whatever it is. Nothing was written."""


class _BoundedClient(SpannerClient):
    """The generated client, with calls that end by a deadline instead of being retried for an hour."""

    deadline_seconds = 5.0

    def _bounded(self, kwargs: dict[str, Any], factor: int = 1) -> dict[str, Any]:
        return {**kwargs, "timeout": self.deadline_seconds * factor, "retry": None}

    def streaming_read(self, *args: Any, **kwargs: Any) -> Any:
        bounded = self._bounded(kwargs, QUERY_DEADLINE_FACTOR if _pages(args, kwargs) else 1)
        give_tag(args, kwargs)
        return _reached(lambda: super(_BoundedClient, self).streaming_read(*args, **bounded))

    def execute_streaming_sql(self, *args: Any, **kwargs: Any) -> Any:
        bounded = self._bounded(kwargs, QUERY_DEADLINE_FACTOR)
        give_tag(args, kwargs)
        return _reached(lambda: super(_BoundedClient, self).execute_streaming_sql(*args, **bounded))

    def begin_transaction(self, *args: Any, **kwargs: Any) -> Any:
        return super().begin_transaction(*args, **self._bounded(kwargs))

    def commit(self, *args: Any, **kwargs: Any) -> Any:
        return super().commit(*args, **self._bounded(kwargs))

    def rollback(self, *args: Any, **kwargs: Any) -> Any:
        return super().rollback(*args, **self._bounded(kwargs))

    def create_session(self, *args: Any, **kwargs: Any) -> Any:
        bounded = self._bounded(kwargs)
        return _reached(lambda: super(_BoundedClient, self).create_session(*args, **bounded))


def _reached(call: Callable[[], Result]) -> Result:
    """Make a call that writes nothing; raises _Unreachable when there is no server. A stream that breaks later the library takes
    up by itself.
    """
    for _ in range(READ_TRIES - 1):
        try:
            return call()
        except google_errors.ServiceUnavailable:
            time.sleep(READ_PAUSE_SECONDS)
    try:
        return call()
    except google_errors.ServiceUnavailable as error:
        raise _Unreachable(error.message) from error  # type: ignore[no-untyped-call]


def _pages(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a read is one partition of a large one, which an audit streams."""
    request = kwargs.get("request") or (args[0] if args else None)
    return bool(getattr(request, "partition_token", b""))


class _SessionPool(AbstractSessionPool):
    """Sessions made when needed and reused as they are: the library's pools either ask the server before each use, or
    create all sessions at start, when the database may not be there yet.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        # With the monotonic time of each one's last use: the wall clock may be set meanwhile.
        self._idle: list[tuple[float, Session]] = []

    def bind(self, database: Database) -> None:
        self._database: Any = database

    def get(self) -> Session:
        # Not by asking first whether there is one: another thread may take it in between.
        with suppress(IndexError):
            while True:
                used_at, session = self._idle.pop()
                if time.monotonic() - used_at < SESSION_IDLE_SECONDS:
                    return session
        fresh: Session = self._new_session()  # type: ignore[no-untyped-call]
        fresh.create()
        return fresh

    def put(self, session: Session) -> None:
        if len(self._idle) < SESSION_POOL_SIZE:
            self._idle.append((time.monotonic(), session))

    def clear(self) -> None:
        self._idle.clear()


class FairdropDatabase(Database):
    """A database handle with bounded calls. `epoch` grows when the server no longer knows our sessions, or was away: whatever a
    process remembers of an earlier epoch may be of a database that is gone.
    """

    epoch = 0
    deadline_seconds = 5.0
    _bounded_client: _BoundedClient | None = None

    @property
    def spanner_api(self) -> SpannerClient:
        """The client of the data plane: the library's own transport, under a client that bounds each call."""
        if self._bounded_client is None:
            client = _BoundedClient(transport=super().spanner_api.transport)
            client.deadline_seconds = self.deadline_seconds
            self._bounded_client = client
        return self._bounded_client

    def forget_sessions(self) -> None:
        """Begin a new epoch: the server has lost our sessions, or may have (it was restarted, or the database was made anew)."""
        self.epoch += 1
        self._pool.clear()


_emulator_lock = threading.Lock()


def _prepare_for_emulator() -> None:
    """The emulator knows transactions by session, and has no metrics to send to (both measured, see docs/design.md)."""
    with _emulator_lock:
        os.environ["GOOGLE_CLOUD_SPANNER_MULTIPLEXED_SESSIONS"] = "false"
        os.environ["GOOGLE_CLOUD_SPANNER_MULTIPLEXED_SESSIONS_PARTITIONED_OPS"] = "false"
        os.environ["GOOGLE_CLOUD_SPANNER_MULTIPLEXED_SESSIONS_FOR_RW"] = "false"
        os.environ["SPANNER_DISABLE_BUILTIN_METRICS"] = "true"


def connect(settings: Settings, database_id: str | None = None) -> FairdropDatabase:
    """A handle to a database, the order service's unless another is named; no call is made yet.

    Under gunicorn: after the fork, as gRPC demands.
    """
    options: dict[str, Any] = {}
    if os.environ.get("SPANNER_EMULATOR_HOST"):
        _prepare_for_emulator()
        options["credentials"] = AnonymousCredentials()
    client = spanner.Client(project=settings.spanner_project, **options)
    instance = client.instance(settings.spanner_instance)
    pool = _SessionPool()
    name = database_id or settings.spanner_database
    database = FairdropDatabase(name, instance, pool=pool)  # type: ignore[no-untyped-call]
    pool.bind(database)
    database.deadline_seconds = settings.rpc_deadline_seconds
    return database


@contextmanager
def _named_errors(database: FairdropDatabase) -> Iterator[None]:
    """Turn the client library's errors into ours."""
    try:
        yield
    except google_errors.AlreadyExists as error:
        raise Conflict(error.message) from error
    except google_errors.Aborted as error:
        raise StorageUnavailable("the database is contended", RETRY_AFTER_SECONDS) from error
    except google_errors.NotFound as error:
        # A session, the database or a table: nothing that a transaction of ours could miss by itself.
        database.forget_sessions()
        raise StorageUnavailable(_missing(error.message), RETRY_AFTER_SECONDS) from error
    except _Unreachable as error:
        # It may come back as another: the emulator, restarted, is empty and gives out the same session names again.
        database.forget_sessions()
        raise StorageUnavailable("the database cannot be reached", RETRY_AFTER_SECONDS) from error
    except _UNKNOWN as error:
        raise OutcomeUnknown("the database does not answer", RETRY_AFTER_SECONDS) from error
    except (google_errors.InvalidArgument, google_errors.FailedPrecondition, google_errors.OutOfRange) as error:
        raise Rejected(error.message) from error
    except google_errors.ResourceExhausted as error:
        raise StorageUnavailable("the database is overloaded", RETRY_AFTER_SECONDS) from error
    except google_errors.PermissionDenied as error:
        raise StorageUnavailable("the database does not let these credentials do that", RETRY_AFTER_SECONDS) from error


def _missing(message: str) -> str:
    return (
        "the database or its schema is missing (fairdrop schema apply)"
        if "ession" not in message
        else "sessions were lost"
    )


def transact(
    database: FairdropDatabase,
    tag: str,
    work: Callable[Concatenate[Transaction, Arguments], Result],
    *args: Arguments.args,
    **kwargs: Arguments.kwargs,
) -> tuple[Result, datetime]:
    """Run `work` in a read-write transaction, rerun whole on aborts; returns its result and the commit timestamp.

    `work` must have no effect but through the transaction. Raises Conflict, OutcomeUnknown or StorageUnavailable; after
    Conflict and StorageUnavailable (but for OutcomeUnknown) nothing was written.
    """
    last: list[Transaction] = []
    delays = exponential_sleep_generator(ABORT_DELAY_SECONDS, LONGEST_ABORT_DELAY_SECONDS)

    def attempt(transaction: Transaction) -> Result:
        if last:
            time.sleep(next(delays))
        last[:] = [transaction]
        return work(transaction, *args, **kwargs)

    try:
        with _named_errors(database):
            value: Result = database.run_in_transaction(  # type: ignore[no-untyped-call]
                attempt,
                timeout_secs=database.deadline_seconds,
                # Unless the server advises one; the library's own is 2 s and more.
                default_retry_delay=0.0,
                transaction_tag=tag,
            )
    finally:
        # The library marks the thread as in a transaction before it has a session, and when it gets none leaves it marked: this
        # thread could never transact again.
        database._local.transaction_running = False
    committed: Any = last[0].committed
    return value, committed


@contextmanager
def snapshot(database: FairdropDatabase, **bounds: Any) -> Iterator[Snapshot]:
    """A read-only snapshot for several reads at one timestamp; strong unless `bounds` says otherwise. Takes no locks."""
    with _named_errors(database), database.snapshot(multi_use=True, **bounds) as reads:  # type: ignore[no-untyped-call]
        yield reads


@contextmanager
def batch_snapshot(database: FairdropDatabase, as_of: datetime) -> Iterator[BatchSnapshot]:
    """A read-only snapshot at a timestamp for partitioned reads of whole tables; has a session of its own, and takes no locks."""
    with _named_errors(database), database.batch_snapshot(read_timestamp=as_of) as reads:  # type: ignore[no-untyped-call]
        yield reads


def read_timestamp(result: Any) -> datetime:
    """The database timestamp of a snapshot's first read, known once its rows were taken: a later commit has a later one."""
    moment: datetime = result.metadata.transaction.read_timestamp
    return moment
