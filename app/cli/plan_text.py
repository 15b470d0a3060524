"""A plan as a table for people."""

from rich.console import Console
from rich.table import Table

from app.domain.planning.plan import Figures, Plan
from app.domain.planning.prices import PRICES, UNCHECKED
from app.simulation.study import Study

TABLE_WIDTH = 132


def print_plan(made: Plan, figures: Figures, console: Console) -> None:
    """The plan, what it costs, and what gives way first."""
    shape = made.shape
    console.print(
        f"{shape.name}: {shape.stock:,} units, {shape.crowd:,} customers within {shape.arrival_seconds:,.0f} s, "
        f"{'free' if shape.is_free else f'{shape.declined_share:.0%} of the cards declined'}, {shape.policy}, {shape.place}",
        highlight=False,
    )
    table = Table("needed", "", box=None, pad_edge=False)
    for name, value in _lines(made):
        table.add_row(name, value)
    for name, dollars in made.costs.items():
        table.add_row(f"cost of the hour: {name.replace('_', ' ')}", f"${dollars:,.2f}")
    table.add_row("cost of the hour, in all", f"${made.cost:,.2f}")
    console.print(table, highlight=False)
    first = made.bottleneck
    verdict = "does not suffice" if first.share > 1 else "suffices"
    console.print(
        f"gives way first: {first.name}: {first.needed:,.1f} of {first.limit:,.1f} {first.unit} ({first.share:.0%}), {verdict}",
        highlight=False,
    )
    unchecked = sum(price.as_read == UNCHECKED for price in PRICES.values())
    console.print(
        f"built on {figures.order_us:,.0f} µs an order and {figures.refusal_us:,.0f} µs a refusal, measured; on published "
        f"peaks of a node; on assumed commit times; on {len(PRICES)} list prices, {unchecked} of them unchecked (--json shows all)",
        highlight=False,
    )


def print_study(found: Study, console: Console) -> None:
    """What the simulated crowd met, on each design, and how far the simulation is from runs here."""
    setting = found.setting
    console.print(
        f"\nsimulated: {setting.requests:,} requests, {setting.per_second:,.0f}/s, {setting.stock:,} units, "
        f"{setting.lanes:,} lanes, seed {setting.seed}",
        highlight=False,
    )
    table = Table(box=None, pad_edge=False)
    for heading in ("", "sold", "over", "unsold", "no, stock left", "overtaken", "late", "sold/s", "p50 ms", "p99 ms"):
        table.add_column(heading, justify="right" if heading else "left")
    shards = ((f"group commit, {shards} shards", result) for shards, result in found.by_shards.items())
    for name, result in [*((each.design, each) for each in found.designs), *shards]:
        counts = (
            result.sold, result.oversold, result.unsold, result.refused_with_stock_left, result.overtaken, result.late,
            result.sold_per_second, result.p50_ms, result.p99_ms,
        )  # fmt: skip
        table.add_row(name, *(f"{count:,.0f}" for count in counts))
    console.print(table, highlight=False)
    for pair in found.calibration:
        console.print(
            f"{pair.name}: simulated {pair.predicted:,.0f}/s, measured {pair.measured:,.0f}/s ({pair.error:+.0%}; {pair.command})",
            highlight=False,
        )


def _lines(made: Plan) -> list[tuple[str, str]]:
    sold_out = made.sell_out_seconds
    return [
        ("requests, peak", f"{made.requests_per_second:,.0f}/s"),
        ("orders recorded", f"{made.orders:,}, {made.orders_per_second:,.0f}/s"),
        ("commits", f"{made.commits_per_second:,.0f}/s of {made.batch_orders:,.1f} orders"),
        ("shards", f"{made.shards}"),
        ("API", f"{made.api_cores:,} cores, {made.api_instances:,} instances"),
        (
            "Spanner nodes by writes, reads, storage",
            f"{made.nodes_by_writes:,.2f} + {made.nodes_by_reads:,.2f}, {made.nodes_by_storage:,.4f}",
        ),
        ("Spanner", f"{made.processing_units:,} processing units, {made.stored_bytes / 2**30:,.2f} GiB"),
        (
            "Pub/Sub",
            f"{made.messages:,.0f} messages, {made.messages_per_second:,.0f}/s, "
            f"{made.message_bytes_per_second / 2**20:,.2f} MiB/s in and out, relays: {made.relays}",
        ),
        ("load balancer", f"{made.balancer_bytes_per_second / 2**20:,.1f} MiB/s"),
        ("CDN", f"{made.cdn_requests_per_second:,.0f} requests/s, {made.cdn_bytes_per_second / 2**20:,.1f} MiB/s"),
        ("an order's time: alone, in the crowd", f"{made.lone_order_ms:,.0f} ms, {made.order_ms:,.0f} ms"),
        ("last answer", f"after {made.answer_seconds:,.1f} s"),
        ("sold out", "never: fewer customers than units" if sold_out is None else f"after {sold_out:,.2f} s"),
    ]
