"""`fairdrop rush`: sends a crowd of buyers to a running service and reports what they were answered."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import click
import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from app.rush.local_tokens import LocalTokens
from app.rush.options import Arrivals, RushOptions
from app.rush.plan import Shares
from app.rush.report_text import print_report
from app.rush.runner import ProgressHook, RushProgress, run_rush
from app.rush.service import RushNotPossibleError
from app.rush.tokens import FileTokens, TokenSource
from app.settings import load_settings

EXIT_UNANSWERED = 1
EXIT_NOT_POSSIBLE = 2
EXIT_INTERRUPTED = 130

PLAIN_PROGRESS_EVERY_SECONDS = 5.0

_PHASE_NAMES = {"tokens": "tokens", "rush": "buyers answered"}
_SHARE = click.FloatRange(0, 1)


@click.command("rush")
@click.argument("sale_id", metavar="SALE")
@click.option("--url", default="http://127.0.0.1:8080", show_default=True, help="Where the service is.")
@click.option("--buyers", default=100_000, show_default=True, type=click.IntRange(1), help="How many buyers come.")
@click.option("--processes", default=2, show_default=True, type=click.IntRange(1), help="Processes that play them.")
@click.option(
    "--connections", default=256, show_default=True, type=click.IntRange(1), help="Connections of all processes."
)
@click.option(
    "--arrivals",
    type=click.Choice(["closed", "open"]),
    default="closed",
    show_default=True,
    help="closed: a connection whose buyer was answered takes the next; open: buyers come at --rate, answered or not.",
)
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="Buyers a second (open arrivals only).")
@click.option(
    "--share-double", default=0.02, show_default=True, type=_SHARE, help="Send their request twice at a time."
)
@click.option("--share-retry", default=0.02, show_default=True, type=_SHARE, help="Send it again after the answer.")
@click.option("--share-dropped", default=0.01, show_default=True, type=_SHARE, help="Hang up first, then come back.")
@click.option("--share-false-time", default=0.02, show_default=True, type=_SHARE, help="Lie about the time.")
@click.option("--share-several", default=0.1, show_default=True, type=_SHARE, help="Ask for 2 units or more.")
@click.option("--limit", type=click.IntRange(1), help="Most units a buyer asks for.  [default: the sale's limit]")
@click.option("--payment-method", help="Gateway's token.  [default: tok_visa, and none if the sale is free]")
@click.option("--wait-for-opening", is_flag=True, help="Who comes too early is there again when the sale opens.")
@click.option("--seed", default=1, show_default=True, help="Same seed, same buyers, same keys.")
@click.option(
    "--tries", default=20, show_default=True, type=click.IntRange(1), help="Most sendings of a request (503)."
)
@click.option("--timeout", default=30.0, show_default=True, type=click.FloatRange(0, min_open=True), help="Seconds.")
@click.option(
    "--tokens",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="customer<TAB>token, a line a buyer.  [default: tokens signed by the local issuer]",
)
@click.option(
    "--answers",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where every attempt is written.  [default: rush.jsonl in the state folder]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def rush(
    sale_id: str,
    url: str,
    buyers: int,
    processes: int,
    connections: int,
    arrivals: Arrivals,
    rate: float | None,
    share_double: float,
    share_retry: float,
    share_dropped: float,
    share_false_time: float,
    share_several: float,
    limit: int | None,
    payment_method: str | None,
    wait_for_opening: bool,
    seed: int,
    tries: int,
    timeout: float,
    tokens: Path | None,
    answers: Path | None,
    as_json: bool,
) -> None:
    """Send a crowd of buyers to SALE and report what they were answered.

    \b
    Example: 100,000 buyers at once, then 2,000 a second:
      fairdrop rush iphone --buyers 100000
      fairdrop rush iphone --buyers 60000 --arrivals open --rate 2000 --seed 2

    \b
    Exit codes:
      0    every buyer got an answer
      1    some never got one, whatever they tried
      2    the rush could not be: no service, no sale, bad options, a process failed
      130  interrupted (Ctrl-C); the report tells what came until then
    """  # noqa: D301 - \b is click's mark for "do not wrap"
    settings = load_settings()
    try:
        options = RushOptions(
            sale_id=sale_id,
            tokens=_token_source(tokens),
            answers=answers or settings.state_dir / "rush.jsonl",
            url=url,
            buyers=buyers,
            processes=processes,
            connections=connections,
            arrivals=arrivals,
            rate_per_second=rate,
            shares=Shares(share_double, share_retry, share_dropped, share_false_time, share_several),
            limit=limit,
            payment_method=payment_method,
            seed=seed,
            tries_limit=tries,
            timeout_seconds=timeout,
            waits_for_opening=wait_for_opening,
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    sys.exit(_play(options, as_json))


def _token_source(tokens: Path | None) -> TokenSource:
    return LocalTokens(load_settings()) if tokens is None else FileTokens(tokens)


def _play(options: RushOptions, as_json: bool) -> int:
    """Plays the rush, prints the report and returns the exit code."""
    try:
        with progress_on_stderr() as progress:
            report = run_rush(options, progress)
    except RushNotPossibleError as error:
        click.echo(f"rush: {error}", err=True)
        return EXIT_NOT_POSSIBLE
    except KeyboardInterrupt:
        click.echo("rush: interrupted, without a report", err=True)
        return EXIT_INTERRUPTED
    if as_json:
        click.echo(orjson.dumps(report.as_json(), option=orjson.OPT_INDENT_2))
    else:
        print_report(report, Console())
        click.echo(f"every attempt is in {options.answers}")
    if report.is_interrupted:
        return EXIT_INTERRUPTED
    return EXIT_UNANSWERED if report.unanswered else 0


@contextmanager
def progress_on_stderr() -> Iterator[ProgressHook]:
    """A hook that shows the progress: a bar on a terminal, otherwise a plain line every few seconds."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _PlainLines(console).show
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[speed]}"),
    )
    with Progress(*columns, console=console) as bars:
        tasks = {}

        def show(progress: RushProgress) -> None:
            if progress.phase not in tasks:
                tasks[progress.phase] = bars.add_task(_PHASE_NAMES[progress.phase], total=progress.total, speed="")
            bars.update(tasks[progress.phase], completed=progress.done, speed=_speed(progress))

        yield show


class _PlainLines:
    """For logs and pipes: few lines, each whole."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._next_at = 0.0

    def show(self, progress: RushProgress) -> None:
        if monotonic() < self._next_at:
            return
        self._next_at = monotonic() + PLAIN_PROGRESS_EVERY_SECONDS
        name = _PHASE_NAMES[progress.phase]
        self._console.print(f"{name}: {progress.done:,} of {progress.total:,} {_speed(progress)}", highlight=False)


def _speed(progress: RushProgress) -> str:
    what, number = ("tokens", progress.done) if progress.phase == "tokens" else ("answers", progress.attempts)
    return f"{number / progress.seconds:,.0f} {what}/s" if progress.seconds > 0 else ""
