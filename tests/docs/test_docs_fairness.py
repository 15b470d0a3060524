"""docs/fairness.md has the bounds of the code, and docs/cli.md's exit codes stand beside it."""

from pathlib import Path

from app.domain.audit.stock import LEDGER_KEEPS
from app.domain.fairness_statistics import LEAST_EXPECTED, LEAST_RANKED
from app.domain.sale import Policy
from app.services.fairness_report import UNLIKELY
from app.storage.fairness import TAIL_HALF

TEXT = " ".join((Path(__file__).resolve().parents[2] / "docs" / "fairness.md").read_text().split())


def test_the_page_has_the_bounds_of_the_code() -> None:
    assert f"(at most {TAIL_HALF:,})" in TEXT
    assert f"(fewer than {LEAST_EXPECTED:.0f} expected)" in TEXT
    assert f"from {LEAST_RANKED} of each on" in TEXT
    assert f"Below {UNLIKELY} the report says to look into it" in TEXT
    assert f"dropped it after {LEDGER_KEEPS.days} days" in TEXT


def test_the_page_says_which_policies_there_are() -> None:
    assert [policy.value for policy in Policy] == ["fcfs"]
    assert "only policy is `fcfs`" in TEXT
