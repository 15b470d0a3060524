"""`fairdrop`: the one command line tool. A subcommand is imported only when it is asked for, so that `--help` stays quick."""

from importlib import import_module

import click

SUBCOMMANDS = {
    "audit": ("app.cli.audit", "audit", "Check a sale's invariants over the whole database."),
    "bench": ("app.cli.bench", "bench", "Measure this machine: ratios taken side by side."),
    "chaos": ("app.cli.chaos", "run_chaos", "Break everything at random under a live sale, then audit."),
    "claim": ("app.cli.claim", "claim", "Check and redeem claim codes of giveaways."),
    "dead-letters": ("app.cli.dead_letters", "dead_letters", "Show the messages that no consumer could deal with."),
    "demo": ("app.cli.demo", "run_demo", "Sell 1,000 phones to 100,000 buyers here, from nothing to the audit."),
    "draw": ("app.cli.draw", "draw", "Draw a lottery that is over, and export its public record."),
    "emulator": ("app.cli.emulator", "emulator", "Start and stop the Spanner and Pub/Sub emulators."),
    "fairness": ("app.cli.fairness", "fairness", "Report how fair a sale's line was, as a page too."),
    "gateway": ("app.cli.gateway", "gateway", "Run the payment gateway's simulator (development only)."),
    "load": ("app.cli.load", "load", "Offer a worker more than it can take, and see what becomes of it."),
    "plan": ("app.cli.plan", "plan_sale", "Say what a sale needs and costs on Google Cloud, and what gives way first."),
    "replay": ("app.cli.replay", "replay", "Publish events again from a time on."),
    "rush": ("app.cli.rush", "rush", "Send a crowd of buyers to a running service."),
    "sale": ("app.cli.sale", "sale", "Create, show, change, open, pause, close and restock sales."),
    "scenario": ("app.cli.scenario", "scenario", "Play a sale that must work, with a verdict: phones, burgers."),
    "schema": ("app.cli.schema", "schema", "Apply the database schema, show its status, pre-split a sale."),
    "serve": ("app.cli.serve", "serve", "Run the HTTP service under gunicorn."),
    "stack": ("app.cli.stack", "stack", "Run every process of the service, from the Procfile."),
    "token": ("app.cli.token", "token", "Sign a bearer token with the local issuer (development only)."),
    "traces": ("app.cli.traces", "traces", "Take spans from processes of this machine, and print each trace."),
    "verify-draw": ("app.cli.verify_draw", "verify_draw", "Check a lottery's public record, without any database."),
    "warm": ("app.cli.warm", "warm", "Part ranges and wake instances before a sale opens."),
    "work": ("app.cli.work", "work", "Run a worker: relay, settlement, deadlines, payments, payments-relay."),
}
"""Name: module, attribute, and the line that `fairdrop --help` shows."""


class _LazyGroup(click.Group):
    def list_commands(self, _context: click.Context) -> list[str]:
        return sorted(SUBCOMMANDS)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        if name not in SUBCOMMANDS:
            return None
        module, attribute, _help = SUBCOMMANDS[name]
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, _context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, _, line) in sorted(SUBCOMMANDS.items())])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
def fairdrop() -> None:
    """Fairdrop, a flash-sale order service. `fairdrop COMMAND --help` shows an example of each command."""
