"""`fairdrop warm`: what can be warm before a sale, and is not by itself."""

import sys
from dataclasses import asdict

import click

from app.cli.common import plain_errors, print_json
from app.cli.splitting import split_sale
from app.local.warming import MAX_CONNECTIONS, Warmth, warm_up
from app.storage import split_points
from app.storage.split_points import Alphabet

EXIT_COLD = 1


@click.command("warm")
@click.argument("sale_id", metavar="SALE")
@click.option("--url", default="http://127.0.0.1:8080", show_default=True, help="The service, past any CDN.")
@click.option("--connections", default=64, show_default=True, type=click.IntRange(1, MAX_CONNECTIONS), help="At once.")
@click.option("--seconds", default=20.0, show_default=True, type=click.FloatRange(1, 600), help="For how long.")
@click.option(
    "--points",
    default=64,
    show_default=True,
    type=click.IntRange(1),
    help="Split points by customers; see schema split.",
)
@click.option("--no-split", is_flag=True, help="Leave Spanner's ranges as they are.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@plain_errors
def warm(sale_id: str, url: str, connections: int, seconds: float, points: int, no_split: bool, as_json: bool) -> None:
    """Part Spanner's ranges for SALE, and have the service's instances started, connected and knowing the sale.

    Run it a quarter of an hour before the opening, once the instances are scaled up (docs/deploy.md). Asking for the public page
    over many connections makes each instance open its connections to Spanner and look at the sale.

    \b
    Example: fairdrop warm iphone --url https://shop.example --connections 256
    Exit codes: 0, warm; 1, the last quarter of the answers were not all 200.
    """  # noqa: D301 - \b is click's mark for "do not wrap"
    split = "left alone" if no_split else _split(sale_id, points)
    warmth = warm_up(url, sale_id, connections, seconds)
    if as_json:
        print_json({"split_points": split, **asdict(warmth)})
    else:
        _print(split, warmth)
    sys.exit(EXIT_COLD if warmth.warm_failures or not warmth.warm.count else 0)


def _split(sale_id: str, points: int) -> str:
    """Part the ranges; what came of it."""
    prefixes = split_points.even_prefixes(Alphabet.BASE62, points)
    done = split_sale(sale_id, prefixes, points, f"fairdrop warm {sale_id}")
    if not done.is_supported:
        return "not on this server (the emulator has none)"
    return f"{len(done.splits)} until {done.expires_at}"


def _print(split: str, warmth: Warmth) -> None:
    click.echo(f"split points  {split}")
    click.echo("answers       " + ", ".join(f"{status}: {count:,}" for status, count in warmth.answers.items()))
    for name, latency in (("at first", warmth.cold), ("at last", warmth.warm)):
        if latency.count:
            click.echo(
                f"{name:12}  p50 {latency.p50_ms:,.1f} ms, p99 {latency.p99_ms:,.1f} ms, {latency.count:,} answers"
            )
