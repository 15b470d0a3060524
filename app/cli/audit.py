"""`fairdrop audit`: checks a sale's invariants over the whole database, and a rush's answers against them."""

import sys
from datetime import datetime
from pathlib import Path

import click
from rich.console import Console

from app.cli.audit_text import print_report
from app.cli.common import Invalid, Refused, cli_settings, plain_errors, print_json, time
from app.services.audit.report import AuditReport
from app.services.audit.report import audit as audit_sale
from app.storage.answers import AnswersUnreadable
from app.storage.database import Conflict, Rejected, connect

EXIT_BROKEN = 1

AUDIT_RPC_DEADLINE_SECONDS = 60.0
"""A partition of a table is one call of twenty times this: a million rows on the emulator, which has but one partition."""


@click.command("audit")
@click.argument("sale_id", metavar="SALE")
@click.option(
    "--answers",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A rush's answers file, to be checked against the database.",
)
@click.option(
    "--as-of",
    type=time,
    metavar="TIME",
    help="Audit the sale as it was at this time (RFC 3339), within the last hour.  [default: now, by Spanner's clock]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def audit(sale_id: str, answers: Path | None, as_of: datetime | None, as_json: bool) -> None:
    """Check SALE's invariants over the whole database, at one timestamp. Changes nothing.

    \b
    Example: after a rush, the sale and what the buyers were told:
      fairdrop audit iphone
      fairdrop audit iphone --answers .fairdrop/rush.jsonl --json

    \b
    Exit codes:
      0  clean: every check holds
      1  broken: the report names the rows that break a rule
      2  the audit could not be: no sale, no database, an unreadable answers file
    """  # noqa: D301 - \b is click's mark for "do not wrap"
    try:
        report = _report(sale_id, answers, as_of)
    except Refused as error:
        # Elsewhere a refusal is exit code 1; here that says that the audit was, and found something.
        raise Invalid(error.message) from error
    except (AnswersUnreadable, Rejected, Conflict) as error:
        raise Invalid(str(error)) from error
    if as_json:
        print_json(report.as_json())
    else:
        print_report(report, Console(soft_wrap=True))
    sys.exit(EXIT_BROKEN if report.broken else 0)


@plain_errors
def _report(sale_id: str, answers: Path | None, as_of: datetime | None) -> AuditReport:
    settings = cli_settings()
    deadline_seconds = max(AUDIT_RPC_DEADLINE_SECONDS, settings.rpc_deadline_seconds)
    database = connect(settings.model_copy(update={"rpc_deadline_seconds": deadline_seconds}))
    return audit_sale(database, sale_id, answers, as_of)
