"""The schema tool: puts the DDL files of a folder into force, each once, in order, and says which are.

A file's DDL and its record cannot be one transaction. So the record is written first, with the name under which the DDL will
be sent; the server knows an operation by that name, says how many of its statements are in force, and takes no second one.
Whoever finds an unfinished record, after a crash or beside another process, can therefore go on exactly where it stands.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from app.settings import Settings
from app.storage.database import FairdropDatabase, connect, snapshot, transact
from app.storage.schema_admin import DdlOutcome, DdlRunning, SchemaAdmin, digest
from app.storage.schema_errors import (
    SchemaFileAltered,
    SchemaFileMissing,
    SchemaFileOutOfOrder,
    SchemaProgressUnknown,
    SchemaStatementFailed,
    SchemaStillRunning,
    SpannerRefused,
)
from app.storage.schema_files import SchemaFile, named_in, read_folder, title
from app.storage.schema_records import DDL, TABLE, SchemaRecord, attempt_at, claim, mark_applied, read_records

SCHEMA_ROOT = Path(__file__).resolve().parents[2] / "spanner_schema"
"""One folder a database: `orders`, `payments`."""


class FileState(StrEnum):
    """How a file stands to its record."""

    APPLIED = "applied"
    UNFINISHED = "unfinished"
    NOT_APPLIED = "not applied"
    ALTERED = "altered"
    MISSING = "missing in the folder"


@dataclass(frozen=True, slots=True)
class FileStatus:
    """One file, as the folder has it and as the database recorded it."""

    file: str
    state: FileState
    found_sha256: str | None
    recorded_sha256: str | None
    applied_at: datetime | None


def apply(settings: Settings, *, database_id: str, folder: Path) -> list[str]:
    """Put what is missing into force and return the files' names; twice is once, and several at a time are one.

    Makes the database when it is missing, and its instance on the emulator. Raises a SchemaError; what was applied until then
    stays, and the next call goes on there.
    """
    files = read_folder(folder)
    database = _connect(settings, database_id)
    admin = SchemaAdmin(database)
    ddl = admin.ddl()
    if ddl is None:
        admin.create_database(DDL)
    elif not _has_records(ddl):
        _create_records(admin)
    records = _records(database)
    check(files, records)
    applied = []
    for file in files:
        record = records.get(file.name)
        if record is None or record.applied_at is None:
            _apply_file(database, admin, file, record)
            applied.append(file.name)
    return applied


def status(settings: Settings, *, database_id: str, folder: Path) -> list[FileStatus]:
    """Every file of the folder and of the records, by name. Raises a SchemaError when either cannot be read."""
    found = {file.name: file for file in read_folder(folder)}
    database = _connect(settings, database_id)
    ddl = SchemaAdmin(database).ddl()
    records = _records(database) if ddl is not None and _has_records(ddl) else {}
    return [_status(name, found.get(name), records.get(name)) for name in sorted({*found, *records})]


def check(files: list[SchemaFile], records: dict[str, SchemaRecord]) -> None:
    """Raise SchemaFileMissing, SchemaFileAltered or SchemaFileOutOfOrder unless the files continue what was recorded."""
    names = {file.name for file in files}
    for name in records:
        if name not in names:
            raise SchemaFileMissing(file=name)
    newest = max(records, default="")
    for file in files:
        record = records.get(file.name)
        if record is None:
            if file.name < newest:
                raise SchemaFileOutOfOrder(file=file.name, newest_recorded=newest)
        elif record.applied_at is not None and record.sha256 != file.sha256:
            raise _altered(file, record)


def _status(name: str, file: SchemaFile | None, record: SchemaRecord | None) -> FileStatus:
    if file is None:
        state = FileState.MISSING
    elif record is None:
        state = FileState.NOT_APPLIED
    elif record.applied_at is None:
        state = FileState.UNFINISHED
    else:
        state = FileState.APPLIED if record.sha256 == file.sha256 else FileState.ALTERED
    return FileStatus(
        name,
        state,
        file.sha256 if file else None,
        record.sha256 if record else None,
        record.applied_at if record else None,
    )


def _apply_file(database: FairdropDatabase, admin: SchemaAdmin, file: SchemaFile, record: SchemaRecord | None) -> None:
    try:
        attempt = _attempt(database, admin, file, record)
        if attempt is not None:
            _run(admin, attempt)
    except DdlRunning as late:
        raise SchemaStillRunning(file=file.name) from late
    transact(database, "schema-applied", mark_applied, file.name)


def _attempt(
    database: FairdropDatabase, admin: SchemaAdmin, file: SchemaFile, record: SchemaRecord | None
) -> SchemaRecord | None:
    """The attempt to run now: a first one, a stopped one's continuation, or another process's; None when all is in force."""
    # First the DDL, then the operation: an operation that starts between the two is found, and the DDL is not asked about.
    ddl_before = digest(admin.ddl() or [])
    done = 0
    if record is not None:
        outcome = admin.outcome(record.operation_id)
        if outcome is None and record.ddl_before != ddl_before:
            raise SchemaProgressUnknown(file=file.name)
        if outcome is None and record.sha256 == file.sha256:
            return record
        done = record.done_statements + (outcome.applied_statements if outcome else 0)
        if record.statements[:done] != file.statements[:done]:
            raise _altered(file, record)
        if done == len(record.statements) and record.sha256 == file.sha256:
            return None
    operation_id = f"{file.name.removesuffix('.sql')}_{uuid.uuid4().hex[:12]}"
    fresh = attempt_at(file, done, f"fairdrop_{operation_id}", ddl_before)
    counts, _ = transact(database, "schema-claim", claim, fresh, record.operation_id if record else None)
    if counts.sha256 != file.sha256:
        raise _altered(file, counts)
    return counts if counts.applied_at is None else None


def _run(admin: SchemaAdmin, attempt: SchemaRecord) -> None:
    todo = list(attempt.statements[attempt.done_statements :])
    if not todo:
        return
    outcome = admin.run(attempt.operation_id, todo)
    if outcome.error is not None:
        raise SchemaStatementFailed(
            file=attempt.file,
            statement=_culprit(todo, outcome),
            applied=attempt.done_statements + outcome.applied_statements,
            reason=outcome.error,
        )


def _culprit(statements: list[str], outcome: DdlOutcome) -> str:
    """The statement that failed. A batch refused before any of it was run: those that the server's message speaks of."""
    if outcome.was_started:
        return title(statements[outcome.applied_statements])
    suspects = [statement for statement in statements if named_in(statement, outcome.error or "")] or statements
    return " or ".join(map(title, suspects))


def _altered(file: SchemaFile, record: SchemaRecord) -> SchemaFileAltered:
    return SchemaFileAltered(file=file.name, recorded_sha256=record.sha256, found_sha256=file.sha256)


def _create_records(admin: SchemaAdmin) -> None:
    """A database that was made empty, by Terraform, gets the table of records."""
    outcome = admin.run(f"fairdrop_records_{uuid.uuid4().hex[:12]}", [DDL])
    if outcome.error is not None:
        raise SpannerRefused(outcome.error)


def _has_records(ddl: list[str]) -> bool:
    return any(statement.startswith(f"CREATE TABLE {TABLE} ") for statement in ddl)


def _records(database: FairdropDatabase) -> dict[str, SchemaRecord]:
    with snapshot(database) as reads:
        return read_records(reads)


def _connect(settings: Settings, database_id: str) -> FairdropDatabase:
    return connect(settings.model_copy(update={"spanner_database": database_id}))
