import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import Result
from google.cloud.spanner_admin_database_v1 import AddSplitPointsRequest, DatabaseAdminClient

from app.settings import Settings
from app.storage.database import connect
from app.storage.schema import SCHEMA_ROOT

Run = Callable[..., Result]
DATABASES = ("spanner_database", "payments_database")
TABLE = "CREATE TABLE Own (Id INT64) PRIMARY KEY (Id)"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one DDL file for each service; the orders' is returned."""
    for service in ("orders", "payments"):
        (tmp_path / service).mkdir()
        (tmp_path / service / "0001_own.sql").write_text(TABLE)
    return tmp_path / "orders"


@pytest.fixture
def elsewhere(folder: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Options for the orders of that folder, in a database of the test's own; the other service's is at hand too."""
    monkeypatch.setattr("app.cli.schema.SCHEMA_ROOT", folder.parent)
    names = [f"cli-{uuid.uuid4().hex[:12]}" for _ in range(2)]
    monkeypatch.setattr(
        "app.cli.schema.cli_settings", lambda: settings.model_copy(update=dict(zip(DATABASES, names, strict=True)))
    )
    yield ["--service", "orders"]
    for name in names:
        connect(settings, name).drop()


def test_apply_names_what_it_applied_and_status_agrees(run: Run, elsewhere: list[str]) -> None:
    before = run("schema", "status", *elsewhere)
    assert (before.exit_code, before.output.split()) == (1, ["not", "applied", "orders/0001_own.sql"])
    assert run("schema", "apply", *elsewhere).output == "applied orders/0001_own.sql\n"
    assert run("schema", "apply", *elsewhere).output == "nothing to do\n"
    after = run("schema", "status", *elsewhere)
    assert (after.exit_code, after.output.split()) == (0, ["applied", "orders/0001_own.sql"])


def test_status_of_an_altered_file_shows_both_hashes_and_apply_refuses_in_one_line(
    run: Run, elsewhere: list[str], folder: Path
) -> None:
    assert orjson.loads(run("schema", "apply", *elsewhere, "--json").stdout) == {
        "applied": {"orders": ["0001_own.sql"]}
    }
    (folder / "0001_own.sql").write_text(TABLE + "  -- altered")
    status = run("schema", "status", *elsewhere, "--json")
    assert status.exit_code == 1
    [file] = orjson.loads(status.stdout)["files"]
    assert file["state"] == "altered"
    assert file["applied_at"].endswith("Z")
    text = run("schema", "status", *elsewhere)
    assert file["found_sha256"] in text.output
    assert file["recorded_sha256"] in text.output
    refused = run("schema", "apply", *elsewhere)
    assert refused.exit_code == 1
    assert refused.stderr.count("\n") == 1
    assert refused.stderr.startswith("Error: 0001_own.sql was altered")


def test_a_statement_that_fails_is_one_line(run: Run, elsewhere: list[str], folder: Path) -> None:
    (folder / "0002_bad.sql").write_text("CREATE TABLE Own (\n  Id INT64\n) PRIMARY KEY (Id)")
    refused = run("schema", "apply", *elsewhere)
    assert refused.exit_code == 1
    assert refused.stderr.count("\n") == 1
    assert refused.stderr.startswith("Error: 0002_bad.sql: CREATE TABLE Own: ")


def test_without_a_service_both_databases_are_meant(run: Run, elsewhere: list[str]) -> None:
    assert run("schema", "apply").output == "applied orders/0001_own.sql\napplied payments/0001_own.sql\n"
    assert run("schema", "apply").output == "nothing to do\n"
    assert [line.split()[1] for line in run("schema", "status").output.splitlines()] == [
        "orders/0001_own.sql",
        "payments/0001_own.sql",
    ]


def test_the_default_is_the_service_s_own_database_and_folder(run: Run, run_json: Callable[..., Any]) -> None:
    files = run_json("schema", "status", "--service", "orders")["files"]
    assert [file["file"] for file in files] == sorted(path.name for path in (SCHEMA_ROOT / "orders").glob("*.sql"))
    assert {file["state"] for file in files} == {"applied"}


def test_a_bad_setting_is_named_in_one_line(run: Run) -> None:
    result = run("schema", "status", env={"FAIRDROP_RPC_DEADLINE_SECONDS": "-1"})
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: FAIRDROP_RPC_DEADLINE_SECONDS: ")


@pytest.fixture
def phones(run: Run) -> str:
    """A scheduled sale of eight shards, of the test's own."""
    sale_id = f"phones-{uuid.uuid4().hex[:8]}"
    terms = ["--stock", "1000", "--unit-price-minor", "0", "--currency", "EUR", "--shard-count", "8"]
    result = run("sale", "create", sale_id, "--name", "Phones", *terms, "--opens-at", "now+2d", "--lasts", "2h")
    assert result.exit_code == 0, result.output
    return sale_id


def test_the_emulator_has_no_split_points_and_that_is_no_failure(run: Run, phones: str) -> None:
    result = run("schema", "split", phones)
    assert result.exit_code == 0
    assert "no split points" in result.stderr
    assert "added" not in result.stdout


def test_split_points_are_sent_in_whole_keys_with_an_expiry(
    run_json: Callable[..., Any], phones: str, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    sent: list[AddSplitPointsRequest] = []
    monkeypatch.setattr(
        DatabaseAdminClient, "add_split_points", lambda _self, request, **_options: sent.append(request)
    )
    answer = run_json("schema", "split", phones, "--points", "30")
    assert answer["added"] is True
    assert all(request.database.endswith(f"/databases/{settings.spanner_database}") for request in sent)
    assert all(len(request.split_points) <= 100 for request in sent)
    points = [point for request in sent for point in request.split_points]
    assert len(points) == len(answer["split_points"]) == 30 + 6 * 8 + 16
    keys = [[str(part) for part in key.key_parts] for point in points for key in point.keys]
    assert keys == [one["key"] for one in answer["split_points"]]
    assert {point.expire_time.isoformat() for point in points} == {answer["expires_at"].replace("Z", "+00:00")}


def test_a_dry_run_only_prints(run: Run, phones: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DatabaseAdminClient, "add_split_points", None)
    result = run("schema", "split", phones, "--dry-run", "--points", "2", "--customer-ids", "hex")
    assert result.exit_code == 0
    assert "Orders  55  ''  ''" in result.stdout.splitlines()
    assert f"StockShards  {phones}  4" in result.stdout.splitlines()


def test_a_sample_of_customers_gives_the_points(run_json: Callable[..., Any], phones: str, tmp_path: Path) -> None:
    sample = tmp_path / "customers.txt"
    sample.write_text("\n".join(f"user-{number:03}" for number in range(100)))
    answer = run_json("schema", "split", phones, "--dry-run", "--points", "3", "--sample", str(sample))
    orders = [one["key"][0] for one in answer["split_points"] if one["table"] == "Orders" and one["index"] is None]
    assert orders == ["user-025", "user-050", "user-075"]


@pytest.mark.parametrize(("content", "message"), [(b"\n \n", "has no customer ids"), (b"\xff\xfe", "is not UTF-8")])
def test_a_sample_that_is_none_is_refused(run: Run, phones: str, tmp_path: Path, content: bytes, message: str) -> None:
    sample = tmp_path / "customers.txt"
    sample.write_bytes(content)
    result = run("schema", "split", phones, "--sample", str(sample))
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: --sample: ")
    assert message in result.stderr


def test_a_sale_that_opens_after_the_longest_life_of_a_split_point_is_too_early(run: Run, phones: str) -> None:
    run("sale", "change", phones, "--opens-at", "now+40d", "--lasts", "2h")
    result = run("schema", "split", phones)
    assert result.exit_code == 1
    assert "come back then" in result.stderr


def test_a_closed_sale_is_not_split(run: Run, phones: str) -> None:
    run("sale", "close", phones, "--yes")
    result = run("schema", "split", phones)
    assert (result.exit_code, result.stderr) == (1, f"Error: sale {phones!r} is closed\n")
