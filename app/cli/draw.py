"""`fairdrop draw`: draw a lottery that is over, and export its public record."""

from pathlib import Path

import click

from app.cli.audit import AUDIT_RPC_DEADLINE_SECONDS
from app.cli.common import Refused, cli_settings, plain_errors, print_json, writer
from app.domain.draw import Draw, DrawBroken
from app.http.sales import draw_body
from app.services.draw import draw as draw_it
from app.services.draw_record import export
from app.storage.database import connect


@click.command("draw")
@click.argument("sale_id", metavar="SALE")
@click.option(
    "--export",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the public record, for verify-draw: the seed, and every entry's order id, place and result.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the draw as JSON, as the API's.")
@plain_errors
def draw(sale_id: str, path: Path | None, as_json: bool) -> None:
    """Draw the lottery SALE, which must be over. Interrupted, or done by a worker meanwhile: it comes to the same.

    Nobody has to: the deadlines worker draws every lottery some seconds after it has closed. A lottery that is drawn already is
    only shown, and exported if asked for.

    \b
    Example:
      fairdrop draw tickets --export tickets.draw.jsonl

    \b
    Exit codes:
      0  drawn (now, or before)
      1  refused, with one line that says why: no such sale, no lottery, not over yet, no database
      2  an option is wrong
    """  # noqa: D301 - \b is click's mark for "do not wrap"
    settings = cli_settings()
    deadline_seconds = max(AUDIT_RPC_DEADLINE_SECONDS, settings.rpc_deadline_seconds)
    database = connect(settings.model_copy(update={"rpc_deadline_seconds": deadline_seconds}))
    try:
        record = draw_it(database, sale_id, writer(), _say)
    except DrawBroken as error:
        raise Refused(str(error)) from error
    if path is not None:
        try:
            export(database, sale_id, path)
        except OSError as error:
            raise Refused(f"{error.filename}: {error.strerror}") from error
    if as_json:
        print_json(draw_body(record))
        return
    click.echo(f"entries     {record.entries:,}")
    click.echo(f"won         {record.won_orders:,} entries, {record.won_units:,} of {record.stock:,} units")
    click.echo(f"commitment  {record.commitment}")
    click.echo(f"digest      {record.digest}")
    click.echo(f"seed        {record.seed}")


def _say(record: Draw) -> None:
    done = "" if record.entries is None else f", {record.done_entries:,} of {record.entries:,} entries"
    click.echo(f"{record.state.value.lower()}{done}", err=True)
