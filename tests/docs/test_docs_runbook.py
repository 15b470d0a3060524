"""docs/runbook.md has a section for each alert, a row for each figure, and names nothing that is not there."""

import re
from pathlib import Path

import click
import pytest

from app.cli.main import fairdrop
from app.http.metrics import families
from app.services.figures import Figures

ROOT = Path(__file__).resolve().parents[2]
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
OBSERVABILITY = ROOT / "terraform" / "modules" / "observability"
PARTS = ("Means", "Look", "Do", "Do not", "Escalate")

READING = re.compile(r'Reading\(\s*"(\w+)".*?(is_count=False)?,?\s*\)', re.DOTALL)
OTHER_ALERTS = re.compile(r'resource "google_(?:monitoring_uptime_check_config|billing_budget)" "(\w+)"')


def alerts() -> set[str]:
    """The names of what terraform wakes somebody up with."""
    text = (OBSERVABILITY / "main.tf").read_text()
    named = set(OTHER_ALERTS.findall(text))
    for block in ("thresholds", "queries"):
        inside = text.partition(f"  {block} = {{\n")[2].partition("\n  }\n")[0]
        named |= set(re.findall(r"^    (\w+) = \{$", inside, re.MULTILINE))
    return named


def sections() -> dict[str, str]:
    """Text of the runbook's alerts, by name."""
    inside = RUNBOOK.partition("\n## Alerts\n")[2].partition("\n## ")[0]
    named = re.split(r"^### (\w+)$", inside, flags=re.MULTILINE)[1:]
    return dict(zip(named[::2], named[1::2], strict=True))


def figures() -> set[str]:
    """The names of everything that a /metrics shows, as PromQL has them, histograms by their family."""
    shown = {f"{family.name}_total" if family.type == "counter" else family.name for family in families(Figures())}
    for file in (ROOT / "app" / "workers").glob("*.py"):
        for name, is_gauge in READING.findall(file.read_text()):
            shown.add(f"fairdrop_{name}" if is_gauge else f"fairdrop_{name}_total")
    return shown


def test_every_alert_has_a_section_and_every_section_an_alert() -> None:
    assert len(alerts()) >= 10
    assert set(sections()) == alerts()


@pytest.mark.parametrize("alert", sorted(alerts()))
def test_a_section_says_what_it_means_and_what_to_do_and_when_to_escalate(alert: str) -> None:
    text = sections()[alert]
    assert re.findall(r"^- \*\*([\w ]+):\*\* \S", text, re.MULTILINE) == list(PARTS)


def test_every_figure_has_a_row_and_every_row_a_figure() -> None:
    assert set(re.findall(r"^\| `(fairdrop_\w+)` \|", RUNBOOK, re.MULTILINE)) == figures()


def test_every_figure_that_is_mentioned_exists() -> None:
    assert set(re.findall(r"\bfairdrop_[a-z0-9_]+\b", RUNBOOK)) - figures() == set()


def commands() -> list[str]:
    """The commands that the runbook tells to type, with their options."""
    return re.findall(r"(?:`|\$ |; )fairdrop ([a-z][^`;\n]*)", RUNBOOK)


def test_every_command_and_option_that_is_named_exists() -> None:
    assert len(commands()) >= 8
    for line in commands():
        command: click.Command = fairdrop
        words = line.split()
        while isinstance(command, click.Group):
            found = command.get_command(click.Context(command), words.pop(0))
            assert found is not None, line
            command = found
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, line


def test_every_alert_policy_names_its_section() -> None:
    text = (OBSERVABILITY / "main.tf").read_text()
    assert text.count('"google_monitoring_alert_policy"') == text.count("docs/runbook.md#${each.key}") == 2
