"""`fairdrop scenario`: the sales that must work, played from nothing on this machine, with a verdict."""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

import click
from rich.console import Console
from rich.table import Table

from app.cli.audit_text import print_report as print_audit
from app.cli.common import plain_errors, print_json
from app.cli.fairness_text import print_fairness
from app.cli.own_run import EXIT_BROKEN, own_run, state_dir_option
from app.cli.rush import progress_on_stderr
from app.domain.spanner_capacity import MULTI_REGION_SSD, REGIONAL_SSD
from app.local.burgers import MILLIONS, MINUTES, BurgersOptions, BurgersResult, play_burgers
from app.local.lottery import play_lottery
from app.local.lottery_result import LotteryOptions, LotteryResult
from app.local.phones import PhonesOptions, PhonesResult, play_phones
from app.local.promises import Promise
from app.rush.report_text import print_report as print_rush
from app.rush.runner import ProgressHook


class Result(Protocol):
    """What every scenario gives."""

    @property
    def promises(self) -> list[Promise]:
        """What was promised, and whether it was kept."""

    def as_json(self) -> dict[str, Any]:
        """All of it as plain values."""


_WORKERS = click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="gunicorn workers.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")


@click.group("scenario")
def scenario() -> None:
    """Play a sale that must work, from nothing to the verdict, on this machine (docs/scenarios.md). Leaves nothing running.

    \b
    Exit codes of every scenario:
      0    every promise was kept
      1    some was not
      2    it could not be: no emulator, or a process failed
      130  interrupted (Ctrl-C)
    """  # noqa: D301 - \b is click's mark for "do not wrap"


@scenario.command("phones")
@click.option("--buyers", default=10_000, show_default=True, type=click.IntRange(10), help="How many buyers come.")
@click.option("--phones", default=100, show_default=True, type=click.IntRange(1, 10**6), help="Units on sale.")
@_WORKERS
@state_dir_option("phones", "logs and answers")
@_JSON
@plain_errors
def phones(buyers: int, phones: int, workers: int, state_dir: Path, as_json: bool) -> None:
    """100 phones at noon: the crowd is there before; not one order early, and the first right at the opening.

    \b
    Example:
      fairdrop scenario phones --buyers 20000 --workers 2
    """  # noqa: D301
    options = PhonesOptions(buyers, phones, workers, state_dir)
    _play(lambda say, progress: play_phones(options, say, progress), _print_phones, as_json)


def _print_phones(result: PhonesResult, console: Console) -> None:
    print_rush(result.rush, console)
    print_audit(result.audit, console)
    print_fairness(result.fairness, console)
    refusals = result.refusals
    console.print(
        f"{refusals.early_buyers:,} buyers came before the opening and were told so {refusals.not_open:,} times; "
        f"sold out was said {refusals.sold_out_from_memory:,} times from memory, "
        f"{refusals.sold_out_by_transaction:,} times by a transaction",
        highlight=False,
    )


@scenario.command("burgers")
@click.option("--burgers", default=6_000, show_default=True, type=click.IntRange(1, 10**6), help="Units to give away.")
@click.option(
    "--buyers", type=click.IntRange(1), help="How many buyers come.  [default: a twentieth more than there are burgers]"
)
@_WORKERS
@state_dir_option("burgers", "logs and answers")
@_JSON
@plain_errors
def burgers(burgers: int, buyers: int | None, workers: int, state_dir: Path, as_json: bool) -> None:
    """Free burgers, one a customer, each with a claim code; what an order costs, and what 6,000,000 would need.

    \b
    Example:
      fairdrop scenario burgers --burgers 100000 --workers 2
    """  # noqa: D301
    options = BurgersOptions(burgers, buyers or burgers + burgers // 20 + 1, workers, state_dir)
    _play(lambda say, progress: play_burgers(options, say, progress), _print_burgers, as_json)


def _print_burgers(result: BurgersResult, console: Console) -> None:
    print_rush(result.rush, console)
    print_audit(result.audit, console)
    cost = result.cost.cost
    console.print(
        f"an order cost {cost.cpu_us:,.0f} µs of the API's CPU (the refusals' share included), "
        f"{result.cost.commits_per_1000:,.1f} commits a 1,000, {cost.rows_written:.2f} rows and "
        f"{cost.bytes_written:,.0f} bytes written, {cost.rows_read:.0f} rows read",
        highlight=False,
    )
    for where, need in ((REGIONAL_SSD, result.regional), (MULTI_REGION_SSD, result.multi_region)):
        console.print(
            f"{MILLIONS:,},000,000 in {MINUTES} minutes, {where.name}: {need.orders_per_second:,.0f} orders/s, "
            f"{need.writes_per_second:,.0f} rows written/s, {need.processing_units:,} processing units "
            f"(at {100 * where.cpu_share:.0f} % of Google's published peak), {need.api_cores} cores for the API, "
            f"{need.stored_bytes / 1e9:,.1f} GB",
            highlight=False,
        )


@scenario.command("lottery")
@click.option("--entries", default=2_000, show_default=True, type=click.IntRange(10), help="How many customers come.")
@click.option("--stock", default=100, show_default=True, type=click.IntRange(1, 10**6), help="Units to be drawn for.")
@_WORKERS
@state_dir_option("lottery", "logs and answers")
@_JSON
@plain_errors
def lottery(entries: int, stock: int, workers: int, state_dir: Path, as_json: bool) -> None:
    """A priced draw: entries over HTTP until the close, drawn by the workers, paid, and proven by its public record.

    \b
    Example:
      fairdrop scenario lottery --entries 10000 --workers 2
    """  # noqa: D301
    options = LotteryOptions(entries, stock, workers, state_dir)
    _play(lambda say, progress: play_lottery(options, say, progress), _print_lottery, as_json)


def _print_lottery(result: LotteryResult, console: Console) -> None:
    print_rush(result.rush, console)
    print_audit(result.audit, console)
    print_fairness(result.fairness, console)
    mentioned = result.mentioned
    console.print(
        f"{mentioned.entered:,} were told ENTERED, {mentioned.withdrawn:,} withdrew; {mentioned.in_record:,} are in the record, "
        f"{result.promoted:,} were promoted after a payment that failed",
        highlight=False,
    )


Play = Callable[[Callable[[str], None], ProgressHook], Any]


def _play(play: Play, show: Callable[[Any, Console], None], as_json: bool) -> None:
    """Play it, show what was found, and exit."""
    console = Console(soft_wrap=True)
    say = Console(stderr=True, soft_wrap=True).print
    with own_run("scenario"), progress_on_stderr() as progress:
        result: Result = play(say, progress)
    if as_json:
        print_json(result.as_json())
    else:
        show(result, console)
        console.print(_table(result.promises))
    sys.exit(0 if all(promise.is_kept for promise in result.promises) else EXIT_BROKEN)


def _table(promises: Iterable[Promise]) -> Table:
    table = Table("promised", "found", "")
    for promise in promises:
        mark = "[bold green]kept[/]" if promise.is_kept else "[bold red]BROKEN[/]"
        table.add_row(promise.name, promise.found, mark)
    return table
