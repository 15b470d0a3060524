"""The fairness report as one page that a seller may publish: no request leaves it, and no customer, order or machine is named."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from app.domain.timestamps import rfc3339
from app.services.fairness_report import (
    FairnessReport,
    Points,
    spoken_evenness,
    spoken_ranks,
)

STYLE = (files("app.services") / "templates" / "fairness.css").read_text(encoding="utf-8")
"""Part of the page, which must stand alone. A policy that lets it be shown names its digest."""

CHART_WIDTH = 900
CHART_HEIGHT = 260

HABITS = {"plain": "plain buyers", "false_time": "buyers who lied about the time"}


@dataclass(frozen=True, slots=True)
class Curve:
    """A line, or dots, of a chart: its points in the chart's own coordinates."""

    name: str
    points: list[tuple[float, float]]

    @property
    def svg(self) -> str:
        """The points as a polyline wants them."""
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in self.points)


@dataclass(frozen=True, slots=True)
class Chart:
    """Curves in one frame: from `left` to `right`, and from zero to `top`."""

    left: float
    right: float
    top: float
    curves: list[Curve]


def draw(
    curves: Mapping[str, Points], top: float | None = None, right: float | None = None, left: float = 0.0
) -> Chart | None:
    """The chart of some curves; None when there is nothing to draw. `top` and `right` are the largest values unless given."""
    every = [point for points in curves.values() for point in points]
    if not every:
        return None
    right = max(x for x, _ in every) if right is None else right
    top = max(y for _, y in every) if top is None else top
    # One value alone has no width: it is drawn at the left.
    width, height = right - left or 1.0, top or 1.0
    return Chart(
        left,
        right,
        top,
        [
            Curve(
                name,
                [
                    (CHART_WIDTH * _within((x - left) / width), CHART_HEIGHT * (1 - _within(y / height)))
                    for x, y in points
                ],
            )
            for name, points in curves.items()
        ],
    )


def _within(share: float) -> float:
    return min(1.0, max(0.0, share))


def render(report: FairnessReport) -> str:
    """The whole page."""
    environment = Environment(
        loader=PackageLoader("app.services"),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(spoken_evenness=spoken_evenness, spoken_ranks=spoken_ranks)
    plots = report.plots
    lies = {HABITS[kind]: points for kind, points in plots.lies.items()}
    return environment.get_template("fairness.html").render(
        report=report,
        style=Markup(STYLE),  # noqa: S704  # a file of ours
        as_of=rfc3339(report.as_of),
        line=draw({"orders": plots.line}, top=float(report.orders), right=float(report.orders)),
        unit_waits=draw(
            {"promoted orders": plots.unit_waits}, left=min((place for place, _ in plots.unit_waits), default=0.0)
        ),
        answers=draw(plots.answers, top=1.0),
        lies=draw(lies, top=1.0) if len(lies) == len(HABITS) else None,
        parts=[
            *((f"shard {name}", part) for name, part in sorted(report.line.by_shard.items())),
            # A process's name is its machine's, which is nobody's business.
            *((f"process {number}", part) for number, part in enumerate(report.line.by_writer.values(), start=1)),
        ],
        tails={"shards": "shard_id", "processes": "writer"},
        width=CHART_WIDTH,
        height=CHART_HEIGHT,
    )


def style_digest() -> str:
    """SHA-256 of the page's style, as a Content-Security-Policy names it."""
    return f"sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}"


def write_page(path: Path, report: FairnessReport) -> None:
    """Write the page to `path`. Raises OSError."""
    path.write_text(render(report), encoding="utf-8")
