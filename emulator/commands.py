"""The `emulator` command: `python -m emulator …` and `fairdrop emulator …`."""

import json
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import wraps
from typing import ParamSpec, TypeVar

import click

from emulator import detached
from emulator.errors import EmulatorError
from emulator.kinds import KINDS, SPANNER, Kind
from emulator.lookup import Machine

EXIT_FAILED = 1
EXIT_NOT_RUNNING = 3
"""As init scripts use it: the program is not running."""

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")

_which = click.argument("names", metavar="[EMULATOR]...", nargs=-1, type=click.Choice([kind.name for kind in KINDS]))


def _chosen(names: Sequence[str]) -> list[Kind]:
    return [kind for kind in KINDS if not names or kind.name in names]


def _failing_plainly(command: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    """Shows an EmulatorError as the message it is, and exits with EXIT_FAILED."""

    @wraps(command)
    def wrapped(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        try:
            return command(*args, **kwargs)
        except EmulatorError as error:
            click.echo(f"emulator: {error}", err=True)
            sys.exit(EXIT_FAILED)

    return wrapped


@click.group("emulator", context_settings={"help_option_names": ["-h", "--help"]})
def emulator() -> None:
    """Start and stop the Spanner and Pub/Sub emulators (EMULATOR: spanner, pubsub; both if none is named).

    \b
    Where an emulator comes from, in this order:
      1. the host given in SPANNER_EMULATOR_HOST / PUBSUB_EMULATOR_HOST: used as is, never stopped
      2. an installed Google Cloud SDK with its component (Pub/Sub needs Java)
      3. a running Docker engine, with pinned images
      4. Spanner only: the published release archive, checked by its SHA-256 and kept in ~/.cache

    \b
    Example:
      fairdrop emulator up
      eval "$(fairdrop emulator env)"
      fairdrop emulator down

    Records and logs are in FAIRDROP_STATE_DIR, by default .fairdrop in the current folder.
    """  # noqa: D301 - \b is click's mark for "do not wrap"


@emulator.command("up")
@_which
@click.option(
    "--spanner-argument",
    "spanner_arguments",
    multiple=True,
    metavar="ARGUMENT",
    help="Passed to the Spanner emulator's gateway_main when it is started; may be repeated.",
)
@_failing_plainly
def up_command(names: Sequence[str], spanner_arguments: Sequence[str]) -> None:
    """Start the emulators and return when they answer. What runs already, or is given, is left as it is.

    \b
    Example, with commits that are aborted at random:
      fairdrop emulator up --spanner-argument=--enable_fault_injection

    \b
    Exit codes:
      0  all of them answer
      1  one was not found or did not start (the message says what to do)
      3  one that was there already, or is given, does not answer
    """  # noqa: D301 - \b is click's mark for "do not wrap"
    kinds = _chosen(names)
    machine = Machine()
    started = detached.up(kinds, machine, {SPANNER: spanner_arguments})
    statuses = detached.status(kinds, machine)
    for kind, each in zip(kinds, statuses, strict=True):
        click.echo(_line(each) + (", started" if kind in started else ""))
    if any(each.state == "not answering" for each in statuses):
        click.echo("one that lives but does not answer: `fairdrop emulator down`, then `up`, starts it anew", err=True)
    if any(each.state == "running" for each in statuses):
        click.echo('to use them in this shell: eval "$(fairdrop emulator env)"', err=True)
    sys.exit(_exit_code(statuses))


@emulator.command("down")
@_which
@_failing_plainly
def down_command(names: Sequence[str]) -> None:
    """Stop the emulators that `up` started; their data is lost. Those given by the environment are left alone.

    \b
    Exit codes:
      0  none of ours runs any more (also if none did before)
      1  one could not be ended
    """  # noqa: D301 - \b is click's mark for "do not wrap"
    kinds = _chosen(names)
    ended = detached.down(kinds, Machine())
    for kind in kinds:
        click.echo(f"{kind.name}: {'stopped' if kind in ended else 'nothing of ours was running'}")


@emulator.command("status")
@_which
@click.option("--json", "as_json", is_flag=True, help="Print the status as JSON.")
def status_command(names: Sequence[str], as_json: bool) -> None:
    """Tell which emulators answer, and where.

    \b
    Exit codes:
      0  all of them answer
      3  one does not
    """  # noqa: D301 - \b is click's mark for "do not wrap"
    statuses = detached.status(_chosen(names), Machine())
    if as_json:
        click.echo(json.dumps({each.name: asdict(each) for each in statuses}, indent=2))
    else:
        for each in statuses:
            click.echo(_line(each))
    sys.exit(_exit_code(statuses))


@emulator.command("env")
@_which
def env_command(names: Sequence[str]) -> None:
    """Print `export` lines for the emulators that answer.

    \b
    Example:
      eval "$(fairdrop emulator env)"

    \b
    Exit codes:
      0  all of them answer
      3  one does not (the others' lines are printed)
    """  # noqa: D301 - \b is click's mark for "do not wrap"
    statuses = detached.status(_chosen(names), Machine())
    for each in statuses:
        if each.is_usable and each.host:
            click.echo(f"export {each.variable}={shlex.quote(each.host)}")
        else:
            click.echo(f"emulator: {_line(each)}", err=True)
    sys.exit(_exit_code(statuses))


def _line(each: detached.Status) -> str:
    parts = [
        each.state,
        f"at {each.host}" if each.host else "",
        f"(pid {each.pid}, {each.origin})" if each.pid else "",
    ]
    return f"{each.name}: {' '.join(part for part in parts if part)}"


def _exit_code(statuses: Sequence[detached.Status]) -> int:
    return 0 if all(each.is_usable for each in statuses) else EXIT_NOT_RUNNING
