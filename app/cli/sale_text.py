"""Sales as text for a terminal."""

from collections.abc import Sequence

import click

from app.domain.sale import Sale
from app.domain.timestamps import rfc3339
from app.services.sales import SaleView

SHARDS_SHOWN = 16
"""A sale may have hundreds; `--json` has them all."""


def print_sale(view: SaleView) -> None:
    """The terms, the phase and the stock, a line each."""
    sale = view.sale
    lines = {
        "sale": sale.sale_id,
        "name": sale.name,
        "phase": view.phase.value,
        "as of": rfc3339(view.as_of),
        "opens at": rfc3339(sale.opens_at),
        "closes at": rfc3339(sale.closes_at),
        "price": _price(sale),
        "stock": f"{sale.stock:,} units, {sum(shard.available for shard in view.shards):,} available",
        "waitlist": f"{sum(shard.waiting for shard in view.shards):,} of {sale.waitlist_limit:,} orders",
        "limit": f"{sale.limit_per_customer:,} units a customer",
        "policy": sale.policy.value,
        "crowd": f"{sale.expected_crowd:,} expected",
        "hold": f"{sale.hold_seconds:,} s for a payment",
        "cancel": f"{sale.cancel_window_seconds:,} s for the customer",
    }
    if view.draw is not None:
        lines["draw"] = f"{view.draw.state.value.lower()}, commitment {view.draw.commitment}"
    for name, value in lines.items():
        click.echo(f"{name:<10} {value}")
    _print_shards(view)


def _print_shards(view: SaleView) -> None:
    click.echo(f"{'shard':>6} {'allocated':>12} {'available':>12} {'waiting':>9}")
    for shard in view.shards[:SHARDS_SHOWN]:
        click.echo(f"{shard.shard_id:>6} {shard.allocated:>12,} {shard.available:>12,} {shard.waiting:>9,}")
    if len(view.shards) > SHARDS_SHOWN:
        click.echo(f"   ... {len(view.shards) - SHARDS_SHOWN} more (--json shows all)")


def print_sales(sales: Sequence[Sale]) -> None:
    """A line each."""
    if not sales:
        click.echo("no sales")
        return
    width = max(len("sale"), *(len(sale.sale_id) for sale in sales))
    click.echo(f"{'sale':<{width}}  {'state':<9}  {'opens at':<20}  {'closes at':<20}  {'stock':>13}  name")
    for sale in sales:
        opens, closes = (rfc3339(moment)[:19] + "Z" for moment in (sale.opens_at, sale.closes_at))
        click.echo(
            f"{sale.sale_id:<{width}}  {sale.state.value.lower():<9}  {opens}  {closes}  {sale.stock:>13,}  {sale.name}"
        )


def _price(sale: Sale) -> str:
    return "free" if sale.is_free else f"{sale.unit_price_minor:,} minor units of {sale.currency}"
