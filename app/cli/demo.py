"""`fairdrop demo`: the main job from nothing to the audit's verdict, on this machine."""

import sys
from pathlib import Path

import click
from rich.console import Console

from app.cli.audit_text import print_report as print_audit
from app.cli.common import plain_errors
from app.cli.own_run import EXIT_BROKEN, own_run, state_dir_option
from app.cli.rush import progress_on_stderr
from app.local.demo import DemoOptions, DemoResult, demo
from app.rush.report_text import print_report as print_rush


@click.command("demo")
@click.option("--buyers", default=100_000, show_default=True, type=click.IntRange(10), help="How many buyers come.")
@click.option("--stock", default=1_000, show_default=True, type=click.IntRange(1, 10**6), help="Units on sale.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="gunicorn workers.")
@state_dir_option("demo", "logs, answers and the page")
@click.option("--stay", is_flag=True, help="Keep the service running afterwards, until Ctrl-C.")
@plain_errors
def run_demo(buyers: int, stock: int, workers: int, state_dir: Path, stay: bool) -> None:
    """Sell 1,000 half-price phones to 100,000 buyers: emulators, schema, every process, rush, payments (a third of the
    cards is declined), audit. Leaves nothing running.

    \b
    Example: a small one, with a service to look at afterwards:
      fairdrop demo --buyers 5000 --stock 100 --stay

    \b
    Exit codes:
      0    the audit is clean, every unit is sold, and every buyer was answered
      1    one of these is not so
      2    the demo could not be: no emulator, or a process failed
      130  interrupted (Ctrl-C)
    """  # noqa: D301 - \b is click's mark for "do not wrap"
    console = Console(soft_wrap=True)
    options = DemoOptions(buyers, stock, workers, state_dir)
    with own_run("demo"), progress_on_stderr() as progress, demo(options, console.print, progress) as result:
        _tell(result, console)
        if stay:
            _stay(result, console)
        is_good = result.is_sold and not result.audit.broken and not result.rush.unanswered
    sys.exit(0 if is_good else EXIT_BROKEN)


def _tell(result: DemoResult, console: Console) -> None:
    print_rush(result.rush, console)
    print_audit(result.audit, console)
    console.print(
        f"{result.standing.placed_units:,} units PLACED; {result.cancelled:,} orders cancelled by their customers",
        highlight=False,
    )
    if result.lag is not None:
        lag = result.lag
        console.print(
            f"from an order's commit to its authorization: p50 {lag.p50:.2f} s, p99 {lag.p99:.2f} s, "
            f"longest {lag.longest:.2f} s, over {lag.count:,} orders",
            highlight=False,
        )
    console.print(f"the page to look at: {result.page}")


def _stay(result: DemoResult, console: Console) -> None:
    console.print(f"the service runs at {result.url}  (interface: {result.url}/docs); a seller's token:")
    console.print(result.seller_token)
    console.input("Enter or Ctrl-C ends it. ")
