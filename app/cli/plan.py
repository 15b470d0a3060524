"""`fairdrop plan`: what a sale needs of Google Cloud and costs there, by measured and published figures."""

from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import click
from pydantic import TypeAdapter, ValidationError
from rich.console import Console

from app.cli.common import Invalid, duration, first_rule_broken, plain_errors, print_json
from app.cli.plan_plots import write_plots
from app.cli.plan_text import TABLE_WIDTH, print_plan, print_study
from app.domain.planning.plan import Figures, Plan, plan
from app.domain.planning.prices import PRICES
from app.domain.planning.shape import PRESETS, Arrival, Place, SaleShape
from app.domain.sale import Policy
from app.simulation.study import Study, setting_of, study

_CUSTOM = SaleShape("sale", stock=1_000, crowd=100_000)


@click.command("plan")
@click.argument("preset", required=False, type=click.Choice(list(PRESETS)))
@click.option(
    "--file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The sale as JSON, fields as --json prints.",
)
@click.option("--stock", type=int, help="Units on sale.")
@click.option("--crowd", type=int, help="Customers who come.")
@click.option("--window", type=duration, help="From opening to closing: 90s, 10m, 2h.")
@click.option("--arrival", type=click.Choice([a.value for a in Arrival]), help="All at the opening, or evenly.")
@click.option("--burst", type=duration, help="Within which a burst comes.")
@click.option("--free/--paid", "is_free", default=None, help="Price 0, or by card.")
@click.option("--declined", "declined_share", type=float, help="Share of the cards declined, 0 to 0.99.")
@click.option("--policy", type=click.Choice([p.value for p in Policy]), help="Who gets the stock.")
@click.option("--place", type=click.Choice([p.value for p in Place]), help="Where Spanner is.")
@click.option("--order-us", type=click.FloatRange(1), help="API processor an order (scripts/bench budget).")
@click.option("--refusal-us", type=click.FloatRange(1), help="API processor a refusal (scripts/bench sold-out).")
@click.option("--commit-ms", type=click.FloatRange(0.1), help="A commit's time, where Spanner is.")
@click.option("--max-instances", type=click.IntRange(1), help="API instances at most.")
@click.option("--max-nodes", type=click.IntRange(1), help="Spanner nodes at most.")
@click.option("--simulate", is_flag=True, help="Play the crowd as discrete events, on this and on other designs.")
@click.option(
    "--seed", default=1, show_default=True, type=int, help="Of the simulation: the same seed, the same result."
)
@click.option(
    "--plots", type=click.Path(file_okay=False, path_type=Path), help="Simulate, and draw SVG files into this folder."
)
@click.option("--json", "as_json", is_flag=True, help="Print all of it as JSON, prices and assumptions included.")
@plain_errors
def plan_sale(
    preset: str | None, file: Path | None, simulate: bool, seed: int, plots: Path | None, as_json: bool, **options: Any
) -> None:
    """Say what a sale needs and costs, and what gives way first. A plan, not a promise (docs/capacity.md).

    PRESET is one of the three sales of docs/design.md; options change it.

    \b
    Examples:
      fairdrop plan iphone
      fairdrop plan burgers --place multi-region --json
      fairdrop plan --stock 500 --crowd 1000000 --burst 5s --declined 0.2
      fairdrop plan --stock 50000 --crowd 100000 --burst 1s --simulate
    """  # noqa: D301 - \b is click's mark for "do not wrap"
    if preset and file:
        raise Invalid("--file: a preset and a file are two sales")
    shape = _read(file) if file else PRESETS[preset] if preset else _CUSTOM
    shape, figures = _changed(shape, options), _figures(options)
    made = plan(shape, figures)
    found = study(setting_of(made, figures, seed=seed)) if simulate or plots else None
    if found and plots:
        write_plots(made, figures, found, plots)
    if as_json:
        print_json(as_values(made, figures) | ({"simulation": study_values(found)} if found else {}))
        return
    # The widest table, uncut where the output is no terminal either.
    console = Console(width=max(Console().width, TABLE_WIDTH))
    print_plan(made, figures, console)
    if found:
        print_study(found, console)


def as_values(made: Plan, figures: Figures) -> dict[str, Any]:
    """A plan as plain values, with what it was built on."""
    bottleneck = made.bottleneck
    return {
        **asdict(made),
        "cost_dollars": made.cost,
        "bottleneck": {**asdict(bottleneck), "share": bottleneck.share},
        "figures": asdict(figures),
        "prices": {name: asdict(price) for name, price in PRICES.items()},
    }


def study_values(found: Study) -> dict[str, Any]:
    """A study as plain values."""
    return {
        "setting": asdict(found.setting),
        "assumed": asdict(found.assumed),
        "designs": [asdict(result) for result in found.designs],
        "by_shards": {str(shards): asdict(result) for shards, result in found.by_shards.items()},
        "calibration": [{**asdict(pair), "error": pair.error} for pair in found.calibration],
    }


def _read(file: Path) -> SaleShape:
    try:
        return TypeAdapter(SaleShape).validate_json(file.read_bytes())
    except ValidationError as error:
        raise first_rule_broken(error) from error


def _changed(shape: SaleShape, options: dict[str, Any]) -> SaleShape:
    names = {field.name for field in fields(SaleShape)}
    changes = {name: value for name, value in options.items() if name in names and value is not None}
    for option, field in (("window", "window_seconds"), ("burst", "burst_seconds")):
        if options[option] is not None:
            changes[field] = options[option].total_seconds()
    for field, kind in (("arrival", Arrival), ("policy", Policy), ("place", Place)):
        if field in changes:
            changes[field] = kind(changes[field])
    return replace(shape, **changes)


def _figures(options: dict[str, Any]) -> Figures:
    names = {field.name for field in fields(Figures)}
    changes = {name: value for name, value in options.items() if name in names and value is not None}
    if options["commit_ms"] is not None:
        changes |= {"regional_commit_ms": options["commit_ms"], "multi_region_commit_ms": options["commit_ms"]}
    return replace(Figures(), **changes)
