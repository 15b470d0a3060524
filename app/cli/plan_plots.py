"""A plan's pictures: what it needs, what it costs, and how other designs would fare."""

from dataclasses import replace
from pathlib import Path

from app.cli.svg import Row, bars
from app.domain.planning.plan import Figures, Plan, plan
from app.domain.planning.shape import SaleShape
from app.simulation.study import Study

CROWDS = (0.1, 0.3, 1.0, 3.0, 10.0)
"""Shares of the sale's crowd for which its needs are drawn."""


def write_plots(made: Plan, figures: Figures, found: Study, folder: Path) -> list[Path]:
    """The sale's pictures in the folder, by the sale's name; the paths written."""
    name, setting = made.shape.name, found.setting
    folder.mkdir(parents=True, exist_ok=True)
    pictures = {
        f"plan-{name}-needs.svg": bars(
            f"{name}: what is needed, as a share of what there is",
            [(need.name, need.share, f"{need.share:.0%}", need.share > 1) for need in made.needs],
        ),
        f"plan-{name}-crowds.svg": bars(
            f"{name}: dollars of the hour by the crowd", [_cost_row(made.shape, figures, share) for share in CROWDS]
        ),
        f"plan-{name}-shards.svg": bars(
            f"{name}: p99 of an outcome by shards, {setting.lanes:,} lanes, simulated",
            [
                (f"{shards} shards", result.p99_ms, f"{result.p99_ms:,.0f} ms", result.late > 0)
                for shards, result in found.by_shards.items()
            ],
        ),
        f"plan-{name}-designs.svg": bars(
            f"{name}: oversold, or refused while stock was left, of {setting.requests:,}, simulated",
            [
                (each.design, wrong, f"{wrong:,}", wrong > 0)
                for each in found.designs
                for wrong in (each.oversold + each.refused_with_stock_left,)
            ],
        ),
    }
    for file, picture in pictures.items():
        (folder / file).write_text(picture)
    return [folder / file for file in pictures]


def _cost_row(shape: SaleShape, figures: Figures, share: float) -> Row:
    crowd = max(1, min(10**9, round(shape.crowd * share)))
    made = plan(replace(shape, crowd=crowd), figures)
    first = made.bottleneck
    return f"{crowd:,} customers", made.cost, f"${made.cost:,.2f}", first.share > 1
