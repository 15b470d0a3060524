"""`fairdrop load`: more buyers than a worker can take, and a soak."""

import sys
from dataclasses import asdict
from pathlib import Path

import click
import orjson
from rich.console import Console
from rich.table import Table

from app.bench import load as loads
from app.bench.cores import on, shares
from app.bench.load import Overload
from app.bench.stage import staged
from app.cli.common import Invalid, plain_errors
from app.cli.load_report import PAGE, around_section, write_report
from app.cli.load_verdicts import flat, judged
from app.cores import available

TOKENS = 100_000
"""Buyers; they come again and again, each time with another order. With few of them each batch reads what they ordered before."""

EXIT_NOT_REACHED = 1


@click.command("load")
@click.option("--seconds", default=60.0, show_default=True, type=click.FloatRange(1), help="Of each rate.")
@click.option(
    "--soak-minutes", default=0.0, show_default=True, type=click.FloatRange(0), help="A soak after it; 0: none."
)
@click.option(
    "--json", "json_path", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures to a file."
)
@click.option(
    "--report",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Rewrite the section Load of reliability.md in this folder, and its pictures in images.",
)
@plain_errors
def load(seconds: float, soak_minutes: float, json_path: Path | None, report: Path | None) -> None:
    """Offer one worker 0.5, 1, 2 and 4 times what it can take, on an emulator of its own, and see what becomes of it.

    \b
    Example: fairdrop load --seconds 60 --soak-minutes 20 --json load.json
    Exit codes: 0, every bound reached; 1, some not; 2, bad options.
    """  # noqa: D301 - \b is click's mark for "do not wrap"
    if report:
        try:
            around_section(report / PAGE)  # before half an hour's work, not after it
        except (OSError, ValueError) as error:
            raise Invalid(str(error)) from error
    say, console = Console(stderr=True).print, Console()
    servers, others = shares(available())
    with on(others), staged(TOKENS) as stage:
        overload = loads.overload(stage, seconds, servers, say)
        samples = list(loads.soak(stage, soak_minutes * 60, servers, say)) if soak_minutes else []
    console.print(_steps(overload))
    verdicts = [*judged(overload), *(flat(samples) if samples else [])]
    for text, is_reached in verdicts:
        console.print(f"{'reached' if is_reached else 'MISSED':8} {text}")
    if json_path:
        everything = {"overload": asdict(overload), "soak": [asdict(sample) for sample in samples]}
        json_path.write_bytes(orjson.dumps(everything, option=orjson.OPT_INDENT_2))
    if report:
        say("written: " + ", ".join(map(str, write_report(overload, samples, verdicts, seconds, report))))
    sys.exit(0 if all(is_reached for _, is_reached in verdicts) else EXIT_NOT_REACHED)


def _steps(overload: Overload) -> Table:
    table = Table("offered", "taken/s", "capacity", "of it", "p50", "p99", "503, p99", "503s", "other no", "no answer")
    for step in overload.steps:
        no = {kind: number for kind, number in step.answers.items() if not kind.startswith("2")}
        busy = sum(number for kind, number in no.items() if kind.startswith("503"))
        table.add_row(
            f"{step.factor:g}x: {step.offered_per_second:,.0f}/s",
            f"{step.taken_per_second:,.0f}",
            f"{step.capacity_per_second:,.0f}",
            f"{step.taken_share_of_capacity:.2f}",
            _ms(step.taken_p50_ms),
            _ms(step.taken_p99_ms),
            _ms(step.refused_p99_ms),
            f"{busy:,}",
            f"{sum(no.values()) - busy:,}",
            f"{step.unanswered:,}",
        )
    table.title = f"capacity {overload.capacity_per_second:,.0f} orders/s, one worker"
    return table


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f} ms"
