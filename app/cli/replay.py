"""`fairdrop replay`: publish events again."""

from datetime import datetime

import click

from app.cli.common import Refused, cli_settings, plain_errors, time
from app.domain.ids import OUTBOX_SHARD_COUNT
from app.messaging.broker import BrokerUnavailable
from app.messaging.events import ORDERS_SOURCE, PAYMENTS_SOURCE
from app.messaging.publisher import Publisher
from app.messaging.topics import ORDER_EVENTS, PAYMENT_EVENTS, ensure_topics
from app.services.relay import order_event_id, payment_event_id
from app.services.relay import replay as replay_rows
from app.storage.database import connect


@click.command("replay")
@click.option("--since", required=True, type=time, metavar="TIME", help="Commit time of the first event (RFC 3339).")
@click.option(
    "--database",
    type=click.Choice(["orders", "payments"]),
    default="orders",
    show_default=True,
    help="Whose events.",
)
@click.option("--shard", type=click.IntRange(0, OUTBOX_SHARD_COUNT - 1), help="Only this outbox shard.  [default: all]")
@plain_errors
def replay(since: datetime, database: str, shard: int | None) -> None:
    """Publish every event again that was committed since a time, up to now. The relays' cursors stay where they are.

    Consumers are idempotent, so a replay harms nobody; the outbox keeps seven days.

    \b
    Example, after a subscription was lost:
      fairdrop replay --since 2026-11-27T12:00:00Z

    \b
    Exit codes:
      0  published
      1  the database or Pub/Sub does not answer: repeat it
    """  # noqa: D301 - \b is click's mark for "do not wrap"
    settings = cli_settings()
    route, source, event_id, name = (
        (ORDER_EVENTS, ORDERS_SOURCE, order_event_id, settings.spanner_database)
        if database == "orders"
        else (PAYMENT_EVENTS, PAYMENTS_SOURCE, payment_event_id, settings.payments_database)
    )
    publisher = Publisher(settings.broker_project, route.topic, source)
    shards = [shard] if shard is not None else list(range(OUTBOX_SHARD_COUNT))
    try:
        ensure_topics(settings.broker_project)
        count = replay_rows(
            connect(settings, name),
            publisher,
            event_id,
            since,
            shards,
            lambda so_far: click.echo(f"{so_far:,} events", err=True),
        )
    except BrokerUnavailable as error:
        raise Refused(str(error)) from error
    click.echo(f"published {count:,} events again")
