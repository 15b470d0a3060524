"""`fairdrop schema`: the databases' DDL, applied and compared, and the pre-splitting of a sale."""

import sys
from pathlib import Path

import click

from app.cli.common import EXIT_REFUSED, Invalid, cli_settings, plain_errors, print_json
from app.cli.splitting import split_sale
from app.domain.timestamps import rfc3339
from app.settings import Settings
from app.storage import schema as schema_tool
from app.storage import split_points
from app.storage.schema import SCHEMA_ROOT, FileState, FileStatus
from app.storage.split_points import Alphabet

DEFAULT_POINTS = 16
MAX_SAMPLE_BYTES = 64 * 2**20


@click.group("schema")
def schema() -> None:
    """Apply the database schema, show its status, pre-split a sale.

    \b
    Exit codes of all subcommands:
      0  done; for status: everything is applied, as it is in the folder
      1  refused, with one line that says why; for status: something is missing or altered
      2  bad options or settings
    """  # noqa: D301 - \b is click's mark for "do not wrap"


SERVICES = ("orders", "payments")
_SERVICE = click.option("--service", type=click.Choice(SERVICES), help="Only this service's database.  [default: both]")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def _databases(settings: Settings, service: str | None) -> list[tuple[str, str, Path]]:
    """(service, database, folder) of what is meant."""
    names = {"orders": settings.spanner_database, "payments": settings.payments_database}
    return [(name, names[name], SCHEMA_ROOT / name) for name in SERVICES if service in (None, name)]


@schema.command("apply")
@_SERVICE
@_JSON
@plain_errors
def apply_(service: str | None, as_json: bool) -> None:
    """Put every DDL file into force that is not yet, in order.

    Repeat it whenever you like. The database is made when it is missing; its instance only on the emulator. A file that was
    altered after it was applied, one that is missing, and a new one numbered below an applied one are refused. An
    interrupted run is taken up by the next.

    \b
    Example:
      fairdrop schema apply
    """  # noqa: D301
    settings = cli_settings()
    applied = {
        name: schema_tool.apply(settings, database_id=database, folder=folder)
        for name, database, folder in _databases(settings, service)
    }
    if as_json:
        print_json({"applied": applied})
        return
    for name, files in applied.items():
        for file in files:
            click.echo(f"applied {name}/{file}")
    if not any(applied.values()):
        click.echo("nothing to do")


@schema.command("status")
@_SERVICE
@_JSON
@plain_errors
def status(service: str | None, as_json: bool) -> None:
    """Compare the DDL files with what the database recorded.

    The exit code is 1 unless all are applied and unaltered.

    \b
    Example:
      fairdrop schema status --json
    """  # noqa: D301
    settings = cli_settings()
    files = [
        (name, file)
        for name, database, folder in _databases(settings, service)
        for file in schema_tool.status(settings, database_id=database, folder=folder)
    ]
    if as_json:
        print_json({"files": [{"service": name, **_status_body(file)} for name, file in files]})
    else:
        for name, file in files:
            click.echo(f"{file.state:<21}  {name}/{file.file}{_hashes(file)}")
    if any(file.state is not FileState.APPLIED for _, file in files):
        sys.exit(EXIT_REFUSED)


def _status_body(file: FileStatus) -> dict[str, str | None]:
    return {
        "file": file.file,
        "state": file.state.value,
        "found_sha256": file.found_sha256,
        "recorded_sha256": file.recorded_sha256,
        "applied_at": rfc3339(file.applied_at) if file.applied_at else None,
    }


def _hashes(file: FileStatus) -> str:
    if file.state is not FileState.ALTERED:
        return ""
    return f"  (recorded {file.recorded_sha256}, found {file.found_sha256})"


@schema.command("split")
@click.argument("sale_id", metavar="SALE")
@click.option(
    "--points",
    type=click.IntRange(1, split_points.MAX_POINTS),
    default=DEFAULT_POINTS,
    show_default=True,
    help="Most split points for each table and index. Google advises ten a node in all.",
)
@click.option(
    "--customer-ids",
    type=click.Choice([alphabet.value for alphabet in Alphabet]),
    default=Alphabet.BASE62.value,
    show_default=True,
    help="What customer ids are spelt with: base62 as Identity Platform's, hex as UUIDs.",
)
@click.option(
    "--sample",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A file of real customer ids, one a line, in place of --customer-ids.",
)
@click.option("--dry-run", is_flag=True, help="Only print the split points.")
@_JSON
@plain_errors
def split(sale_id: str, points: int, customer_ids: str, sample: Path | None, dry_run: bool, as_json: bool) -> None:
    """Part Spanner's ranges for SALE before its crowd comes.

    Spanner by itself does so only after minutes of load. Run it between a week and half a day before the opening. The split
    points expire a day after the sale; Spanner keeps none longer than 30 days. Ranges that begin with the sale are parted
    between stock shards, the outbox between its shards, and the orders, which begin with the customer, by customer ids:
    evenly over an alphabet, or over a sample of real ids, which is best when ids are of neither kind or share a prefix. A
    wrong guess does no harm and no good: a range stays whole until Spanner has seen its load.

    The emulator has no split points; the command says so and ends with exit code 0.

    \b
    Example:
      fairdrop schema split iphone --points 32 --sample customers.txt
    """  # noqa: D301
    prefixes = (
        split_points.even_prefixes(Alphabet(customer_ids), points)
        if sample is None
        else split_points.sampled_prefixes(_sampled(sample), points)
    )
    done = split_sale(sale_id, prefixes, points, f"fairdrop sale {sale_id}", dry_run=dry_run)
    _print_splits(done.splits, done.expires_at, done=done.is_supported and not dry_run, as_json=as_json)
    if not done.is_supported:
        click.echo("This server has no split points (the emulator has none): nothing was done.", err=True)


def _print_splits(splits: list[split_points.Split], expires_at: str, *, done: bool, as_json: bool) -> None:
    if as_json:
        points = [{"table": one.table, "index": one.index, "key": one.key} for one in splits]
        print_json({"added": done, "expires_at": expires_at, "split_points": points})
        return
    for one in splits:
        click.echo(f"{one.index or one.table}  {'  '.join(part or repr(part) for part in one.key)}")
    if done:
        click.echo(f"added {len(splits)} split points, which expire at {expires_at}")


def _sampled(sample: Path) -> list[str]:
    if sample.stat().st_size > MAX_SAMPLE_BYTES:
        raise Invalid(f"--sample: {sample} is larger than {MAX_SAMPLE_BYTES >> 20} MiB: take fewer ids")
    try:
        ids = [line.strip() for line in sample.read_text(encoding="utf-8").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise Invalid(f"--sample: {sample} is not UTF-8 text") from error
    if not ids:
        raise Invalid(f"--sample: {sample} has no customer ids")
    return ids
