"""`fairdrop stack`: every process of the service, from the Procfile."""

import signal
import sys
from pathlib import Path

import click

from app.cli.common import cli_settings, plain_errors
from app.local.stack import PROCFILE, run_stack

STOPPED = {128 + signal.SIGTERM, 128 + signal.SIGINT}


@click.command("stack")
@click.option(
    "--procfile",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    default=PROCFILE,
    show_default="scripts/Procfile",
    help="What to run.",
)
@plain_errors
def stack(procfile: Path) -> None:
    """Run every process of the service until SIGTERM or Ctrl-C, or until one of them ends.

    The HTTP service listens on FAIRDROP_API_PORT (8080) with FAIRDROP_API_WORKERS (1), the gateway's simulator on
    FAIRDROP_GATEWAY_PORT (8090) with the options of FAIRDROP_GATEWAY_OPTIONS.

    \b
    Example, after `fairdrop emulator up` and `fairdrop schema apply`:
      fairdrop stack

    \b
    Exit codes:
      0  ended by a signal
      others are those of the process that ended first
    """  # noqa: D301 - \b is click's mark for "do not wrap"
    cli_settings()
    code = run_stack(procfile)
    sys.exit(0 if code in STOPPED else code)
