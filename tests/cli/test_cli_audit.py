"""`fairdrop audit`, run against the module's database."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import Result
from google.api_core.exceptions import PermissionDenied
from sale_samples import put_up

from app.domain.orders import Order
from app.services.placement import Placement
from app.services.reports import reports_of
from app.settings import Settings
from app.storage.database import FairdropDatabase, _BoundedClient
from tests.gateway_simulator.simulator_process import Simulator
from tests.services.paid_world import Paid, with_payments

Run = Callable[..., Result]

CHECKS = [
    (1, "never oversold"),
    (1, "the stock ledger adds up"),
    (2, "never undersold"),
    (2, "everything is settled"),
    (3, "first come, first served"),
    (3, "the draw is by the rule"),
    (4, "one line in the ledger a request"),
    (4, "every history is whole"),
    (5, "the limit per customer"),
    (6, "no order before the opening"),
    (7, "money follows units"),
    (7, "the gateway's book agrees"),
    (8, "every event is published"),
    (8, "every event has arrived"),
    (9, "a claim is redeemed once"),
]


@pytest.fixture
def taken(database: FairdropDatabase, settings: Settings) -> list[Order]:
    """Two orders of a fresh free sale, in the order in which they were placed."""
    now = datetime.now(UTC)
    sale_id = put_up(database, stock=10, limit_per_customer=2, expected_crowd=None, shard_count=2).sale_id
    counter = Placement(database, settings)
    return [counter.place(name, sale_id, 1, "key", None, now).order for name in ("anna", "ben")]


def spoil(database: FairdropDatabase, order: Order) -> None:
    """The order says more units than its shard gave away."""
    with database.batch() as batch:
        row = (order.customer_id, order.sale_id, order.order_id, 2)
        batch.update("Orders", ("CustomerId", "SaleId", "OrderId", "Units"), [row])


def write_answers(path: Path, orders: list[Order], **changes: Any) -> Path:
    """An answers file in which each order was asked for and confirmed, one after the other; changes go into the last line."""
    lines: list[dict[str, Any]] = [{"rush": {"sale_id": orders[0].sale_id}}]
    for number, order in enumerate(orders):
        lines.append(
            {
                "buyer": order.customer_id,
                "key": "key",
                "attempt": 1,
                "kind": "plain",
                "units": order.units,
                "due_ns": None,
                "sent_ns": number * 1_000,
                "answered_ns": number * 1_000 + 500,
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
        )
    lines[-1].update(changes)
    path.write_bytes(b"".join(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in lines))
    return path


def test_a_clean_sale_is_exit_code_0_and_says_so_in_its_last_line(run: Run, taken: list[Order]) -> None:
    result = run("audit", taken[0].sale_id)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert "2 orders, audited in" in lines[0]
    assert lines[-1] == "CLEAN"
    for _, name in CHECKS:
        assert name in result.stdout


def test_a_broken_sale_is_exit_code_1_and_names_the_row(
    run: Run, database: FairdropDatabase, taken: list[Order]
) -> None:
    spoil(database, taken[0])
    result = run("audit", taken[0].sale_id)
    assert result.exit_code == 1
    shard = f"shard {taken[0].shard_id}: 2 units are out of it, its live orders hold 3"
    assert shard in result.stdout
    assert result.stdout.splitlines()[-1].startswith("BROKEN: never oversold (1), ")


def test_the_verdict_is_kept_for_the_console_unless_it_is_not_to_be(
    run: Run, database: FairdropDatabase, taken: list[Order], tmp_path: Path
) -> None:
    sale_id = taken[0].sale_id
    assert run("audit", sale_id, "--no-record").exit_code == 0
    assert reports_of(database, sale_id).audit is None
    run("audit", sale_id, "--answers", str(write_answers(tmp_path / "answers.jsonl", taken)))
    clean = reports_of(database, sale_id).audit
    assert clean is not None
    assert (clean.report.verdict, clean.report.command, clean.report.with_answers) == ("CLEAN", "fairdrop audit", True)
    spoil(database, taken[0])
    result = run("audit", sale_id)
    broken = reports_of(database, sale_id).audit
    assert broken is not None
    assert (broken.report.is_clean, broken.report.with_answers) == (False, False)
    assert broken.report.verdict == result.stdout.splitlines()[-1]


def test_credentials_that_may_only_read_do_not_fail_an_audit(
    run: Run, taken: list[Order], monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_arguments: object, **_options: object) -> None:
        raise PermissionDenied("lacks spanner.databases.write")

    monkeypatch.setattr(_BoundedClient, "commit", denied)
    result = run("audit", taken[0].sale_id)
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "CLEAN")
    assert result.stderr == (
        "the verdict is not kept for the console: the database does not let these credentials do that\n"
    )


def test_json_has_every_check_with_figures_and_violations(
    run: Run, database: FairdropDatabase, taken: list[Order]
) -> None:
    spoil(database, taken[0])
    result = run("audit", taken[0].sale_id, "--json")
    assert result.exit_code == 1
    report = orjson.loads(result.stdout)
    assert (report["sale_id"], report["orders"], report["clean"]) == (taken[0].sale_id, 2, False)
    assert [(check["invariant"], check["name"]) for check in report["checks"]] == CHECKS
    first = report["checks"][0]
    assert (first["clean"], first["violation_count"], first["figures"]["stock"]) == (False, 1, 10)
    assert first["violations"] == [
        {"row": f"shard {taken[0].shard_id}", "says": "2 units are out of it, its live orders hold 3"}
    ]


def test_true_answers_are_clean_and_false_ones_are_named(run: Run, taken: list[Order], tmp_path: Path) -> None:
    path = write_answers(tmp_path / "answers.jsonl", taken)
    result = run("audit", taken[0].sale_id, "--answers", str(path))
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "CLEAN"), result.output
    write_answers(path, taken, seq=9)
    result = run("audit", taken[0].sale_id, "--answers", str(path))
    assert result.exit_code == 1
    assert result.stdout.splitlines()[-1] == "BROKEN: every confirmed order is stored (1)"


def test_what_there_is_nothing_to_compare_with_is_said_so(run: Run, taken: list[Order], tmp_path: Path) -> None:
    environment = {"FAIRDROP_PAYMENTS_DATABASE": "missing"}
    lines = run("audit", taken[0].sale_id, env=environment).stdout.splitlines()
    assert lines[-1] == "CLEAN"
    said = [line.split("  ")[-1] for line in lines if line.startswith("-")]
    assert said == [
        "everything is settled: not compared: the sale was not said to be settled",
        "money follows units: not compared: there is no payment database",
        "the gateway's book agrees: not compared: there is no payment database",
        "every event has arrived: not compared: there is no payment database",
    ]
    report = orjson.loads(run("audit", taken[0].sale_id, "--no-payments", "--json").stdout)
    skipped = {check["name"]: check["not_compared"] for check in report["checks"]}
    assert skipped["money follows units"] == "payments were not asked for"
    assert skipped["never oversold"] is None


def test_payments_and_the_book_are_compared_as_asked_and_as_they_are_there(
    run: Run, settings: Settings, tmp_path: Path
) -> None:
    simulator = Simulator(tmp_path).start()
    with with_payments(settings) as own:
        environment = {"FAIRDROP_PAYMENTS_DATABASE": own.payments_database, "FAIRDROP_GATEWAY_URL": simulator.url}
        paid = Paid(own, simulator)
        sale_id = paid.sale.sale_id
        plain = run("audit", sale_id, env=environment)
        assert (plain.exit_code, plain.stdout.splitlines()[-1]) == (0, "CLEAN"), plain.output
        assert "holds         7  the gateway's book agrees" in plain.stdout
        assert "placed minor 200, captured in the book minor 200, of it in flight minor 0" in plain.stdout
        early = run("audit", sale_id, "--settled", env=environment)
        assert (early.exit_code, early.stdout.splitlines()[-1]) == (1, "BROKEN: everything is settled (1)")
        impatient = run("audit", sale_id, "--grace", "1s", env=environment)
        assert impatient.exit_code == 0, impatient.output
        paid.finish()
        settled = run("audit", sale_id, "--settled", "--gateway-book", "--payments", env=environment)
        assert settled.exit_code == 0, settled.output
        assert "not compared" not in settled.stdout
        stripe = run("audit", sale_id, env={**environment, "FAIRDROP_PAYMENT_GATEWAY": "stripe"})
        assert "the gateway's book agrees: not compared: the gateway is Stripe" in stripe.stdout
        simulator.stop()
        alone = run("audit", sale_id, env=environment)
        assert (alone.exit_code, alone.stdout.splitlines()[-1]) == (0, "CLEAN")
        assert "the gateway's book agrees: not compared: the gateway at http://127.0.0.1:" in alone.stdout
        for option in ("--gateway-book", f"--gateway-book={simulator.url}"):
            unreachable = run("audit", sale_id, option, env=environment)
            assert unreachable.exit_code == 2
            assert "does not answer" in unreachable.stderr
        paid.close()


@pytest.mark.parametrize(
    ("options", "environment", "says"),
    [
        (("--payments",), {"FAIRDROP_PAYMENTS_DATABASE": "missing"}, "there is no payment database"),
        (("--gateway-book",), {"FAIRDROP_PAYMENTS_DATABASE": "missing"}, "there is no payment database"),
        (("--gateway-book",), {"FAIRDROP_PAYMENT_GATEWAY": "stripe"}, "the gateway is Stripe"),
        (("--gateway-book", "--no-payments"), {}, "--no-payments is given"),
        (("--gateway-book", "iphone"), {}, "'iphone' is no address"),
        (("--grace", "soon"), {}, "'soon' is no duration"),
    ],
)
def test_money_that_cannot_be_compared_as_asked_is_exit_code_2(
    run: Run, taken: list[Order], options: tuple[str, ...], environment: dict[str, str], says: str
) -> None:
    result = run("audit", taken[0].sale_id, *options, env=environment)
    assert result.exit_code == 2
    assert says in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("no-such-sale",), "there is no sale 'no-such-sale'"),
        (("SALE", "--as-of", "yesterday"), "'yesterday' is no time"),
        (("SALE", "--as-of", "2026-01-01T12:00:00"), "has no zone"),
        (("SALE", "--answers", "no-such-file"), "does not exist"),
    ],
)
def test_an_audit_that_could_not_be_is_exit_code_2(
    run: Run, taken: list[Order], arguments: tuple[str, ...], says: str
) -> None:
    result = run("audit", *(taken[0].sale_id if argument == "SALE" else argument for argument in arguments))
    assert result.exit_code == 2
    assert says in " ".join(result.stderr.split())


def test_answers_of_another_sale_or_no_answers_are_exit_code_2(run: Run, taken: list[Order], tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text('{"rush": {"sale_id": "another"}}\n')
    result = run("audit", taken[0].sale_id, "--answers", str(path))
    assert (result.exit_code, result.stderr) == (
        2,
        f"Error: the answers are of a rush on sale 'another', not {taken[0].sale_id!r}\n",
    )
    path.write_text("no json\n")
    assert run("audit", taken[0].sale_id, "--answers", str(path)).exit_code == 2


def test_a_missing_database_is_exit_code_2(run: Run, taken: list[Order]) -> None:
    result = run("audit", taken[0].sale_id, env={"FAIRDROP_SPANNER_DATABASE": "missing"})
    assert result.exit_code == 2
    assert "fairdrop schema apply" in result.stderr
