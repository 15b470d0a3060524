"""docs/states.md and docs/settings.md say what the code says."""

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.domain.states import TRANSITIONS, Status, Trigger
from app.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


def generated(script: str) -> tuple[str, Path]:
    """What a script would write, and where."""
    names: dict[str, Any] = runpy.run_path(str(ROOT / "scripts" / script))
    document: Callable[[], str] = names["document"]
    path: Path = names["DOCUMENT"]
    return document(), path


@pytest.mark.parametrize("script", ["document-states", "document-settings"])
def test_the_page_is_what_its_script_derives_from_the_code(script: str) -> None:
    text, path = generated(script)
    assert path.read_text() == text, f"run scripts/{script}"


def test_the_page_of_states_has_every_transition_in_its_picture_and_its_table() -> None:
    text = (ROOT / "docs" / "states.md").read_text()
    for (before, trigger), outcome in TRANSITIONS.items():
        assert f"    {before.value if before else '[*]'} --> {outcome.status.value}: {trigger.value}\n" in text
        row = (before.value if before else "(new)", trigger, outcome.status, outcome.stock, outcome.event)
        assert f"| {' | '.join(row)} |\n" in text


@pytest.mark.parametrize("name", [*Status, *Trigger])
def test_the_page_of_states_explains_every_status_and_trigger(name: str) -> None:
    lines = (ROOT / "docs" / "states.md").read_text().splitlines()
    (row,) = [line for line in lines if line.startswith(f"| {name} |") and len(line.split("|")) in (4, 6)]
    assert len(row.split("|")[-2].split()) >= 3


@pytest.mark.parametrize("name", Settings.model_fields)
def test_the_page_of_settings_has_every_setting_with_its_default_and_its_meaning(name: str) -> None:
    field = Settings.model_fields[name]
    lines = (ROOT / "docs" / "settings.md").read_text().splitlines()
    (row,) = [line for line in lines if line.startswith(f"| `FAIRDROP_{name.upper()}` |")]
    shown = str(field.default)
    assert (f"| `{shown}` |" if shown else "| (empty) |") in row
    assert field.description
    assert row.endswith(f"| {field.description} |")
