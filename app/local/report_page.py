"""The page that a demo leaves behind: what the buyers were told, how fast, and the audit's verdict. One file, no requests."""

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import orjson
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from app.local.settling import Standing
from app.rush.report import RushReport
from app.services.audit.report import AuditReport

CHART_WIDTH = 900
CHART_HEIGHT = 220
CHART_STEPS = 120


@dataclass(frozen=True, slots=True)
class Curve:
    """A line of a chart, its points as SVG wants them."""

    name: str
    points: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Answers a second over the time of a rush."""

    seconds: float
    peak_per_second: float
    curves: list[Curve]


def write_page(
    path: Path,
    sale_name: str,
    price_minor: int,
    rush: RushReport,
    standing: Standing,
    audit: AuditReport,
    answers: Path,
) -> None:
    """Write the page to `path`. Money in a currency of two decimals."""
    environment = Environment(
        loader=PackageLoader("app.local"), autoescape=select_autoescape(), undefined=StrictUndefined
    )
    with answers.open("rb") as lines:
        chart = draw(lines)
    page = environment.get_template("report.html").render(
        sale_name=sale_name,
        sold_for=standing.placed_units * price_minor / 100,
        rush=rush,
        standing=standing,
        audit=audit,
        chart=chart,
        width=CHART_WIDTH,
        height=CHART_HEIGHT,
    )
    path.write_text(page, encoding="utf-8")


def draw(lines: Iterable[bytes]) -> Chart:
    """The chart of an answers file: orders taken, and refusals, by when they were answered."""
    moments: dict[str, array[int]] = {"orders taken": array("q"), "refused": array("q")}
    for text in lines:
        line = orjson.loads(text)
        if "rush" in line or line["answered_ns"] is None or line["status"] is None:
            continue
        if line["status"] == 201:  # noqa: PLR2004  # created
            moments["orders taken"].append(line["answered_ns"])
        elif 400 <= line["status"] < 500:  # noqa: PLR2004  # the client errors
            moments["refused"].append(line["answered_ns"])
    every = [moment for some in moments.values() for moment in some]
    if not every:
        return Chart(0.0, 0.0, [])
    first, span = min(every), max(max(every) - min(every), 1)
    counted = {name: _per_step(some, first, span) for name, some in moments.items()}
    peak = max(max(counts) for counts in counted.values())
    step_seconds = span / 1e9 / CHART_STEPS
    return Chart(span / 1e9, peak / step_seconds, [Curve(name, _points(c, peak)) for name, c in counted.items()])


def _per_step(moments: Iterable[int], first: int, span: int) -> list[int]:
    counts = [0] * CHART_STEPS
    for moment in moments:
        counts[min(CHART_STEPS - 1, (moment - first) * CHART_STEPS // span)] += 1
    return counts


def _points(counts: list[int], peak: int) -> str:
    step = CHART_WIDTH / (CHART_STEPS - 1)
    return " ".join(f"{i * step:.1f},{CHART_HEIGHT * (1 - count / peak):.1f}" for i, count in enumerate(counts))
