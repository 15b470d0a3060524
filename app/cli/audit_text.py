"""The audit's report as a person reads it."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.domain.audit.findings import Figure, Finding
from app.domain.timestamps import rfc3339
from app.services.audit.report import AuditReport

SHARDS_SHOWN = 32
"""Shards in the table that people read; JSON has them all."""

_INDENT = " " * 16


def print_report(report: AuditReport, console: Console) -> None:
    """Print each check with its figures and what breaks it, and the verdict as the last line."""
    console.print(
        f"sale {report.sale_id} as of {rfc3339(report.as_of)}: {report.orders:,} orders, audited in {report.seconds:.1f} s",
        highlight=False,
    )
    for finding in report.findings:
        _print_finding(finding, console)
    console.print(Text(report.verdict, style="bold red" if report.broken else "bold green"))


def _print_finding(finding: Finding, console: Console) -> None:
    number = "answers" if finding.invariant is None else str(finding.invariant)
    if finding.not_compared is not None:
        console.print(
            Text("-     ", "dim"), Text(f" {number:>7}  {finding.name}: not compared: {finding.not_compared}", "dim")
        )
        return
    mark = Text("holds ", "green") if finding.is_clean else Text("BROKEN", "bold red")
    console.print(mark, Text(f" {number:>7}  {finding.name}"))
    lists: dict[str, Mapping[str, Any]] = {
        name: figure for name, figure in finding.figures.items() if isinstance(figure, Mapping)
    }
    plain = [f"{_words(name)} {_figure(figure)}" for name, figure in finding.figures.items() if name not in lists]
    if plain:
        console.print(Text(f"{_INDENT} " + ", ".join(plain), "dim"))
    for name, figures in lists.items():
        if name == "shards":
            _print_shards(figures, console)
        elif figures:
            told = ", ".join(f"{key} {_figure(number)}" for key, number in figures.items())
            console.print(Text(f"{_INDENT} {_words(name)}: {told}", "dim"))
    for violation in finding.violations:
        console.print(Text(f"  {violation.row}: {violation.says}", "red"))
    unnamed = finding.violation_count - len(finding.violations)
    if unnamed:
        console.print(Text(f"  and {unnamed:,} more", "red"))


def _print_shards(shards: Mapping[str, Mapping[str, int]], console: Console) -> None:
    table = Table(_INDENT + "shard", box=None, padding=(0, 1), style="dim")
    for column in ("allocated", "available", "waiting"):
        table.add_column(column, justify="right")
    for shard_id, shard in list(shards.items())[:SHARDS_SHOWN]:
        table.add_row(_INDENT + shard_id, *(f"{shard[column]:,}" for column in ("allocated", "available", "waiting")))
    if len(shards) > SHARDS_SHOWN:
        table.add_row(_INDENT + f"… {len(shards) - SHARDS_SHOWN} more", "", "", "")
    console.print(table)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _figure(figure: Figure) -> str:
    return f"{figure:,}" if isinstance(figure, int | float) else str(figure)
