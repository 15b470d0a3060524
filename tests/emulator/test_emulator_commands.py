import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from app.cli.main import fairdrop
from emulator.commands import emulator

DOCS = Path(__file__).parents[2] / "docs" / "emulators.md"


@pytest.mark.parametrize("name", ["up", "down", "status", "env"])
def test_each_command_is_there_under_fairdrop_with_its_exit_codes(name: str) -> None:
    shown = CliRunner().invoke(fairdrop, ["emulator", name, "--help"])
    assert shown.exit_code == 0
    assert "Exit codes:" in shown.output


def test_the_help_states_the_order_in_which_emulators_are_looked_for() -> None:
    shown = CliRunner().invoke(emulator, ["--help"]).output
    places = [shown.index(word) for word in ("SPANNER_EMULATOR_HOST", "Google Cloud SDK", "Docker", "release archive")]
    assert places == sorted(places)


def test_every_command_and_option_is_in_the_docs() -> None:
    text = DOCS.read_text()
    for name, command in emulator.commands.items():
        assert f"`{name}" in text
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.opts[0] in text


def test_an_unknown_emulator_is_a_usage_error() -> None:
    assert CliRunner().invoke(emulator, ["up", "bigtable"]).exit_code == 2


def test_the_package_works_without_the_application() -> None:
    script = (
        "import sys, emulator, emulator.commands; print([name for name in sys.modules if name.split('.')[0] == 'app'])"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "[]\n"
