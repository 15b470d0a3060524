"""The command line, run in this process against the module's database."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson
import pytest
from click.testing import CliRunner, Result

from app.cli.main import fairdrop
from app.settings import Settings

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def variables(settings: Settings) -> Mapping[str, str]:
    """The environment in which a command finds the module's database and state folder."""
    return {
        f"FAIRDROP_{name.upper()}": str(getattr(settings, name))
        for name in ("spanner_project", "spanner_instance", "spanner_database", "state_dir")
    }


@pytest.fixture
def run(variables: Mapping[str, str]) -> Run:
    """`run("sale", "list")`: the result of a command line; `env=` adds variables."""

    def run_command(*arguments: str, env: Mapping[str, str] | None = None, **options: Any) -> Result:
        result = CliRunner().invoke(fairdrop, arguments, env={**variables, **(env or {})}, **options)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run_command


@pytest.fixture
def run_json(run: Run) -> Callable[..., Any]:
    """The JSON that a command prints; it must have succeeded."""

    def run_for_json(*arguments: str) -> Any:
        result = run(*arguments, "--json")
        assert result.exit_code == 0, result.output
        return orjson.loads(result.stdout)

    return run_for_json
