"""The fairness report as a person reads it."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.domain.fairness import Displacement
from app.domain.timestamps import rfc3339
from app.services.fairness_report import (
    FairnessReport,
    RushFairness,
    Spread,
    spoken_evenness,
    spoken_ranks,
)

PARTS_SHOWN = 32
"""Shards, and processes, in the table that people read; JSON has them all."""


def print_fairness(report: FairnessReport, console: Console) -> None:
    """Print the figures, and the verdict as the last line."""
    console.print(
        f"sale {report.sale_id} as of {rfc3339(report.as_of)}: {report.orders:,} orders in line, read in {report.seconds:.1f} s",
        highlight=False,
    )
    _print_line(report, console)
    _print_waits(report, console)
    names = {"shard_id": "shards", "writer": "processes"}
    for column, even in report.waitlistings.items():
        console.print(f"waitlistings over {names[column]}, at the tail: {spoken_evenness(even)}", highlight=False)
    if report.draw is not None:
        console.print(f"winners over tenths of the arrival: {spoken_evenness(report.draw.by_arrival)}", highlight=False)
        console.print(f"winners over shards: {spoken_evenness(report.draw.by_shard)}", highlight=False)
    if report.rush is not None:
        _print_rush(report.rush, console)
    style = "bold red" if report.is_unfair else "bold green" if report.is_compared else "bold yellow"
    console.print(Text(report.verdict, style=style))


def _print_line(report: FairnessReport, console: Console) -> None:
    console.print("the line against arrival: inverted pairs, and the most places and milliseconds of any order")
    table = _table("", ("orders", "inverted", "of all", "back", "forward", "overtaken by"))
    _add_part(table, "  whole line", report.line.whole)
    shards = sorted(report.line.by_shard.items())
    for shard_id, part in shards[:PARTS_SHOWN]:
        _add_part(table, f"  shard {shard_id}", part)
    writers = list(report.line.by_writer.items())
    for writer, part in writers[:PARTS_SHOWN]:
        _add_part(table, f"  {writer or 'process unknown'}", part)
    unshown = max(0, len(shards) - PARTS_SHOWN) + max(0, len(writers) - PARTS_SHOWN)
    if unshown:
        table.add_row(f"  … {unshown} more", *[""] * 6)
    console.print(table)
    console.print(
        Text(
            f"  {report.line.inverted_within_writers:,} inverted pairs within one process; "
            "arrival is by the servers' clocks, which decide nothing",
            "dim",
        )
    )


def _table(first: str, columns: Sequence[str]) -> Table:
    table = Table(box=None, padding=(0, 1))
    table.add_column(first, no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _add_part(table: Table, name: str, part: Displacement) -> None:
    table.add_row(
        name,
        f"{part.orders:,}",
        f"{part.inverted_pairs:,}",
        f"{100 * part.inverted_share:.4f} %",
        f"{part.places_back:,}",
        f"{part.places_forward:,}",
        f"{part.overtaken_ms:,.1f} ms",
    )


def _print_waits(report: FairnessReport, console: Console) -> None:
    table = _table("  waits in ms", ("count", "p50", "p95", "p99", "max"))
    answers = report.rush.answer_waits if report.rush is not None else {}
    spreads: dict[str, Spread | None] = {f"for the answer: {name}": spread for name, spread in answers.items()}
    spreads["arrival to commit"] = report.commit_ms
    spreads["waitlist, for a unit"] = report.unit_waits
    for name, spread in spreads.items():
        if spread is not None:
            figures = (spread.p50_ms, spread.p95_ms, spread.p99_ms, spread.max_ms)
            table.add_row(f"  {name}", f"{spread.count:,}", *(f"{figure:,.1f}" for figure in figures))
    console.print(table)
    console.print(f"waitlisted {report.waited:,}, still waiting {report.still_waiting:,}", highlight=False)


def _print_rush(rush: RushFairness, console: Console) -> None:
    if rush.refusals is not None:
        console.print(f"sold out over the rush's processes: {spoken_evenness(rush.refusals)}", highlight=False)
    lies = rush.lies
    if lies.first_mean_rank is not None and lies.second_mean_rank is not None:
        console.print(
            f"mean place of {lies.first_count:,} who lied about the time {lies.first_mean_rank:,.1f}, "
            f"of {lies.second_count:,} plain buyers {lies.second_mean_rank:,.1f}: {spoken_ranks(lies)}",
            highlight=False,
        )
        console.print(f"who has a place at all: {spoken_evenness(rush.lies_taken)}", highlight=False)
    for violation in rush.real_time.violations:
        console.print(Text(f"  {violation.row}: {violation.says}", "red"))
    unnamed = rush.real_time.violation_count - len(rush.real_time.violations)
    if unnamed:
        console.print(Text(f"  and {unnamed:,} more", "red"))
