"""The SchemaFiles table: which DDL files a database has taken. One row a file, written before its DDL and again after it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from google.cloud.spanner_v1 import COMMIT_TIMESTAMP, KeySet
from google.cloud.spanner_v1.transaction import Transaction

from app.storage.schema_files import SchemaFile

TABLE = "SchemaFiles"

DDL = """CREATE TABLE IF NOT EXISTS SchemaFiles (
  FileName       STRING(80) NOT NULL,
  Sha256         STRING(64) NOT NULL,
  Statements     ARRAY<STRING(MAX)> NOT NULL,
  DoneStatements INT64 NOT NULL,
  OperationId    STRING(120) NOT NULL,
  DdlBefore      STRING(64) NOT NULL,
  StartedAt      TIMESTAMP NOT NULL OPTIONS (allow_commit_timestamp = true),
  AppliedAt      TIMESTAMP OPTIONS (allow_commit_timestamp = true),
) PRIMARY KEY (FileName)"""
"""Made by the tool itself: the files are recorded in it, so no file can create it."""

_COLUMNS = ("FileName", "Sha256", "Statements", "DoneStatements", "OperationId", "DdlBefore", "AppliedAt")


@dataclass(frozen=True, slots=True)
class SchemaRecord:
    """The newest attempt to apply a file, with what it needs to be resumed by another process.

    `done_statements` were in force before the attempt; `operation_id` names the server's operation for the others;
    `ddl_before` is the SHA-256 of the database's DDL when the attempt began; `applied_at` is None until it has succeeded.
    """

    file: str
    sha256: str
    statements: tuple[str, ...]
    done_statements: int
    operation_id: str
    ddl_before: str
    applied_at: datetime | None = None


def attempt_at(file: SchemaFile, done_statements: int, operation_id: str, ddl_before: str) -> SchemaRecord:
    """A record that says: now this file is being applied."""
    return SchemaRecord(file.name, file.sha256, file.statements, done_statements, operation_id, ddl_before)


def read_records(reads: Any) -> dict[str, SchemaRecord]:
    """All records by file name, in order; `reads` is a transaction or a snapshot. One read."""
    records = (_record(row) for row in reads.read(TABLE, _COLUMNS, KeySet(all_=True)))
    return {record.file: record for record in records}


def claim(transaction: Transaction, attempt: SchemaRecord, replaces: str | None) -> SchemaRecord:
    """Write the attempt if the file's newest is still the one of operation `replaces` (None: there is none).

    Returns the attempt that counts: another process's, when that came first.
    """
    rows = list(transaction.read(TABLE, _COLUMNS, KeySet(keys=[[attempt.file]])))
    stored = _record(rows[0]) if rows else None
    if stored is not None and stored.operation_id != replaces:
        return stored
    values = [
        attempt.file,
        attempt.sha256,
        list(attempt.statements),
        attempt.done_statements,
        attempt.operation_id,
        attempt.ddl_before,
        None,
        COMMIT_TIMESTAMP,
    ]
    transaction.insert_or_update(TABLE, (*_COLUMNS, "StartedAt"), [values])
    return attempt


def mark_applied(transaction: Transaction, file: str) -> None:
    """Record that the file's DDL is in force, once."""
    rows = list(transaction.read(TABLE, _COLUMNS, KeySet(keys=[[file]])))
    if rows and _record(rows[0]).applied_at is None:
        transaction.update(TABLE, ("FileName", "AppliedAt"), [[file, COMMIT_TIMESTAMP]])


def _record(row: list[Any]) -> SchemaRecord:
    file, sha256, statements, *rest = row
    return SchemaRecord(file, sha256, tuple(statements), *rest)
