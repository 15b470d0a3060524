"""`fairdrop draw` and `fairdrop verify-draw`, from the close of a lottery to a buyer who checks it."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import Result
from sale_samples import put_up

from app.domain.ids import order_id
from app.domain.sale import Sale
from app.services import sales
from app.services.draw import show
from app.services.placement import Placement
from app.settings import Settings
from app.storage.database import FairdropDatabase, connect

Run = Callable[..., Result]


@pytest.fixture
def lottery(settings: Settings, database: FairdropDatabase) -> Sale:
    """A lottery of 2 units with five entries, which is over."""
    sale = put_up(database, policy="lottery", stock=2, waitlist_limit=2)
    counter = Placement(connect(settings), settings)
    for number in range(5):
        counter.place(f"buyer-{number}", sale.sale_id, 1, "key", None, datetime.now(UTC))
    sales.close(database, sale.sale_id, "seller")
    return sale


@pytest.fixture
def record(run: Run, lottery: Sale, tmp_path: Path) -> Path:
    """Its public record."""
    path = tmp_path / "draw.jsonl"
    result = run("draw", lottery.sale_id, "--export", str(path))
    assert result.exit_code == 0, result.output
    return path


def test_a_lottery_is_created_shown_drawn_and_not_drawn_again(
    run: Run, run_json: Callable[..., Any], lottery: Sale
) -> None:
    body = run_json("sale", "show", lottery.sale_id)["draw"]
    assert (body["state"], body["seed"]) == ("COMMITTED", None)
    assert f"draw       committed, commitment {body['commitment']}" in run("sale", "show", lottery.sale_id).stdout
    first = run("draw", lottery.sale_id)
    assert first.exit_code == 0, first.output
    assert "won         2 entries, 2 of 2 units" in first.stdout
    assert "drawn, 5 of 5 entries" in first.stderr
    again = run("draw", lottery.sale_id)
    assert (again.stdout, again.stderr) == (first.stdout, "")
    shown = run_json("draw", lottery.sale_id)
    assert shown["state"] == "DRAWN"
    assert f"seed        {shown['seed']}" in first.stdout
    assert run("audit", lottery.sale_id).stdout.splitlines()[-1] == "CLEAN"
    told = run("fairness", lottery.sale_id)
    assert "winners over tenths of the arrival: not tested" in told.stdout
    assert told.stdout.splitlines()[-1].startswith("DRAWN BY LOT")


def test_a_buyer_checks_the_record_and_finds_their_order(
    run: Run, database: FairdropDatabase, lottery: Sale, record: Path
) -> None:
    own, drawn = order_id(lottery.sale_id, "buyer-3", "key"), show(database, lottery.sale_id)
    assert drawn.digest is not None
    options = ("--commitment", drawn.commitment.upper(), "--digest", drawn.digest, "--order", own)
    # It needs no database: none is there.
    result = run("verify-draw", str(record), *options, env={"SPANNER_EMULATOR_HOST": "127.0.0.1:1"})
    assert result.exit_code == 0, result.output
    assert f"order {own} has place " in result.stdout
    assert result.stdout.splitlines()[-1].startswith("GENUINE: 2 of 5 entries won")
    as_json = orjson.loads(run("verify-draw", str(record), "--order", own, "--json").stdout)
    assert (as_json["holds"], as_json["order"]["found"], as_json["violations"]) == (True, True, [])


def test_a_record_that_was_changed_is_broken_and_says_where(run: Run, record: Path) -> None:
    lines = record.read_text().splitlines(keepends=True)
    record.write_text("".join([lines[0], lines[2], lines[1], *lines[3:]]))
    result = run("verify-draw", str(record))
    assert result.exit_code == 1
    assert "stands where place 1 belongs" in result.stdout
    assert result.stdout.splitlines()[-1].startswith("BROKEN: ")
    record.write_text("".join([*lines[:-1], lines[-1][:20]]))
    cut = run("verify-draw", str(record))
    assert (cut.exit_code, cut.stderr) == (1, "Error: BROKEN: line 6 is cut off, or too long\n")


def test_what_cannot_be_drawn_or_checked_is_refused_in_one_line(
    run: Run, database: FairdropDatabase, record: Path, tmp_path: Path
) -> None:
    still_open = put_up(database, policy="lottery").sale_id
    plain = put_up(database).sale_id
    for arguments, exit_code, says in (
        (("draw", "nothing"), 1, "there is no sale 'nothing'"),
        (("draw", still_open), 1, "cannot draw a sale that is open"),
        (("draw", plain), 1, f"sale '{plain}' has no draw"),
        (("verify-draw", str(record), "--order", "568dafe1-ea99-524a-b669-1b1bcd39e324"), 1, ""),
        (("verify-draw", str(record), "--commitment", "abc"), 2, "must be 64 hexadecimal digits"),
        (("verify-draw", str(tmp_path / "nothing")), 2, "does not exist"),
    ):
        result = run(*arguments)
        assert result.exit_code == exit_code, result.output
        assert says in result.stderr
