import uuid
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result

from app.http.answer_models import SaleDetails
from app.services import sales
from app.storage.database import FairdropDatabase

Run = Callable[..., Result]
RunJson = Callable[..., Any]

TERMS = ("--name", "A phone", "--stock", "1000", "--unit-price-minor", "49900", "--currency", "EUR")
NOON = ("--opens-at", "2030-01-01T12:00:00Z", "--lasts", "2h")


@pytest.fixture
def sale_id() -> str:
    """An id that no other test has."""
    return f"phone-{uuid.uuid4().hex[:10]}"


@pytest.fixture
def scheduled(run: Run, sale_id: str) -> str:
    """A sale that opens in years."""
    result = run("sale", "create", sale_id, *TERMS, *NOON)
    assert result.exit_code == 0, result.output
    return sale_id


def test_a_sale_is_created_with_the_terms_given_and_defaults_for_the_rest(run_json: RunJson, sale_id: str) -> None:
    body = run_json("sale", "create", sale_id, *TERMS, *NOON, "--limit-per-customer", "5", "--shard-count", "4")
    SaleDetails.model_validate(body)
    given = {"stock": 1000, "unit_price_minor": 49900, "currency": "EUR", "limit_per_customer": 5, "shard_count": 4}
    assert given.items() <= body.items()
    assert body["opens_at"] == "2030-01-01T12:00:00.000000Z"
    assert body["closes_at"] == "2030-01-01T14:00:00.000000Z"
    assert body["hold_seconds"] == 600
    assert body["waitlist_limit"] == 1000
    assert body["phase"] == "scheduled"


def test_the_very_same_sale_again_is_no_error_and_another_of_its_id_is(run: Run, scheduled: str) -> None:
    again = run("sale", "create", scheduled, *TERMS, *NOON)
    assert (again.exit_code, again.stdout.splitlines()[0]) == (0, "this very sale was there already")
    other = run("sale", "create", scheduled, *TERMS, *NOON, "--limit-per-customer", "2")
    assert other.exit_code == 1
    assert other.stderr == f"Error: sale {scheduled!r} exists already, with other terms\n"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--stock", "-1"),
        ("--unit-price-minor", "-5"),
        ("--currency", "EURO"),
        ("--currency", "XQQ"),
        ("--limit-per-customer", "0"),
        ("--waitlist-limit", "-1"),
        ("--expected-crowd", "0"),
        ("--shard-count", "0"),
        ("--hold-seconds", "1"),
        ("--cancel-window-seconds", "-1"),
        ("--name", " "),
        ("--lasts", "100d"),
    ],
)
def test_a_value_out_of_its_range_is_named_by_its_option(run: Run, sale_id: str, option: str, value: str) -> None:
    result = run("sale", "create", sale_id, *TERMS, *NOON, option, value)
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith(f"Error: {option if option != '--lasts' else '--closes-at'}: ")


def test_an_id_that_is_none_is_refused_in_words(run: Run) -> None:
    result = run("sale", "create", "Not_an_id", *TERMS, *NOON)
    assert (result.exit_code, result.stderr[:24]) == (2, "Error: SALE: must be 1 t")


@pytest.mark.parametrize("times", [(), (*NOON[2:], "--closes-at", "2030-01-01T13:00:00Z")])
def test_the_closing_is_said_once(run: Run, sale_id: str, times: tuple[str, ...]) -> None:
    result = run("sale", "create", sale_id, *TERMS, *NOON[:2], *times)
    assert result.exit_code == 2
    assert "--lasts" in result.stderr


def test_a_sale_opens_pauses_resumes_and_closes(run: Run, run_json: RunJson, scheduled: str) -> None:
    assert run_json("sale", "open", scheduled)["phase"] == "open"
    assert run_json("sale", "pause", scheduled)["phase"] == "paused"
    assert run_json("sale", "open", scheduled)["phase"] == "open"
    refused = run("sale", "change", scheduled, "--stock", "5")
    assert (refused.exit_code, refused.stderr) == (1, "Error: cannot change a sale that is open\n")
    assert run("sale", "close", scheduled, input="n\n").exit_code == 1
    assert run_json("sale", "show", scheduled)["phase"] == "open"
    assert run_json("sale", "close", scheduled, "--yes")["phase"] == "closed"
    assert run("sale", "open", scheduled).stderr == "Error: cannot open a sale that is closed\n"


