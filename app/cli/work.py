"""`fairdrop work`: one worker process, until SIGTERM."""

from importlib import import_module

import click

from app.cli.common import cli_settings, plain_errors
from app.workers.loop import run_worker

WORKERS = {
    "relay": ("app.workers.relay", "orders_relay", "Publish the order service's outbox."),
    "payments-relay": ("app.workers.relay", "payments_relay", "Publish the payment service's outbox."),
    "payments": ("app.workers.payments", "run", "Authorize, capture and void, as the orders' events ask."),
    "settlement": ("app.workers.settlement", "run", "Apply the payments' events to the orders."),
    "deadlines": ("app.workers.deadlines", "run", "Expire holds, ask for captures, let waitlists lapse."),
}
"""Name: module, function, and the line that the help shows."""


@click.command("work", epilog=" ".join(f"{name}: {line}" for name, (_, _, line) in WORKERS.items()))
@click.argument("name", type=click.Choice(list(WORKERS)), metavar="NAME")
@plain_errors
def work(name: str) -> None:
    """Run the worker NAME until SIGTERM or Ctrl-C; what is in flight is finished within ten seconds.

    Any number of each may run: they share the work, and one that dies is taken over from.

    \b
    Example:
      fairdrop work relay

    \b
    Exit codes:
      0  ended by a signal
      2  bad settings
    """  # noqa: D301 - \b is click's mark for "do not wrap"
    cli_settings()
    module, attribute, _line = WORKERS[name]
    run_worker(name, getattr(import_module(module), attribute))
