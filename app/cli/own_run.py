"""What the commands share that play a whole run on this machine: demo, scenario, chaos."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from app.local.children import ChildFailed
from app.rush.service import RushNotPossibleError
from emulator import EmulatorError

EXIT_BROKEN = 1
EXIT_NOT_POSSIBLE = 2
EXIT_INTERRUPTED = 130


def state_dir_option(name: str, holds: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """`--state-dir`, a folder of the run's own."""
    return click.option(
        "--state-dir",
        default=Path(f".fairdrop/{name}"),
        show_default=True,
        type=click.Path(path_type=Path, file_okay=False),
        help=f"Where {holds} go.",
    )


@contextmanager
def own_run(name: str) -> Iterator[None]:
    """Exit with what to do about it when the run cannot be, or was interrupted; everything it started is stopped by then."""
    try:
        yield
    except (EmulatorError, ChildFailed, RushNotPossibleError) as error:
        click.echo(f"{name}: {error}", err=True)
        sys.exit(EXIT_NOT_POSSIBLE)
    except KeyboardInterrupt:
        click.echo(f"{name}: interrupted; everything it started is stopped", err=True)
        sys.exit(EXIT_INTERRUPTED)
