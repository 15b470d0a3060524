"""`fairdrop verify-draw`: anybody's check of a lottery's public record."""

import sys
from pathlib import Path

import click

from app.cli.common import Invalid, Refused, print_json
from app.domain.draw import HEX_64
from app.services.draw_record import RecordUnreadable, Verification, verify

EXIT_BROKEN = 1


def _hash(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and HEX_64.fullmatch(value.lower()) is None:
        raise click.BadParameter("must be 64 hexadecimal digits")
    return value.lower() if value is not None else None


@click.command("verify-draw")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--commitment", callback=_hash, help="The commitment that the sale's page showed before the draw.")
@click.option("--digest", callback=_hash, help="The digest of the entries that the sale's page showed.")
@click.option("--order", "order_id", help="An order id that must be in the record: its place and result are shown.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def verify_draw(path: Path, commitment: str | None, digest: str | None, order_id: str | None, as_json: bool) -> None:
    """Check FILE, the public record of a lottery: that the places follow from the seed and the entries, and the winners from them.

    It needs no database. That the record is the one of the lottery you took part in, only --commitment can say: note it from the
    sale's page when you enter.

    \b
    Example:
      fairdrop verify-draw tickets.draw.jsonl --commitment 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08

    \b
    Exit codes:
      0  all of it holds
      1  something does not, which is named; or --order is not in it
      2  an option is wrong, or the file cannot be read
    """  # noqa: D301 - \b is click's mark for "do not wrap"
    try:
        outcome = verify(path, commitment, digest, order_id)
    except RecordUnreadable as error:
        raise Refused(f"BROKEN: {error}") from error
    except OSError as error:
        raise Invalid(f"{error.filename}: {error.strerror}") from error
    if as_json:
        print_json(outcome.as_json())
    else:
        _print(outcome)
    sys.exit(0 if outcome.holds else EXIT_BROKEN)


def _print(outcome: Verification) -> None:
    head, own = outcome.head, outcome.own
    click.echo(f"sale {head.sale_id}: {head.entries:,} entries, {head.stock:,} units, commitment {head.commitment}")
    for violation in outcome.finding.violations:
        click.echo(f"  {violation.row}: {violation.says}")
    unnamed = outcome.finding.violation_count - len(outcome.finding.violations)
    if unnamed:
        click.echo(f"  and {unnamed:,} more")
    if own is not None and own.drawn is not None:
        click.echo(f"order {own.order_id} has place {own.drawn.place:,}: {own.drawn.result}")
    click.echo(outcome.verdict)
