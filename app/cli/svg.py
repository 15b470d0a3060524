"""Pictures as plain SVG: no library draws four bars better, and these do not change with its version."""

from collections.abc import Sequence
from html import escape

WIDTH, ROW, LEFT, RIGHT = 800, 26, 310, 130

INK, BAR, ALARM = "#222", "#3b6ea5", "#c0392b"

Row = tuple[str, float, str, bool]
"""Label, length, what stands behind the bar, and whether it is an alarm."""


def picture(title: str, height: int, lines: Sequence[str]) -> str:
    """A whole file of the usual width, in pixels: its title, and these elements below."""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
            f'font-family="sans-serif" font-size="13" fill="{INK}">',
            f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
            f'<text x="12" y="24" font-size="15">{escape(title)}</text>',
            *lines,
            "</svg>",
            "",
        ]
    )


def bars(title: str, rows: Sequence[Row], limit: tuple[str, float] | None = None) -> str:
    """Horizontal bars, the longest as wide as there is room; red where something does not suffice. `limit`: a line at a length."""
    longest = max([length for _, length, _, _ in rows] + ([limit[1]] if limit else []), default=0) or 1
    height = 44 + ROW * len(rows)
    lines: list[str] = []
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
    return picture(title, height, lines)
