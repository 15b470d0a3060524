"""`fairdrop audit`: checks a sale's invariants over the whole database, and a rush's answers against them."""

import sys
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import click
from rich.console import Console

from app.cli.audit_text import print_report
from app.cli.common import (
    Invalid,
    Refused,
    cli_settings,
    duration,
    plain_errors,
    print_json,
    time,
    writer,
)
from app.domain.audit.accounts import GRACE
from app.services.audit.money import MoneySources, PaymentsMissing
from app.services.audit.report import AuditReport
from app.services.audit.report import audit as audit_sale
from app.services.reports import keep_or_say, keep_verdict
from app.settings import Settings
from app.storage.answers import AnswersUnreadable
from app.storage.database import Conflict, FairdropDatabase, Rejected, connect
from app.storage.gateway_book import BookUnreadable

EXIT_BROKEN = 1

AUDIT_RPC_DEADLINE_SECONDS = 60.0
"""A partition of a table is one call of twenty times this: a million rows on the emulator, which has but one partition."""

THE_SETTINGS = "settings"
"""What `--gateway-book` says when it is given without an address."""


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
@click.option(
    "--payments/--no-payments",
    "with_payments",
    default=None,
    help="Compare with the payment service's database, or do not.  [default: when it is there]",
)
@click.option(
    "--gateway-book",
    "book",
    metavar="[URL]",
    is_flag=False,
    flag_value=THE_SETTINGS,
    help="Compare with the book of the gateway's simulator, at FAIRDROP_GATEWAY_URL or another address; it must answer.  "
    "[default: at FAIRDROP_GATEWAY_URL, when it answers]",
)
@click.option("--settled", is_flag=True, help="Demand that nothing is under way any more, and every unit is sold.")
@click.option(
    "--grace",
    type=duration,
    metavar="DURATION",
    default=f"{GRACE // timedelta(minutes=1)}m",
    show_default=True,
    help="How long a payment may be under way before it counts as forgotten.",
)
@click.option(
    "--record/--no-record",
    default=True,
    show_default=True,
    help="Keep the verdict where the console shows it. Credentials that may only read do not fail the audit.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def audit(
    sale_id: str,
    answers: Path | None,
    as_of: datetime | None,
    as_json: bool,
    with_payments: bool | None,
    book: str | None,
    settled: bool,
    grace: timedelta,
    record: bool,
) -> None:
    """Check SALE's invariants over the whole database, at one timestamp, and that its money follows its units.

    Changes nothing of the sale; the verdict is kept for 90 days, for the console.

    \b
    Example: after a rush, the sale and what the buyers were told; when all is over, every cent too:
      fairdrop audit iphone
      fairdrop audit iphone --answers .fairdrop/rush.jsonl --json
      fairdrop audit iphone --settled --gateway-book

    \b
    Exit codes:
      0  clean: every check holds
      1  broken: the report names the rows that break a rule
      2  the audit could not be: no sale, no database, an unreadable answers file, no gateway where its book was asked for
    """  # noqa: D301 - \b is click's mark for "do not wrap"
    try:
        database, report = _report(sale_id, answers, as_of, with_payments, book, settled, grace)
    except Refused as error:
        # Elsewhere a refusal is exit code 1; here that says that the audit was, and found something.
        raise Invalid(error.message) from error
    except (AnswersUnreadable, PaymentsMissing, BookUnreadable, Rejected, Conflict) as error:
        raise Invalid(str(error)) from error
    if as_json:
        print_json(report.as_json())
    else:
        print_report(report, Console(soft_wrap=True))
    if record:
        keep_or_say(
            "the verdict",
            partial(keep_verdict, database, report, writer(), "fairdrop audit"),
            partial(click.echo, err=True),
        )
    sys.exit(EXIT_BROKEN if report.broken else 0)


@plain_errors
def _report(
    sale_id: str,
    answers: Path | None,
    as_of: datetime | None,
    with_payments: bool | None,
    book: str | None,
    settled: bool,
    grace: timedelta,
) -> tuple[FairdropDatabase, AuditReport]:
    settings = cli_settings()
    deadline_seconds = max(AUDIT_RPC_DEADLINE_SECONDS, settings.rpc_deadline_seconds)
    patient = settings.model_copy(update={"rpc_deadline_seconds": deadline_seconds})
    sources = _sources(patient, with_payments, book)
    database = connect(patient)
    return database, audit_sale(database, sale_id, answers, as_of, money=sources, settled=settled, grace=grace)


def _sources(settings: Settings, with_payments: bool | None, book: str | None) -> MoneySources | None:
    """What the sale's money is compared with."""
    if book is not None and book != THE_SETTINGS and not book.startswith(("http://", "https://")):
        raise Invalid(f"--gateway-book: {book!r} is no address: write SALE first, or --gateway-book=http://…")
    if with_payments is False:
        if book is not None:
            raise Invalid("--gateway-book: a book is compared with payments, and --no-payments is given")
        return None
    is_stripe = settings.payment_gateway == "stripe"
    if is_stripe and book == THE_SETTINGS:
        raise Invalid("--gateway-book: the gateway is Stripe, which has no book to be read")
    return MoneySources(
        payments=connect(settings, settings.payments_database),
        book_url=None if is_stripe and book is None else settings.gateway_url if book in (None, THE_SETTINGS) else book,
        no_book="the gateway is Stripe, which has no book to be read",
        is_payments_optional=with_payments is None and book is None,
        is_book_optional=book is None,
    )
