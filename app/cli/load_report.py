"""What `fairdrop load` measured, as a section of docs/reliability.md with its pictures."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from app.bench.load import PIECE_SECONDS, Overload, Sample, Step
from app.cli.load_verdicts import SOAKED, Verdict, trends
from app.cli.svg import ALARM, BAR, INK, WIDTH, bars, picture
from app.cores import available

PAGE = "reliability.md"
BEGIN, END = "<!-- load: begin, written by scripts/load-report -->", "<!-- load: end -->"

PANEL, PANEL_LEFT, PANEL_RIGHT = 130, 70, 20


def write_report(
    overload: Overload, samples: Sequence[Sample], verdicts: Sequence[Verdict], seconds: float, folder: Path
) -> list[Path]:
    """Rewrite the section between the marks of the folder's page, and the pictures; the paths written.

    Raises ValueError, and writes nothing, when the page has no such marks.
    """
    page = folder / PAGE
    before, after = around_section(page)
    (folder / "images").mkdir(exist_ok=True)
    pictures = _pictures(overload, samples)
    for name, (_, svg) in pictures.items():
        (folder / "images" / name).write_text(svg)
    shown = "\n\n".join(f"![{says}](images/{name})" for name, (says, _) in pictures.items())
    page.write_text(f"{before}{BEGIN}\n\n{_text(overload, samples, verdicts, seconds)}\n\n{shown}\n\n{END}{after}")
    return [page, *(folder / "images" / name for name in pictures)]


def around_section(page: Path) -> tuple[str, str]:
    """What the page has before and after the section. Raises ValueError when the marks are not there."""
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} must have the lines {BEGIN!r} and {END!r}")
    return before, after


def _pieces(step: Step) -> str:
    return " ".join(f"{taken / step.capacity_per_second:.2f}" for taken in step.taken_pieces)


def _text(overload: Overload, samples: Sequence[Sample], verdicts: Sequence[Verdict], seconds: float) -> str:
    first = (
        f"One worker with one of {len(available())} cores to itself, the emulator and the crowd on the others: capacity "
        f"{overload.capacity_per_second:,.0f} orders a second (the mean). Each rate for {seconds:g} s on an empty "
        "database; its capacity is the mean of what was measured just before and just after; `pieces` is what was taken of those "
        f"who were due in each {PIECE_SECONDS:g} s. The emulator's malloc: {overload.emulator_malloc}."
    )
    rows = [
        "| offered, x | buyers/s | taken/s | capacity | of it | pieces | taken: p50, p99 | 503: p50, p99 | sent late, p99 "
        "| no answer |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    rows += [
        f"| {step.factor:g} | {step.offered_per_second:,.0f} | {step.taken_per_second:,.0f} "
        f"| {step.capacity_per_second:,.0f} | {step.taken_share_of_capacity:.2f} | {_pieces(step)} "
        f"| {_ms(step.taken_p50_ms)}, {_ms(step.taken_p99_ms)} | {_ms(step.refused_p50_ms)}, {_ms(step.refused_p99_ms)} "
        f"| {_ms(step.sent_late_p99_ms)} | {step.unanswered:,} |"
        for step in overload.steps
    ]
    judged = [
        "| wanted | |",
        "|---|---|",
        *(f"| {text} | {'reached' if ok else '**missed**'} |" for text, ok in verdicts),
    ]
    parts = [first, "\n".join(rows), "\n".join(judged)]
    if samples:
        parts.append(f"The soak took {samples[-1].seconds / 60:.0f} minutes, {len(samples)} samples.")
    return "\n\n".join(parts)


def _ms(value: float | None) -> str:
    return "none" if value is None else f"{value:,.0f} ms"


def _pictures(overload: Overload, samples: Sequence[Sample]) -> dict[str, tuple[str, str]]:
    """By file: what it shows in words, and the picture."""
    goodput, latency = [], []
    for step in overload.steps:
        refused = sum(number for kind, number in step.answers.items() if kind.startswith("503"))
        share = refused / max(1, sum(step.answers.values()))
        goodput.append((f"{step.factor:g} x: taken", step.taken_per_second, f"{step.taken_per_second:,.0f}/s", False))
        per_second = share * step.offered_per_second
        goodput.append((f"{step.factor:g} x: refused, 503", per_second, f"{per_second:,.0f}/s", False))
        for name, value in (
            ("taken, p50", step.taken_p50_ms),
            ("taken, p99", step.taken_p99_ms),
            ("503, p50", step.refused_p50_ms),
            ("503, p99", step.refused_p99_ms),
        ):
            if value is not None:
                latency.append((f"{step.factor:g} x: {name}", value, _ms(value), value >= overload.deadline_ms))
    capacity, deadline = ("capacity", overload.capacity_per_second), ("deadline", overload.deadline_ms)
    recovery = [(f"second {n + 1}", value, _ms(value), False) for n, value in enumerate(overload.recovery_ms)]
    title = (
        f"after the overload, half the capacity: the slowest answer by the second ({overload.recovery_seconds:.1f} s)"
    )
    made = {
        "load-goodput.svg": (
            "Orders taken and refused by what was offered",
            bars("orders a second by what was offered, in times the capacity", goodput, capacity),
        ),
        "load-latency.svg": (
            "Waits of orders taken and refused",
            bars("from when the buyer was due to the answer", latency, deadline),
        ),
        "load-recovery.svg": ("The slowest answers after the overload", bars(title, recovery)),
    }
    if samples:
        made["load-soak.svg"] = ("Memory, open files, greenlets and sessions of a soak", _soak(samples))
    return made


def _soak(samples: Sequence[Sample]) -> str:
    height = 40 + PANEL * len(SOAKED)
    lines: list[str] = []
    for number, ((_, field), trend) in enumerate(zip(SOAKED, trends(samples), strict=True)):
        top = 40 + PANEL * number
        values = [float(getattr(sample, field)) for sample in samples]
        says = f"{trend.name}: {trend.mean:,.0f}, rising by {trend.rise:,.1f} in the latter half"
        lines += [
            f'<text x="12" y="{top + 14}" fill="{INK if trend.is_flat else ALARM}">{escape(says)}</text>',
            *_panel([sample.seconds for sample in samples], values, top + 24),
        ]
    return picture(f"a soak at 0.7 of the capacity, {samples[-1].seconds / 60:.0f} minutes", height, lines)


def _panel(times: Sequence[float], values: Sequence[float], top: float) -> list[str]:
    """A line from zero up, the highest value as high as there is room."""
    height, width = PANEL - 40, WIDTH - PANEL_LEFT - PANEL_RIGHT
    highest, last = max(values) or 1.0, times[-1] or 1.0
    points = " ".join(
        f"{PANEL_LEFT + at / last * width:.1f},{top + height * (1 - value / highest):.1f}"
        for at, value in zip(times, values, strict=True)
    )
    return [
        f'<text x="{PANEL_LEFT - 8}" y="{top + 10}" text-anchor="end">{highest:,.0f}</text>',
        f'<text x="{PANEL_LEFT - 8}" y="{top + height}" text-anchor="end">0</text>',
        f'<line x1="{PANEL_LEFT}" y1="{top + height}" x2="{WIDTH - PANEL_RIGHT}" y2="{top + height}" stroke="#ccc"/>',
        f'<polyline points="{points}" fill="none" stroke="{BAR}" stroke-width="2"/>',
    ]