def test_terms_change_while_the_sale_is_not_open(run_json: RunJson, scheduled: str) -> None:
    body = run_json("sale", "change", scheduled, "--stock", "1200", "--lasts", "3h", "--name", "Another")
    assert (body["stock"], body["name"], body["closes_at"]) == (1200, "Another", "2030-01-01T15:00:00.000000Z")
    body = run_json("sale", "change", scheduled, "--opens-at", "2030-02-01T12:00:00Z", "--lasts", "1h")
    assert (body["opens_at"], body["closes_at"]) == ("2030-02-01T12:00:00.000000Z", "2030-02-01T13:00:00.000000Z")


def test_a_change_of_nothing_is_a_mistake(run: Run, scheduled: str) -> None:
    result = run("sale", "change", scheduled)
    assert result.exit_code == 2
    assert "nothing to change" in result.stderr


def test_a_restock_adds_once_for_one_key(run: Run, run_json: RunJson, scheduled: str) -> None:
    answer = run_json("sale", "restock", scheduled, "50", "--key", "friday")
    assert answer["sale"]["stock"] == answer["sale"]["available"] == 1050
    assert (answer["promoted_orders"], answer["idempotency_key"]) == (0, "friday")
    assert run_json("sale", "restock", scheduled, "50", "--key", "friday")["sale"]["stock"] == 1050
    other = run("sale", "restock", scheduled, "51", "--key", "friday")
    assert other.exit_code == 1
    assert "restock another number of units" in other.stderr
    assert run("sale", "restock", scheduled, "0").exit_code == 2


def test_a_restock_without_a_key_says_which_it_used_before_it_begins(run: Run, scheduled: str) -> None:
    result = run("sale", "restock", scheduled, "5")
    key = result.stderr.removeprefix("restock key: ").strip()
    again = run("sale", "restock", scheduled, "5", "--key", key)
    assert again.exit_code == 0
    assert "1,005 units" in again.stdout


def test_sales_are_listed_page_by_page(run: Run, run_json: RunJson) -> None:
    prefix = uuid.uuid4().hex[:10]
    ids = [f"{prefix}-{number}" for number in range(3)]
    for sale_id in ids:
        run("sale", "create", sale_id, *TERMS, *NOON)
    first = run_json("sale", "list", "--after", prefix, "--limit", "2")
    assert [sale["sale_id"] for sale in first["sales"]] == ids[:2]
    assert first["next_after"] == ids[1]
    text = run("sale", "list", "--after", prefix, "--limit", "2").stdout
    assert text.splitlines()[-1] == f"more: fairdrop sale list --after {ids[1]}"
    assert ids[0] in text
    following = run_json("sale", "list", "--after", first["next_after"], "--limit", "1")
    assert [sale["sale_id"] for sale in following["sales"]] == ids[2:]
    assert run("sale", "list", "--after", "zzz").stdout == "no sales\n"


def test_a_sale_is_shown_as_text_with_its_shards(run: Run, scheduled: str) -> None:
    text = run("sale", "show", scheduled).stdout
    for part in (scheduled, "A phone", "scheduled", "49,900 minor units of EUR", "1,000 units, 1,000 available"):
        assert part in text
    assert len([line for line in text.splitlines() if line.split()[0].isdigit()]) == 8


@pytest.mark.parametrize("command", [("show",), ("open",), ("pause",), ("close", "--yes"), ("restock", "5")])
def test_a_sale_that_is_not_there_is_one_line(run: Run, command: tuple[str, ...]) -> None:
    result = run("sale", command[0], "nowhere", *command[1:])
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == "Error: there is no sale 'nowhere'"


def test_what_the_terminal_writes_is_what_the_service_reads(
    run: Run, scheduled: str, database: FairdropDatabase
) -> None:
    run("sale", "change", scheduled, "--limit-per-customer", "7")
    assert sales.show(database, scheduled).sale.limit_per_customer == 7


def test_without_a_schema_the_line_says_what_to_do(run: Run) -> None:
    result = run("sale", "list", env={"FAIRDROP_SPANNER_DATABASE": "never-made"})
    assert result.exit_code == 1
    assert "fairdrop schema apply" in result.stderr


def test_without_credentials_the_line_says_what_to_do(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_credentials(**_options: Any) -> None:
        from google.auth.exceptions import DefaultCredentialsError

        raise DefaultCredentialsError("none")

    monkeypatch.setattr("google.auth.default", no_credentials)
    result = run("sale", "list", env={"SPANNER_EMULATOR_HOST": ""})
    assert result.exit_code == 1
    assert "fairdrop emulator up" in result.stderr
