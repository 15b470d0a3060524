"""`fairdrop gateway`: the payment gateway's simulator under gunicorn, which takes this process's place."""

import os
import sys
from pathlib import Path

import click

from app.cli.common import Refused, cli_settings, plain_errors
from app.gateway_simulator.options import BOOK_NAME, Options

CONFIGURATION = "python:app.gateway_simulator.gunicorn_conf"

RATE = click.FloatRange(0, 1)


@click.command("gateway")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(1, 65_535), default=8090, show_default=True, help="Port to listen on.")
@click.option("--decline-rate", type=RATE, default=0.0, show_default=True, help="Share of authorizations declined.")
@click.option("--capture-decline-rate", type=RATE, default=0.0, show_default=True, help="Share of captures declined.")
@click.option(
    "--delay-ms",
    type=click.FloatRange(0, 60_000),
    default=0.0,
    show_default=True,
    help="Mean time that an answer takes; evenly spread between nothing and twice that.",
)
@click.option(
    "--error-rate", type=RATE, default=0.0, show_default=True, help="Share of tries answered 503, with nothing done."
)
@click.option(
    "--timeout-rate",
    type=RATE,
    default=0.0,
    show_default=True,
    help="Share of tries that are done and answered --hold-seconds late.",
)
@click.option(
    "--hold-seconds",
    type=click.FloatRange(0, 60),
    default=10.0,
    show_default=True,
    help="How late; longer than FAIRDROP_GATEWAY_TIMEOUT_SECONDS.",
)
@click.option(
    "--lost-rate",
    type=RATE,
    default=0.0,
    show_default=True,
    help="Share of tries that are done, and the connection closed without an answer.",
)
@click.option(
    "--garbled-rate",
    type=RATE,
    default=0.0,
    show_default=True,
    help="Share of tries that are done, and answered with a body that cannot be read.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed and keys give the same faults.")
@click.option(
    "--book",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"Where every charge is kept.  [default: {BOOK_NAME} in FAIRDROP_STATE_DIR]",
)
@plain_errors
def gateway(host: str, port: int, book: Path | None, **behaviour: float) -> None:
    """Run the payment gateway's simulator until SIGTERM or Ctrl-C.

    Every operation is idempotent by its Idempotency-Key, and what was charged outlives the process; GET /book shows it, a
    JSON line an authorization. A payment method that begins with tok_declined is always declined. Refused in production.

    \b
    Example:
      fairdrop gateway --port 8090 --decline-rate 0.1 --timeout-rate 0.02

    \b
    Exit codes:
      0  ended by a signal
      1  refused, with one line that says why
      2  bad options or settings
      others are gunicorn's
    """  # noqa: D301 - \b is click's mark for "do not wrap"
    settings = cli_settings()
    if settings.environment == "production":
        raise Refused("the gateway simulator is only for development")
    if sum(behaviour[name] for name in ("error_rate", "timeout_rate", "lost_rate", "garbled_rate")) > 1:
        raise click.UsageError("--error-rate, --timeout-rate, --lost-rate and --garbled-rate add up to more than 1")
    path = (book or settings.state_dir / BOOK_NAME).resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    options = Options.model_validate({"book": str(path), **behaviour})
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    application = f"app.gateway_simulator.app:create({options.model_dump_json()!r})"
    sys.stdout.flush()
    command = [sys.executable, "-m", "gunicorn", "--config", CONFIGURATION, "--bind", address, application]
    os.execv(sys.executable, command)  # noqa: S606  # no shell is wanted: gunicorn is to be this process
