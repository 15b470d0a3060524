"""`fairdrop dead-letters`: what the consumers could not deal with."""

import sys
from dataclasses import asdict

import click

from app.cli.common import Refused, cli_settings, plain_errors, print_json
from app.messaging.broker import BrokerUnavailable
from app.messaging.dead_letters import DeadLetter, read_dead_letters
from app.messaging.topics import ROUTES, ensure_topics

EXIT_SOME = 1
TEXT_SHOWN = 300


@click.command("dead-letters")
@click.option("--at-most", default=100, show_default=True, type=click.IntRange(1, 10_000), help="Of each topic.")
@click.option("--take", is_flag=True, help="Remove them: they have been dealt with.")
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
@plain_errors
def dead_letters(at_most: int, take: bool, as_json: bool) -> None:
    """Show the messages that no consumer could deal with, and why.

    \b
    Example:
      fairdrop dead-letters --json

    \b
    Exit codes:
      0  there are none
      1  there are some, or Pub/Sub does not answer
    """  # noqa: D301 - \b is click's mark for "do not wrap"
    project = cli_settings().broker_project
    found: list[tuple[str, DeadLetter]] = []
    try:
        ensure_topics(project)
        for route in ROUTES:
            found += [(route.topic, letter) for letter in read_dead_letters(project, route, at_most, take=take)]
    except BrokerUnavailable as error:
        raise Refused(str(error)) from error
    if as_json:
        print_json([{"topic": topic, **asdict(letter)} for topic, letter in found])
    else:
        for topic, letter in found:
            click.echo(
                f"{topic}  {letter.published_at:%Y-%m-%dT%H:%M:%SZ}  {letter.event_type or '-'}  {letter.reason}"
            )
            click.echo(f"    {letter.text[:TEXT_SHOWN]}")
        click.echo(f"{len(found)} dead letters{' taken' if take and found else ''}")
    sys.exit(EXIT_SOME if found else 0)
