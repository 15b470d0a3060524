"""`fairdrop serve`: the HTTP service under gunicorn, which takes this process's place."""

import os
import sys

import click
import google.auth

from app.cli.common import Invalid, cli_settings, plain_errors
from app.cores import available
from app.services.claim_keys import ClaimKeyRefused, ClaimKeys

CONFIGURATION = "python:app.http.gunicorn_conf"
APPLICATION = "app.http.wsgi:create()"
MAX_WORKERS = 256


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 in a container.")
@click.option(
    "--port",
    envvar="PORT",
    show_envvar=True,
    type=click.IntRange(1, 65_535),
    default=8080,
    show_default=True,
    help="Port to listen on.",
)
@click.option(
    "--workers",
    envvar="WEB_CONCURRENCY",
    show_envvar=True,
    type=click.IntRange(1, MAX_WORKERS),
    help="Worker processes.  [default: one for each core this process may use]",
)
@plain_errors
def serve(host: str, port: int, workers: int | None) -> None:
    """Run the HTTP service until SIGTERM or Ctrl-C; requests that are in flight get ten seconds to end.

    \b
    Example:
      fairdrop serve --port 8080 --workers 2

    \b
    Exit codes:
      0  ended by a signal
      1  no credentials for Google Cloud, and no emulator
      2  bad options or settings
      3  gunicorn could not start a worker
      others are gunicorn's
    """  # noqa: D301 - \b is click's mark for "do not wrap"
    # What no worker could start with is told here, in one line, and not by each worker in turn.
    try:
        ClaimKeys.load(cli_settings())
    except ClaimKeyRefused as error:
        raise Invalid(str(error)) from error
    if not os.environ.get("SPANNER_EMULATOR_HOST"):
        google.auth.default()
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    count = workers or len(available())
    command = [sys.executable, "-m", "gunicorn", "--config", CONFIGURATION]
    command += ["--bind", address, "--workers", str(count), APPLICATION]
    sys.stdout.flush()
    os.execv(sys.executable, command)  # noqa: S606  # no shell is wanted: gunicorn is to be this process
