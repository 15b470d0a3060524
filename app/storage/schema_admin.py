"""Spanner's administration calls, as the schema needs them: make the database, send DDL under a name of ours, find it again."""

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from google.api_core import exceptions as google_errors
from google.api_core import operation as google_operation
from google.cloud.spanner_admin_database_v1 import Database as DatabaseInfo
from google.cloud.spanner_admin_database_v1 import UpdateDatabaseDdlMetadata
from google.cloud.spanner_admin_instance_v1 import Instance
from google.protobuf.empty_pb2 import Empty

from app.storage.database import FairdropDatabase
from app.storage.schema_errors import InstanceMissing, SpannerRefused

Result = TypeVar("Result")

CALL_TIMEOUT_SECONDS = 60.0
CREATE_TIMEOUT_SECONDS = 300.0

DDL_TIMEOUT_SECONDS = 4 * 3600.0
"""An index over a large table is filled for hours; past this, a rerun waits on."""

BUSY_TRIES = 100
BUSY_DELAY_SECONDS = 0.05
"""The emulator refuses DDL while any transaction or other DDL runs, where real Spanner queues it."""


@dataclass(frozen=True, slots=True)
class DdlOutcome:
    """How an operation ended: statements in force of those it was given, and the error that stopped it.

    A batch that was refused as a whole was not `was_started`, and the server does not say which statement it minds.
    """

    applied_statements: int
    error: str | None
    was_started: bool = True


class DdlRunning(Exception):  # a signal, not an error of anybody's
    """The operation has not ended in DDL_TIMEOUT_SECONDS."""


def on_emulator() -> bool:
    """Whether Spanner is the emulator, as the client library judges it."""
    return bool(os.environ.get("SPANNER_EMULATOR_HOST"))


class SchemaAdmin:
    """The administration of one database. Raises SpannerRefused where a call fails for a reason that is not the DDL's."""

    def __init__(self, database: FairdropDatabase) -> None:
        """No call is made yet."""
        handle: Any = database
        self._name: str = handle.name
        self._database_id: str = handle.database_id
        self._instance_name: str = handle._instance.name
        client = handle._instance._client
        self._databases: Any = client.database_admin_api
        self._instances: Any = client.instance_admin_api

    def ddl(self) -> list[str] | None:
        """The DDL in force, as Spanner prints it; None if there is no such database."""
        with _refusals():
            try:
                answer = self._databases.get_database_ddl(database=self._name, timeout=CALL_TIMEOUT_SECONDS)
            except google_errors.NotFound:
                return None
            return list(answer.statements)

    def create_database(self, first_statement: str) -> None:
        """Make the database with this statement in force, and on the emulator its instance; both may be there already.

        Raises InstanceMissing.
        """
        self._ensure_instance()
        with _refusals():
            try:
                self._databases.create_database(
                    request={
                        "parent": self._instance_name,
                        "create_statement": f"CREATE DATABASE `{self._database_id}`",
                        "extra_statements": [first_statement],
                    },
                    timeout=CALL_TIMEOUT_SECONDS,
                ).result(timeout=CREATE_TIMEOUT_SECONDS)
            except google_errors.AlreadyExists:
                self._await_ready()

    def _await_ready(self) -> None:
        """Another process is creating the database."""
        ends_at = time.monotonic() + CREATE_TIMEOUT_SECONDS
        while time.monotonic() < ends_at:
            state = self._databases.get_database(name=self._name, timeout=CALL_TIMEOUT_SECONDS).state
            if state != DatabaseInfo.State.CREATING:
                return
            time.sleep(BUSY_DELAY_SECONDS)
        raise SpannerRefused(f"{self._name} is still being created")

    def _ensure_instance(self) -> None:
        with _refusals():
            try:
                self._instances.get_instance(name=self._instance_name, timeout=CALL_TIMEOUT_SECONDS)
            except google_errors.NotFound:
                if not on_emulator():
                    raise InstanceMissing(instance=self._instance_name) from None
            else:
                return
            project, _, instance_id = self._instance_name.partition("/instances/")
            wanted = Instance(
                config=f"{project}/instanceConfigs/emulator-config", display_name="Fairdrop", node_count=1
            )
            try:
                self._instances.create_instance(
                    parent=project, instance_id=instance_id, instance=wanted, timeout=CALL_TIMEOUT_SECONDS
                ).result(timeout=CREATE_TIMEOUT_SECONDS)
            except google_errors.AlreadyExists:
                # Another process was first.
                return

    def outcome(self, operation_id: str) -> DdlOutcome | None:
        """Wait for the operation and say how it ended; None if the server knows none of this name. Raises DdlRunning."""
        operations = self._databases.transport.operations_client
        with _refusals():
            try:
                found = operations.get_operation(f"{self._name}/operations/{operation_id}")
            except google_errors.NotFound:
                return None
            running = google_operation.from_gapic(found, operations, Empty, metadata_type=UpdateDatabaseDdlMetadata)
            return _outcome(running)

    def run(self, operation_id: str, statements: list[str]) -> DdlOutcome:
        """Put the statements into force, as one operation of this name, or wait for the one that another process started.

        A batch that the server refuses outright has no operation, and no statement of it is in force. Raises DdlRunning.
        """
        request = {"database": self._name, "statements": statements, "operation_id": operation_id}
        with _refusals():
            try:
                running = _when_not_busy(
                    lambda: self._databases.update_database_ddl(request=request, timeout=CALL_TIMEOUT_SECONDS)
                )
            except google_errors.AlreadyExists:
                outcome = self.outcome(operation_id)
                if outcome is None:
                    raise
                return outcome
            except (google_errors.BadRequest, google_errors.NotFound, google_errors.InternalServerError) as error:
                # BadRequest: InvalidArgument, FailedPrecondition; InternalServerError: how the emulator says "no such type".
                return DdlOutcome(0, error.message, was_started=False)
            return _outcome(running)


def _outcome(running: Any) -> DdlOutcome:
    try:
        error = running.exception(timeout=DDL_TIMEOUT_SECONDS)
    except TimeoutError as late:
        raise DdlRunning from late
    if error is None:
        return DdlOutcome(len(running.metadata.statements), None)
    return DdlOutcome(len(running.metadata.commit_timestamps), getattr(error, "message", str(error)))


def _when_not_busy(call: Callable[[], Result]) -> Result:
    for _ in range(BUSY_TRIES):
        try:
            return call()
        except google_errors.FailedPrecondition as error:
            if "concurrent schema change" not in error.message:
                raise
            time.sleep(BUSY_DELAY_SECONDS)
    return call()


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except google_errors.GoogleAPICallError as error:
        raise SpannerRefused(error.message) from error


def digest(ddl: list[str]) -> str:
    """The SHA-256 of a database's DDL."""
    return hashlib.sha256("\n".join(ddl).encode()).hexdigest()
