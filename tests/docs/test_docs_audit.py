"""docs/audit.md says what the audit checks, and the audit knows how long the schema keeps rows."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from app.domain.audit.answers import REFUSAL_MAX_AGE_MS
from app.domain.audit.findings import NAMED_VIOLATIONS
from app.domain.audit.orders import OUTBOX_KEEPS
from app.domain.audit.stock import LEDGER_KEEPS
from app.services.audit.answer_checks import ANSWER_CHECKS
from app.services.audit.checks import CHECKS

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "audit.md").read_text()
DDL = "\n".join(path.read_text() for path in sorted((ROOT / "spanner_schema" / "orders").glob("*.sql")))


def test_the_page_has_every_check_with_its_invariant_in_the_order_of_the_report() -> None:
    rows = re.findall(r"^\| ([^|]+?) \| (?:(\d) \|)?", TEXT, re.MULTILINE)
    named = [(name, int(number) if number else None) for name, number in rows if name != "check"]
    assert named == [(check.name, check.invariant) for check in (*CHECKS, *ANSWER_CHECKS)]


def test_the_page_has_the_bounds_of_the_code() -> None:
    assert f"the first {NAMED_VIOLATIONS} by name" in TEXT
    assert f"at most {REFUSAL_MAX_AGE_MS} ms old" in TEXT
    assert f"The ledger keeps {LEDGER_KEEPS.days} days, the outbox {OUTBOX_KEEPS.days}." in TEXT


@pytest.mark.parametrize(
    ("table", "column", "kept"), [("StockLedger", "CommittedAt", LEDGER_KEEPS), ("Outbox", "CreatedAt", OUTBOX_KEEPS)]
)
def test_the_audit_knows_how_long_the_schema_keeps_rows(table: str, column: str, kept: timedelta) -> None:
    statement = re.search(rf"CREATE TABLE {table} \((.*?);", DDL, re.DOTALL)
    assert statement is not None
    assert f"OLDER_THAN({column}, INTERVAL {kept.days} DAY)" in statement[1]
