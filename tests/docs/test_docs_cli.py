"""docs/cli.md says what the command line says."""

import re
import runpy
import shlex
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import click
import pytest

from app.cli.main import SUBCOMMANDS, fairdrop

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "cli.md"


def tree(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    """A command's path (`fairdrop sale show`) and it, and so for all below it."""
    yield path, command
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from tree(f"{path} {name}", below)


def all_commands() -> dict[str, click.Command]:
    context = click.Context(fairdrop)
    found: dict[str, click.Command] = {}
    for name, (module, _attribute, _help) in SUBCOMMANDS.items():
        if find_spec(module) is not None:
            command = fairdrop.get_command(context, name)
            assert command is not None
            found.update(tree(f"fairdrop {name}", command))
    return found


COMMANDS = all_commands()


def section(path: str) -> str:
    """The part of the page under the command's heading."""
    match = re.search(rf"^##+ {re.escape(path)}\n(.*?)(?=^##|\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert match is not None, f"docs/cli.md has no section {path}: run scripts/document-cli"
    return match[1]


def test_the_page_is_what_its_script_derives_from_the_commands() -> None:
    names = runpy.run_path(str(ROOT / "scripts" / "document-cli"))
    assert names["DOCUMENT"] == PAGE
    assert PAGE.read_text() == names["document"](), "run scripts/document-cli"


@pytest.mark.parametrize("path", COMMANDS)
def test_the_page_has_every_option_and_argument_of_a_command_with_its_meaning(path: str) -> None:
    text = section(path)
    for parameter in COMMANDS[path].params:
        if isinstance(parameter, click.Option):
            for spelling in (*parameter.opts, *parameter.secondary_opts):
                assert re.search(rf"^  (?:-\w, |--[\w-]+ / )?{re.escape(spelling)}\b", text, re.MULTILINE), spelling
            assert parameter.help, f"{path} {parameter.opts[0]} has no help"
        else:
            usage = text[text.index("Usage:") :].splitlines()[0]
            assert parameter.make_metavar(click.Context(COMMANDS[path])) in usage


def test_the_page_has_no_command_that_there_is_not() -> None:
    assert set(re.findall(r"^##+ (.+)$", PAGE.read_text(), re.MULTILINE)) == set(COMMANDS)


@pytest.mark.parametrize("path", [path for path, command in COMMANDS.items() if not isinstance(command, click.Group)])
def test_every_example_of_the_command_itself_can_be_parsed(path: str) -> None:
    text = re.sub(r"\\\n\s*", "", section(path))
    examples = re.findall(rf"^ +(?:Example: )?({re.escape(path)}(?: .*)?)$", text, re.MULTILINE)
    command = COMMANDS[path]
    for example in examples:
        arguments = shlex.split(example)[len(path.split()) :]
        parser = command.make_parser(click.Context(command))
        _options, left_over, _order = parser.parse_args(arguments)
        assert left_over == []


def test_every_subcommand_is_in_the_tool_s_own_help() -> None:
    text = fairdrop.get_help(click.Context(fairdrop))
    for name, (_module, _attribute, line) in SUBCOMMANDS.items():
        assert f"  {name} " in text
        assert " ".join(text.split()).count(line) == 1
