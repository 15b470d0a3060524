"""`fairdrop fairness`, run against the module's database."""

import os
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import Result
from sale_samples import put_up

from app.domain.orders import Order
from app.services.placement import Placement
from app.services.reports import fairness_page, reports_of
from app.settings import Settings
from app.storage.database import FairdropDatabase

Run = Callable[..., Result]

BUYERS = ("anna", "ben", "cleo")


@pytest.fixture(scope="module")
def line(database: FairdropDatabase, settings: Settings) -> list[Order]:
    """Three orders of a fresh free sale of two units; ben, the second in line, arrived two seconds before anna."""
    now = datetime.now(UTC)
    terms = {"stock": 2, "limit_per_customer": 2, "waitlist_limit": 5, "expected_crowd": None, "shard_count": 2}
    sale_id = put_up(database, **terms).sale_id
    counter = Placement(database, settings)
    arrivals = {"anna": now, "ben": now - timedelta(seconds=2), "cleo": now}
    return [counter.place(name, sale_id, 1, "key", None, arrivals[name]).order for name in BUYERS]


def write_answers(path: Path, orders: list[Order], **changes: Any) -> Path:
    """An answers file in which each order was asked for after the one before was confirmed; changes go into the first line."""
    lines = [
        {
            "buyer": order.customer_id,
            "key": "key",
            "attempt": 1,
            "kind": "plain",
            "units": order.units,
            "due_ns": None,
            "sent_ns": number * 1_000_000,
            "answered_ns": number * 1_000_000 + 500_000,
            "status": 201,
            "order_id": order.order_id,
            "order_status": order.status.value,
            "placed_at": order.placed_at.isoformat(),
            "shard_id": order.shard_id,
            "seq": order.seq,
            "problem": None,
            "as_of": None,
            "age_ms": None,
            "replayed": False,
            "error": None,
        }
        for number, order in enumerate(orders)
    ]
    lines[0].update(changes)
    header = {"rush": {"sale_id": orders[0].sale_id, "processes": 1}}
    path.write_bytes(b"".join(orjson.dumps(text, option=orjson.OPT_APPEND_NEWLINE) for text in (header, *lines)))
    return path


def test_a_line_that_real_time_agrees_with_is_exit_code_0_and_says_so_last(
    run: Run, line: list[Order], tmp_path: Path
) -> None:
    answers = write_answers(tmp_path / "rush.jsonl", line)
    result = run("fairness", line[0].sale_id, "--answers", str(answers))
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert "3 orders in line" in lines[0]
    assert lines[-1].startswith("FAIR: of 3 confirmed orders")


def test_an_order_before_one_confirmed_earlier_is_exit_code_1_and_named(
    run: Run, line: list[Order], tmp_path: Path
) -> None:
    answers = write_answers(tmp_path / "rush.jsonl", line, sent_ns=9_000_000, answered_ns=9_500_000)
    result = run("fairness", line[0].sale_id, "--answers", str(answers))
    assert result.exit_code == 1, result.output
    assert f"order {line[0].order_id} of customer anna: stands at" in result.stdout
    assert result.stdout.splitlines()[-1].startswith("UNFAIR: ")


def test_json_has_the_line_with_the_process_that_the_ledger_names(run: Run, line: list[Order]) -> None:
    result = run("fairness", line[0].sale_id, "--json")
    assert result.exit_code == 0, result.output
    report = orjson.loads(result.stdout)
    assert (report["sale_id"], report["orders"], report["fair"]) == (line[0].sale_id, 3, None)
    whole = report["line"]["whole"]
    assert (whole["inverted_pairs"], whole["pairs"], whole["overtaken_ms"]) == (1, 3, 2000.0)
    writer = f"{socket.gethostname()[:40]}:{os.getpid()}"
    assert {name: part["orders"] for name, part in report["line"]["by_process"].items()} == {writer: 3}
    assert (report["waitlist"]["waitlisted"], report["waitlist"]["still_waiting"]) == (1, 1)
    assert report["rush"] is None


def test_the_page_is_kept_for_the_console_unless_it_is_not_to_be(
    run: Run, database: FairdropDatabase, line: list[Order], tmp_path: Path
) -> None:
    sale_id = line[0].sale_id
    path = tmp_path / "fairness.html"
    run("fairness", sale_id, "--answers", str(write_answers(tmp_path / "rush.jsonl", line)), "--html", str(path))
    kept = reports_of(database, sale_id).fairness
    assert kept is not None
    assert (kept.report.command, kept.report.orders, kept.report.with_answers) == ("fairdrop fairness", 3, True)
    assert fairness_page(database, sale_id) == path.read_text()
    assert run("fairness", sale_id, "--no-record").exit_code == 0
    assert reports_of(database, sale_id).fairness == kept


def test_the_page_is_written_and_names_nobody(run: Run, line: list[Order], tmp_path: Path) -> None:
    page = tmp_path / "fairness.html"
    answers = write_answers(tmp_path / "rush.jsonl", line)
    result = run("fairness", line[0].sale_id, "--answers", str(answers), "--html", str(page))
    assert result.exit_code == 0, result.output
    text = page.read_text()
    assert text.startswith("<!doctype html>")
    named = [*BUYERS, *(order.order_id for order in line), f":{os.getpid()}<"]
    assert [name for name in named if name in text] == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["no-such-sale"], "no-such-sale"),
        (["{sale}", "--answers", "{empty}"], "not an answers file"),
        (["{sale}", "--html", "{folder}/missing/page.html"], "No such file or directory"),
        (["{sale}", "--as-of", "2020-01-01T00:00:00Z"], ""),
    ],
)
def test_what_cannot_be_is_exit_code_2_in_one_line(
    run: Run, line: list[Order], tmp_path: Path, arguments: list[str], says: str
) -> None:
    empty = tmp_path / "empty"
    empty.write_bytes(b"")
    values = {"sale": line[0].sale_id, "empty": str(empty), "folder": str(tmp_path)}
    result = run("fairness", *(argument.format(**values) for argument in arguments))
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert says in result.stderr
    assert len(result.stderr.splitlines()) == 1
