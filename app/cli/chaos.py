"""`fairdrop chaos`: a live sale while its processes, its database, its broker and its gateway fail at random."""

import random
import sys
from pathlib import Path

import click
from rich.console import Console

from app.cli.audit_text import print_report
from app.cli.common import plain_errors, print_json
from app.cli.own_run import EXIT_BROKEN, own_run, state_dir_option
from app.local.chaos import ChaosOptions, chaos
from app.local.chaos_report import ChaosReport

MAX_SEED = 2**31 - 1


@click.command("chaos")
@click.option(
    "--minutes",
    default=5.0,
    show_default=True,
    type=click.FloatRange(0.2, 24 * 60),
    help="How long there are faults; then all must settle.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, MAX_SEED),
    help="The same seed plans the same faults.  [default: a new one, which is told]",
)
@state_dir_option("chaos", "logs, answers and the history")
@click.option(
    "--json", "as_json", is_flag=True, help="Print the report as JSON; what happens meanwhile goes to stderr."
)
@plain_errors
def run_chaos(minutes: float, seed: int | None, state_dir: Path, as_json: bool) -> None:
    """Sell phones while everything fails at random: processes are killed, stopped, run out of descriptors and disk, and have their
    clocks set forth and back by minutes; Spanner aborts and falls silent; Pub/Sub falls silent and loses all it holds; the gateway
    is away, slow and lying. Then audit it all.

    \b
    Example: ten minutes, and the same faults again:
      fairdrop chaos --minutes 10
      fairdrop chaos --minutes 10 --seed 1234

    \b
    Exit codes:
      0    all has settled, the audit is clean, and so is the history that the clients recorded
      1    one of these is not so
      2    the run could not be: no emulator, or a process failed
      130  interrupted (Ctrl-C)
    """  # noqa: D301 - \b is click's mark for "do not wrap"
    console = Console(soft_wrap=True, stderr=as_json, highlight=False)
    chosen = random.SystemRandom().randint(0, MAX_SEED) if seed is None else seed
    with own_run("chaos"):
        report = chaos(ChaosOptions(minutes * 60, chosen, state_dir), console.print)
    if as_json:
        print_json(report.as_json())
    else:
        _tell(report, console)
    sys.exit(0 if report.is_clean else EXIT_BROKEN)


def _tell(report: ChaosReport, console: Console) -> None:
    print_report(report.audit, console)
    if report.history is None:
        console.print("history: not compared: the witnesses of tests/history are not here")
    else:
        figures = ", ".join(f"{name.replace('_', ' ')} {value:,}" for name, value in report.history["figures"].items())
        console.print(f"history against {report.history['rules']} rules: {figures}")
        for violation in report.history["violations"]:
            console.print(f"  {violation['rule']}: {violation['says']}", style="red", markup=False)
    if report.died:
        console.print(f"ended by themselves, and were started again: {', '.join(report.died)}")
    kinds = len({fault.kind for fault in report.faults})
    console.print(
        f"{len(report.faults)} faults of {kinds} kinds, {report.rush.attempts:,} attempts of buyers, "
        f"{report.placed_units:,} units PLACED, in {report.seconds:.0f} s; seed {report.seed}"
    )
    console.print(report.verdict, style="bold green" if report.is_clean else "bold red", markup=False)
