"""A plan's pictures as plain SVG: no library draws four bars better, and these do not change with its version."""

from collections.abc import Sequence
from dataclasses import replace
from html import escape
from pathlib import Path

from app.domain.planning.plan import Figures, Plan, plan
from app.domain.planning.shape import SaleShape
from app.simulation.study import Study

WIDTH, ROW, LEFT, RIGHT = 800, 26, 310, 130
CROWDS = (0.1, 0.3, 1.0, 3.0, 10.0)
"""Shares of the sale's crowd for which its needs are drawn."""

INK, BAR, ALARM = "#222", "#3b6ea5", "#c0392b"

Row = tuple[str, float, str, bool]
"""Label, length, what stands behind the bar, and whether it is an alarm."""


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


def bars(title: str, rows: Sequence[Row], limit: tuple[str, float] | None = None) -> str:
    """Horizontal bars, the longest as wide as there is room; red where something does not suffice. `limit`: a line at a length."""
    longest = max([length for _, length, _, _ in rows] + ([limit[1]] if limit else []), default=0) or 1
    height = 44 + ROW * len(rows)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        f'font-family="sans-serif" font-size="13" fill="{INK}">',
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="12" y="24" font-size="15">{escape(title)}</text>',
    ]
    for number, (label, length, behind, alarm) in enumerate(rows):
        top = 40 + ROW * number
        width = max(1.0, length / longest * (WIDTH - LEFT - RIGHT))
        lines += [
            f'<text x="{LEFT - 8}" y="{top + 14}" text-anchor="end">{escape(label)}</text>',
            f'<rect x="{LEFT}" y="{top}" width="{width:.1f}" height="18" fill="{ALARM if alarm else BAR}"/>',
            f'<text x="{LEFT + width + 6:.1f}" y="{top + 14}">{escape(behind)}</text>',
        ]
    if limit:
        at = LEFT + limit[1] / longest * (WIDTH - LEFT - RIGHT)
        lines += [
            f'<line x1="{at:.1f}" y1="36" x2="{at:.1f}" y2="{height - 4}" stroke="{ALARM}" stroke-dasharray="4 3"/>',
            f'<text x="{at + 4:.1f}" y="34" fill="{ALARM}">{escape(limit[0])}</text>',
        ]
    return "\n".join([*lines, "</svg>", ""])
