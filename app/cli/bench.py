"""`fairdrop bench`: measures this code on this machine, and says which figures reach what they should."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from importlib import import_module

import click
import orjson
from rich.console import Console
from rich.table import Table

from app.bench.measures import Figure, Say
from app.bench.stage import DRAW_ENTRIES, Stage, staged

MEASURES = {
    "orders": "measures:orders",
    "sold-out": "measures:sold_out",
    "lone": "measures:lone",
    "workers": "measures:workers",
    "memory": "measures:memory",
    "budget": "budget:budget",
    "telemetry": "telemetry:telemetry",
    "peers": "measures_peers:peers",
    "money": "money:money",
    "stored": "stored:stored",
    "draw": "draws:draw",
}
"""Name: module of app.bench and function; imported when asked for, since the peers' drivers are no part of the service."""

EXIT_NOT_REACHED = 1

ON_DEMAND = ("stored", "draw")
"""Measured only when named: they take minutes, and much memory."""


@click.command("bench")
@click.argument("names", nargs=-1, type=click.Choice(list(MEASURES)), metavar="[NAME]...")
@click.option("--buyers", default=20_000, show_default=True, type=click.IntRange(400), help="Buyers of a round.")
@click.option(
    "--rounds", default=3, show_default=True, type=click.IntRange(1), help="Rounds of each; the median counts."
)
@click.option(
    "--entries",
    default=DRAW_ENTRIES,
    show_default=True,
    type=click.IntRange(1),
    help="Entries of the lottery of `draw`.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def bench(names: tuple[str, ...], buyers: int, rounds: int, entries: int, as_json: bool) -> None:
    """Measure NAMEs (all but `stored` and `draw` unless given) each on an emulator of its own, as ratios taken side by side.

    \b
    orders    orders taken a second against a bare handler and against a transaction an order; commits
    sold-out  refusals a second against a bare handler
    lone      round trips and time of an order when nobody else is there
    workers   two and four workers: errors and the longest wait
    money     settlement, release with promotion, and the relay, against placement
    memory    a worker's memory early and late in a rush
    budget    processor time of a worker an order, step by step, and of a refusal at the door
    telemetry orders with traces, figures, tags and logs as by default, against none of them
    peers     the same order on PostgreSQL and on Redis, where these are installed; one and two workers
    stored    orders a second with 1,000,000 orders stored against none (takes minutes and some 12 GB)
    draw      a lottery of 1,000,000 entries: draw, export, verification, and their memory (takes minutes and some 12 GB)

    \b
    Example: fairdrop bench orders sold-out --rounds 5
    Exit codes: 0, every bound reached; 1, some not.
    """  # noqa: D301 - \b is click's mark for "do not wrap"
    say = Console(stderr=True).print
    chosen = names or tuple(name for name in MEASURES if name not in ON_DEMAND)
    figures: list[Figure] = []
    malloc = ""
    for name in chosen:
        # Of its own: one that has had another's conflicts and orders is slower (sold-out after orders: half as many a second).
        with staged(buyers, entries) as stage:
            figures.extend(_measure(name)(stage, rounds, say))
            malloc = stage.emulator_malloc
    if as_json:
        click.echo(orjson.dumps([asdict(f) for f in figures], option=orjson.OPT_INDENT_2))
    else:
        Console().print(_table(figures, malloc))
    sys.exit(EXIT_NOT_REACHED if any(f.is_reached is False for f in figures) else 0)


def _measure(name: str) -> Callable[[Stage, int, Say], Iterator[Figure]]:
    module, function = MEASURES[name].split(":")
    measure: Callable[[Stage, int, Say], Iterator[Figure]] = getattr(import_module(f"app.bench.{module}"), function)
    return measure


def _table(figures: list[Figure], emulator_malloc: str) -> Table:
    table = Table("measured", caption=f"the Spanner emulator's malloc: {emulator_malloc}")
    table.add_column("value", justify="right")
    table.add_column("unit")
    table.add_column("wanted", justify="right")
    table.add_column("")
    for f in figures:
        bound = f"≥ {f.at_least:g}" if f.at_least is not None else f"≤ {f.at_most:g}" if f.at_most is not None else ""
        mark = {True: "reached", False: "MISSED", None: ""}[f.is_reached]
        digits = 2 if f.value < 100 else 0  # noqa: PLR2004 - small figures are ratios
        table.add_row(f.name, f"{f.value:,.{digits}f}", f.unit, bound, mark)
    return table
