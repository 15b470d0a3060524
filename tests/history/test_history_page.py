"""docs/reliability.md has every rule, every planted fault and every kind of chaos, as they are in the code."""

import re
from pathlib import Path

from history_judge import RULES
from history_mutants import MUTANTS

from app.local.chaos_plan import LASTS_SECONDS, Kind

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "reliability.md").read_text()


def rows(heading: str) -> list[list[str]]:
    """The rows of the table whose first column has this heading."""
    table = re.search(rf"^\| {heading} \|.*\n\|[-|]+\|\n((?:\|.*\n)*)", PAGE, re.MULTILINE)
    assert table is not None
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[1].splitlines()]


def test_the_page_has_every_rule_in_order() -> None:
    assert [row[0] for row in rows("rule")] == list(RULES)


def test_the_page_has_every_planted_fault_with_its_workload_and_rule() -> None:
    assert rows("planted") == [[mutant.name, mutant.workload, mutant.rule] for mutant in MUTANTS.values()]


def test_every_rule_about_orders_stock_and_money_that_a_planted_fault_breaks_is_a_rule() -> None:
    assert {mutant.rule for mutant in MUTANTS.values()} <= set(RULES)
    assert len(MUTANTS) >= 10


def test_the_page_has_every_kind_of_fault_with_how_long_it_lasts() -> None:
    expected = [[kind.value, f"{LASTS_SECONDS[kind][0]:g} to {LASTS_SECONDS[kind][1]:g}"] for kind in Kind]
    assert [row[:2] for row in rows("fault")] == expected
