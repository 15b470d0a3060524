"""`fairdrop plan` needs no database, no settings and no network."""

from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner, Result

from app.cli.main import fairdrop
from app.cli.svg import bars
from app.domain.planning.shape import PRESETS


def run(*arguments: str) -> Result:
    return CliRunner().invoke(fairdrop, ["plan", *arguments])


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_names_what_gives_way_first(name: str) -> None:
    result = run(name)
    assert result.exit_code == 0
    assert "gives way first" in result.stdout
    assert "unchecked" in result.stdout


def test_an_option_changes_a_preset() -> None:
    few, many = (orjson.loads(run("iphone", "--crowd", crowd, "--json").stdout) for crowd in ("100000", "10000000"))
    assert few["shape"]["crowd"] == 100_000
    assert many["api_cores"] > 10 * few["api_cores"]
    assert set(many["prices"]) >= {"spanner_regional", "pubsub"}


def test_a_plan_s_shape_is_read_back_from_a_file(tmp_path: Path) -> None:
    made = orjson.loads(run("phones", "--place", "multi-region", "--window", "5m", "--json").stdout)
    file = tmp_path / "sale.json"
    file.write_bytes(orjson.dumps(made["shape"]))
    assert orjson.loads(run("--file", str(file), "--json").stdout) == made


@pytest.mark.parametrize(
    ("content", "named"),
    [('{"name": "x", "stock": "many", "crowd": 1}', "stock"), ("{", "json"), ('{"name": "x"}', "stock")],
)
def test_a_bad_file_is_one_line(tmp_path: Path, content: str, named: str) -> None:
    file = tmp_path / "bad.json"
    file.write_text(content)
    result = run("--file", str(file))
    assert result.exit_code == 2
    assert named in result.stderr.lower()
    assert result.stderr.count("\n") == 1


def test_a_bad_share_names_the_option() -> None:
    result = run("iphone", "--declined", "2")
    assert result.exit_code == 2
    assert "--declined" in result.stderr


def test_a_simulation_is_printed_with_its_error_against_measured_runs() -> None:
    arguments = ("--stock", "50", "--crowd", "2000", "--burst", "1s", "--simulate")
    result = run(*arguments, "--json")
    simulated = orjson.loads(result.stdout)["simulation"]
    assert simulated["designs"][0]["sold"] == 50
    assert all("error" in pair for pair in simulated["calibration"])
    text = run(*arguments)
    assert "a CRDT counter" in text.stdout
    assert "measured" in text.stdout


def test_plots_are_svg_files_that_say_the_sale_and_escape_its_name(tmp_path: Path) -> None:
    file = tmp_path / "sale.json"
    file.write_bytes(orjson.dumps({"name": "tea", "stock": 20, "crowd": 900}))
    assert run("--file", str(file), "--plots", str(tmp_path / "plots")).exit_code == 0
    assert len(list((tmp_path / "plots").glob("plan-tea-*.svg"))) == 4
    assert "&lt;tea&gt;" in bars("<tea>", [("a", 0.0, "0", False)])
