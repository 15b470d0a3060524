"""`fairdrop fairness`: how far a sale's line agrees with real time and with arrival, and who waited how long."""

import sys
from datetime import datetime
from functools import partial
from pathlib import Path

import click
from rich.console import Console

from app.cli.audit import AUDIT_RPC_DEADLINE_SECONDS
from app.cli.common import Invalid, Refused, cli_settings, plain_errors, print_json, time, writer
from app.cli.fairness_text import print_fairness
from app.services.fairness import fairness as fairness_of
from app.services.fairness_page import write_page
from app.services.fairness_report import FairnessReport
from app.services.reports import keep_fairness, keep_or_say
from app.storage.answers import AnswersUnreadable
from app.storage.database import Conflict, FairdropDatabase, Rejected, connect

EXIT_UNFAIR = 1


@click.command("fairness")
@click.argument("sale_id", metavar="SALE")
@click.option(
    "--answers",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A rush's answers file: only with it the line can be held against real time.",
)
@click.option(
    "--as-of",
    type=time,
    metavar="TIME",
    help="The sale as it was at this time (RFC 3339), within the last hour.  [default: now, by Spanner's clock]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option(
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the report as one page that may be published: it names no customer, order or machine.",
)
@click.option(
    "--record/--no-record",
    default=True,
    show_default=True,
    help="Keep the page where the console shows it. Credentials that may only read do not fail the report.",
)
def fairness(
    sale_id: str, answers: Path | None, as_of: datetime | None, as_json: bool, html: Path | None, record: bool
) -> None:
    """Report how fair SALE was: its line against arrival and real time, waits, refusals, liars, winners by lot.

    Changes nothing of the sale; the report is kept for 90 days, for the console.

    \b
    Example: after a rush, for the seller, and as a page for everybody:
      fairdrop fairness iphone
      fairdrop fairness iphone --answers .fairdrop/rush.jsonl --html fairness.html

    \b
    Exit codes:
      0  no order stands before one that was confirmed before it was sent (or, without --answers, that could not be judged)
      1  some do: the line disagrees with real time
      2  the report could not be: no sale, no database, an unreadable answers file, a page that cannot be written
    """  # noqa: D301 - \b is click's mark for "do not wrap"
    try:
        database, report = _report(sale_id, answers, as_of)
        if html is not None:
            write_page(html, report)
    except Refused as error:
        # Elsewhere a refusal is exit code 1; here that says that the line is unfair.
        raise Invalid(error.message) from error
    except (AnswersUnreadable, Rejected, Conflict) as error:
        raise Invalid(str(error)) from error
    except OSError as error:
        raise Invalid(f"{error.filename}: {error.strerror}") from error
    if as_json:
        print_json(report.as_json())
    else:
        print_fairness(report, Console(soft_wrap=True))
    if record:
        keep_or_say(
            "the report",
            partial(keep_fairness, database, report, writer(), "fairdrop fairness"),
            partial(click.echo, err=True),
        )
    sys.exit(EXIT_UNFAIR if report.is_unfair else 0)


@plain_errors
def _report(sale_id: str, answers: Path | None, as_of: datetime | None) -> tuple[FairdropDatabase, FairnessReport]:
    settings = cli_settings()
    deadline_seconds = max(AUDIT_RPC_DEADLINE_SECONDS, settings.rpc_deadline_seconds)
    database = connect(settings.model_copy(update={"rpc_deadline_seconds": deadline_seconds}))
    return database, fairness_of(database, sale_id, answers, as_of)
