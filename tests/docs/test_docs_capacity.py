"""docs/capacity.md shows pictures that are there, and its table of the three sales is what the plan says."""

import re
from pathlib import Path
from xml.etree import ElementTree

from app.domain.planning.plan import plan
from app.domain.planning.shape import PRESETS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "capacity.md").read_text()


def row(label: str) -> list[str]:
    (line,) = (line for line in PAGE.splitlines() if line.startswith(f"| {label} |"))
    return [cell.strip() for cell in line.split("|")[2:-1]]


def test_every_picture_is_there_and_is_svg() -> None:
    pictures = re.findall(r"\]\((images/[^)]+)\)", PAGE)
    assert len(pictures) >= 6
    for picture in pictures:
        assert ElementTree.parse(ROOT / "docs" / picture).getroot().tag.endswith("svg")


def test_the_table_of_the_three_sales_is_the_plan_s() -> None:
    plans = [plan(shape) for shape in PRESETS.values()]
    assert row("requests a second") == [f"{made.requests_per_second:,.0f}" for made in plans]
    assert row("orders recorded a second") == [f"{made.orders_per_second:,.0f}" for made in plans]
    assert row("shards") == [str(made.shards) for made in plans]
    assert row("API") == [f"{made.api_cores:,} cores, {made.api_instances:,} instances" for made in plans]
    for cell, made in zip(row("cost of the hour"), plans, strict=True):
        assert cell.startswith(f"${made.cost:,.0f}")
    for cell, made in zip(row("gives way first"), plans, strict=True):
        assert f"{made.bottleneck.share * 100:.0f} %" in cell
