import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from google.api_core import exceptions as google_errors
from google.cloud.spanner_admin_database_v1 import DatabaseAdminClient

from app.settings import Settings
from app.storage import schema
from app.storage.database import connect
from app.storage.schema import FileState
from app.storage.schema_admin import SchemaAdmin
from app.storage.schema_errors import (
    InstanceMissing,
    SchemaFileAltered,
    SchemaFileMissing,
    SchemaFileOutOfOrder,
    SchemaProgressUnknown,
    SchemaStatementFailed,
)
from emulator import Emulators

TABLE_A = "CREATE TABLE A (Id INT64, Name STRING(8)) PRIMARY KEY (Id)"
TABLE_B = "CREATE TABLE B (Id INT64) PRIMARY KEY (Id)"
TABLE_C = "CREATE TABLE C (Id INT64) PRIMARY KEY (Id)"
BUSY = (
    "Schema change operation rejected because a concurrent schema change operation or read-write transaction is already "
    "in progress."
)
"""The emulator's own words."""
UNIQUE_NAMES = "CREATE UNIQUE INDEX NamesOfA ON A (Name)"


class Scratch:
    """A folder of DDL files and a database of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = Settings(
            spanner_project="fairdrop-test",
            spanner_instance="schema-test",
            spanner_database=f"schema-{uuid.uuid4().hex[:12]}",
        )
        self.database = connect(self.settings)

    def write(self, name: str, *statements: str) -> None:
        (self.folder / name).write_text(";\n".join(statements))

    def apply(self) -> list[str]:
        return schema.apply(self.settings, database_id=self.settings.spanner_database, folder=self.folder)

    def states(self) -> dict[str, FileState]:
        files = schema.status(self.settings, database_id=self.settings.spanner_database, folder=self.folder)
        return {file.file: file.state for file in files}

    def tables(self) -> set[str]:
        return {table.table_id for table in self.database.list_tables()} - {"SchemaFiles"}

    def ddl(self) -> list[str]:
        return SchemaAdmin(self.database).ddl() or []


@pytest.fixture
def scratch(emulators: Emulators, tmp_path: Path) -> Iterator[Scratch]:
    made = Scratch(tmp_path)
    yield made
    if SchemaAdmin(made.database).ddl() is not None:
        made.database.drop()


def test_files_are_applied_in_order_and_recorded(scratch: Scratch) -> None:
    scratch.write("0001_a.sql", TABLE_A, TABLE_B)
    scratch.write("0002_c.sql", "ALTER TABLE B ADD COLUMN X INT64", TABLE_C)
    assert scratch.states() == {"0001_a.sql": FileState.NOT_APPLIED, "0002_c.sql": FileState.NOT_APPLIED}
    assert scratch.apply() == ["0001_a.sql", "0002_c.sql"]
    assert scratch.states() == {"0001_a.sql": FileState.APPLIED, "0002_c.sql": FileState.APPLIED}
    assert scratch.tables() == {"A", "B", "C"}


def test_applying_twice_changes_nothing(scratch: Scratch) -> None:
    scratch.write("0001_a.sql", TABLE_A)
    scratch.apply()
    before = scratch.ddl()
    assert scratch.apply() == []
    assert scratch.ddl() == before


def test_a_new_file_alone_is_applied_to_a_database_that_has_the_others(scratch: Scratch) -> None:
    scratch.write("0001_a.sql", TABLE_A)
    scratch.apply()
    scratch.write("0002_b.sql", TABLE_B)
    assert scratch.apply() == ["0002_b.sql"]
    assert scratch.tables() == {"A", "B"}


def test_a_database_that_was_made_empty_is_filled(scratch: Scratch) -> None:
    scratch.write("0001_a.sql", TABLE_A)
    admin = SchemaAdmin(scratch.database)
    admin.create_database("CREATE TABLE Terraformed (Id INT64) PRIMARY KEY (Id)")
    assert scratch.states() == {"0001_a.sql": FileState.NOT_APPLIED}
    assert scratch.apply() == ["0001_a.sql"]
    assert scratch.tables() == {"A", "Terraformed"}


def test_an_altered_file_is_refused_by_name_with_both_hashes(scratch: Scratch) -> None:
    scratch.write("0001_a.sql", TABLE_A)
    scratch.apply()
    scratch.write("0001_a.sql", TABLE_A + " -- better")
    scratch.write("0002_b.sql", TABLE_B)
    with pytest.raises(SchemaFileAltered) as refused:
        scratch.apply()
    text = str(refused.value)
    assert "0001_a.sql" in text
    assert refused.value.recorded_sha256 in text
    assert refused.value.found_sha256 in text
    assert refused.value.recorded_sha256 != refused.value.found_sha256
    assert scratch.states() == {"0001_a.sql": FileState.ALTERED, "0002_b.sql": FileState.NOT_APPLIED}
    assert scratch.tables() == {"A"}


def test_a_recorded_file_that_is_missing_is_refused(scratch: Scratch) -> None:
    scratch.write("0001_a.sql", TABLE_A)
    scratch.write("0002_b.sql", TABLE_B)
    scratch.apply()
    (scratch.folder / "0002_b.sql").unlink()
    with pytest.raises(SchemaFileMissing, match=r"0002_b\.sql"):
        scratch.apply()
    assert scratch.states() == {"0001_a.sql": FileState.APPLIED, "0002_b.sql": FileState.MISSING}


def test_a_file_numbered_below_an_applied_one_is_refused(scratch: Scratch) -> None:
    scratch.write("0002_b.sql", TABLE_B)
    scratch.apply()
    scratch.write("0001_a.sql", TABLE_A)
    with pytest.raises(SchemaFileOutOfOrder, match=r"0001_a\.sql.*0002_b\.sql"):
        scratch.apply()
    assert scratch.tables() == {"B"}


@pytest.mark.parametrize(
    ("statement", "reason"),
    [("CREATE TABEL C (Id INT64) PRIMARY KEY (Id)", "TABEL"), (TABLE_A, "Duplicate name")],
)
def test_a_refused_statement_is_named_with_its_file_and_nothing_of_it_stays(
    scratch: Scratch, statement: str, reason: str
) -> None:
    scratch.write("0001_a.sql", TABLE_A)
    scratch.write("0002_bad.sql", TABLE_B, statement)
    with pytest.raises(SchemaStatementFailed) as failed:
        scratch.apply()
    assert failed.value.file == "0002_bad.sql"
    assert failed.value.statement == schema.title(statement)
    assert reason in failed.value.reason
    assert scratch.states() == {"0001_a.sql": FileState.APPLIED, "0002_bad.sql": FileState.UNFINISHED}
    assert scratch.tables() == {"A"}
    scratch.write("0002_bad.sql", TABLE_B, TABLE_C)
    assert scratch.apply() == ["0002_bad.sql"]
    assert scratch.states()["0002_bad.sql"] is FileState.APPLIED


def half_failed(scratch: Scratch) -> None:
    """A file whose second statement fails while the server is at it: two rows have one name."""
    scratch.write("0001_a.sql", TABLE_A)
    scratch.apply()
    with scratch.database.batch() as batch:
        batch.insert("A", ("Id", "Name"), [(1, "same"), (2, "same")])
    scratch.write("0002_index.sql", TABLE_B, UNIQUE_NAMES, TABLE_C)
    with pytest.raises(SchemaStatementFailed) as failed:
        scratch.apply()
    assert failed.value.statement == "CREATE UNIQUE INDEX NamesOfA"
    assert failed.value.applied == 1
    assert scratch.tables() == {"A", "B"}


def test_a_file_that_failed_half_way_goes_on_where_it_stopped(scratch: Scratch) -> None:
    half_failed(scratch)
    with pytest.raises(SchemaStatementFailed) as failed:
        scratch.apply()
    assert failed.value.applied == 1
    with scratch.database.batch() as batch:
        batch.update("A", ("Id", "Name"), [(2, "other")])
    assert scratch.apply() == ["0002_index.sql"]
    assert scratch.tables() == {"A", "B", "C"}


def test_a_file_that_failed_half_way_may_be_mended_only_in_what_failed(scratch: Scratch) -> None:
    half_failed(scratch)
    scratch.write("0002_index.sql", TABLE_C, UNIQUE_NAMES)
    with pytest.raises(SchemaFileAltered):
        scratch.apply()
    scratch.write("0002_index.sql", TABLE_B, UNIQUE_NAMES.replace("UNIQUE ", ""), TABLE_C)
    assert scratch.apply() == ["0002_index.sql"]
    assert scratch.states() == {"0001_a.sql": FileState.APPLIED, "0002_index.sql": FileState.APPLIED}
    assert scratch.apply() == []


class Crash(BaseException):
    """The process died here."""


def crash(*_args: Any, **_kwargs: Any) -> Any:
    raise Crash


def test_a_crash_after_the_ddl_and_before_its_record_is_survived(
    scratch: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch.write("0001_a.sql", TABLE_A, TABLE_B)
    with monkeypatch.context() as patch:
        patch.setattr(schema, "mark_applied", crash)
        with pytest.raises(Crash):
            scratch.apply()
    assert scratch.tables() == {"A", "B"}
    assert scratch.states() == {"0001_a.sql": FileState.UNFINISHED}
    assert scratch.apply() == ["0001_a.sql"]
    assert scratch.states() == {"0001_a.sql": FileState.APPLIED}


def test_a_crash_after_the_record_and_before_the_ddl_is_survived(
    scratch: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch.write("0001_a.sql", TABLE_A)
    with monkeypatch.context() as patch:
        patch.setattr(SchemaAdmin, "run", crash)
        with pytest.raises(Crash):
            scratch.apply()
    assert scratch.tables() == set()
    assert scratch.apply() == ["0001_a.sql"]
    assert scratch.tables() == {"A"}


def test_a_file_altered_after_such_a_crash_is_refused_if_its_ddl_is_in_force(
    scratch: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch.write("0001_a.sql", TABLE_A)
    with monkeypatch.context() as patch:
        patch.setattr(schema, "mark_applied", crash)
        with pytest.raises(Crash):
            scratch.apply()
    scratch.write("0001_a.sql", TABLE_C)
    with pytest.raises(SchemaFileAltered):
        scratch.apply()


def test_progress_that_nobody_knows_any_more_is_not_guessed(scratch: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch.write("0001_a.sql", TABLE_A)
    with monkeypatch.context() as patch:
        patch.setattr(SchemaAdmin, "run", crash)
        with pytest.raises(Crash):
            scratch.apply()
    scratch.database.update_ddl([TABLE_C]).result()
    with pytest.raises(SchemaProgressUnknown, match=r"0001_a\.sql"):
        scratch.apply()
    assert scratch.tables() == {"C"}


@pytest.mark.parametrize("appliers", [2, 6])
def test_appliers_at_once_are_one(scratch: Scratch, appliers: int) -> None:
    for number in range(1, 5):
        scratch.write(f"000{number}_t.sql", f"CREATE TABLE T{number} (Id INT64) PRIMARY KEY (Id)")
    start = threading.Barrier(appliers)

    def apply(_number: int) -> list[str]:
        start.wait()
        return scratch.apply()

    with ThreadPoolExecutor(appliers) as threads:
        results = list(threads.map(apply, range(appliers)))
    assert {name for result in results for name in result} == {f"000{number}_t.sql" for number in range(1, 5)}
    assert scratch.tables() == {"T1", "T2", "T3", "T4"}
    assert set(scratch.states().values()) == {FileState.APPLIED}


def test_a_second_applier_takes_over_from_one_that_hangs_before_its_ddl(
    scratch: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch.write("0001_a.sql", TABLE_A)
    really_run = SchemaAdmin.run
    taken_over: list[list[str]] = []

    def run(self: SchemaAdmin, operation_id: str, statements: list[str]) -> Any:
        if not taken_over:
            taken_over.append([])
            taken_over[0] = scratch.apply()
        return really_run(self, operation_id, statements)

    monkeypatch.setattr(SchemaAdmin, "run", run)
    assert scratch.apply() == ["0001_a.sql"]
    assert taken_over == [["0001_a.sql"]]
    assert scratch.tables() == {"A"}


def test_ddl_waits_while_the_emulator_is_busy_with_other_ddl(scratch: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch.write("0001_a.sql", TABLE_A)
    really_update = DatabaseAdminClient.update_database_ddl
    refusals = iter([BUSY, BUSY])

    def update(self: DatabaseAdminClient, **options: Any) -> Any:
        for refusal in refusals:
            raise google_errors.FailedPrecondition(refusal)
        return really_update(self, **options)

    monkeypatch.setattr(DatabaseAdminClient, "update_database_ddl", update)
    assert scratch.apply() == ["0001_a.sql"]
    assert next(refusals, None) is None


def test_outside_the_emulator_a_missing_instance_is_for_terraform(
    scratch: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch.write("0001_a.sql", TABLE_A)
    scratch.settings = scratch.settings.model_copy(update={"spanner_instance": "nobody-made-it"})
    monkeypatch.setattr("app.storage.schema_admin.on_emulator", lambda: False)
    with pytest.raises(InstanceMissing, match="instances/nobody-made-it does not exist: Terraform makes it"):
        scratch.apply()


def test_the_schema_of_the_service_is_in_force(settings: Settings) -> None:
    folder = schema.SCHEMA_ROOT / "orders"
    files = schema.status(settings, database_id=settings.spanner_database, folder=folder)
    assert [file.file for file in files] == sorted(path.name for path in folder.glob("*.sql"))
    assert {file.state for file in files} == {FileState.APPLIED}
    assert all(file.applied_at is not None for file in files)
