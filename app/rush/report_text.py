"""The report as a person reads it."""

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from app.rush.report import Latency, RushReport


def print_report(report: RushReport, console: Console) -> None:
    """Prints the report as tables."""
    console.print(Group(*_parts(report)))


def _parts(report: RushReport) -> list[RenderableType]:
    rush = report.rush
    parts: list[RenderableType] = [
        Text(
            f"{rush.get('buyers', 0):,} buyers of {rush.get('sale_id')}, {rush.get('arrivals')} arrivals, "
            f"{rush.get('connections')} connections, {rush.get('processes')} processes, seed {rush.get('seed')}"
        ),
        Text(
            f"{report.answers:,} answers in {report.seconds:.2f} s: {report.answers_per_second:,.0f} a second; "
            f"new orders until the last one: {report.orders_per_second:,.0f} a second"
        ),
        _latencies(report),
        _counts("what became of the buyers", report.outcomes),
        _counts("answers", report.answers_by_kind),
    ]
    if report.errors_by_kind:
        parts.append(_counts("attempts without a usable answer", report.errors_by_kind))
    if report.dropped:
        parts.append(Text(f"{report.dropped:,} attempts were dropped on purpose before their answer"))
    if report.generator_cpu_us_per_attempt is not None:
        parts.append(Text(f"the rush itself took {report.generator_cpu_us_per_attempt:.0f} µs of CPU an attempt"))
    if report.is_out_of_breath:
        parts.append(Text("the rush was near its own limit: the service may be faster than this", style="bold red"))
    if report.is_interrupted:
        parts.append(Text("interrupted: this is what came until then", style="bold red"))
    return parts


def _latencies(report: RushReport) -> Table:
    table = Table("latency in ms", title_justify="left")
    for name in ("count", "p50", "p95", "p99", "max"):
        table.add_column(name, justify="right")
    rows = {**report.latency, "settled after": report.settled_after, "sent late": report.sent_late}
    for name, latency in rows.items():
        if latency.count:
            table.add_row(name, f"{latency.count:,}", *_figures(latency))
    return table


def _figures(latency: Latency) -> list[str]:
    figures = (latency.p50_ms, latency.p95_ms, latency.p99_ms, latency.max_ms)
    return ["" if figure is None else f"{figure:,.1f}" for figure in figures]


def _counts(title: str, counts: dict[str, int]) -> Table:
    table = Table(title)
    table.add_column("count", justify="right")
    for name, number in counts.items():
        table.add_row(name, f"{number:,}")
    return table
