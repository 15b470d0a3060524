"""`fairdrop sale`: the seller's use cases from a terminal, straight on the database. JSON is shaped as the API's."""

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import click
from pydantic import ValidationError

from app.cli.common import cli_settings, duration, first_rule_broken, plain_errors, print_json, time, writer
from app.cli.sale_text import print_sale, print_sales
from app.domain.errors import InvalidValue
from app.domain.sale import Policy
from app.http.admin import details_body, sale_body
from app.http.request_models import ChangeSale, NewSale, Restock
from app.services import sales
from app.services.sales import SaleView
from app.storage.database import FairdropDatabase, connect

DEFAULT_PAGE = 100
MAX_PAGE = 1_000

Command = Callable[..., None]


@click.group("sale")
def sale() -> None:
    """Create, show, change, open, pause, close and restock sales. Each may be repeated safely.

    \b
    Times are written 2026-11-27T12:00:00Z (any zone, never none), now or now+10m.
    Durations are written 90s, 10m, 2h, 3d or 1h30m.

    \b
    Exit codes of all subcommands:
      0  done
      1  refused, with one line that says why: no such sale, not in this phase, no database
      2  a value or option is wrong; the line names it
    """  # noqa: D301 - \b is click's mark for "do not wrap"


_SALE = click.argument("sale_id", metavar="SALE")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, as the API's.")

_TERMS: tuple[tuple[str, Any, str], ...] = (
    ("name", str, "What customers read."),
    ("stock", int, "Units on sale."),
    ("unit-price-minor", int, "Price of a unit in minor units of the currency (cents); 0 is a giveaway."),
    ("currency", str, "ISO 4217 code, such as EUR."),
    ("limit-per-customer", int, "Units over all live orders of a customer."),
    ("waitlist-limit", int, "Orders that may wait."),
    ("expected-crowd", int, "Customers expected."),
    ("opens-at", time, "When orders are taken from."),
    ("closes-at", time, "When orders are no longer taken."),
    ("hold-seconds", int, "How long units are kept for a payment."),
    ("cancel-window-seconds", int, "How long a customer may cancel."),
)
_REQUIRED = ("name", "stock", "unit-price-minor", "currency", "opens-at")
_COMPUTED = {"waitlist-limit": "computed from --stock", "expected-crowd": "computed from --stock"}


def _terms(*, new: bool) -> Callable[[Command], Command]:
    """The options that a sale's terms are given by; those that are not given are not passed on."""

    def add(command: Command) -> Command:
        for name, kind, text in reversed(_TERMS):
            default = _default_of(name) if new and name not in (*_REQUIRED, "closes-at") else ""
            command = click.option(f"--{name}", type=kind, required=new and name in _REQUIRED, help=f"{text}{default}")(
                command
            )
        return command

    return add


def _default_of(name: str) -> str:
    default = _COMPUTED.get(name, NewSale.model_fields[name.replace("-", "_")].default)
    return f"  [default: {default}]"


_LASTS = click.option("--lasts", type=duration, help="In place of --closes-at: how long after the opening.")


@sale.command("create")
@_SALE
@_terms(new=True)
@_LASTS
@click.option(
    "--policy",
    type=click.Choice([policy.value for policy in Policy]),
    default=Policy.FCFS.value,
    show_default=True,
    help="Who gets the stock; fcfs: first come, first served; lottery: a draw among all who enter.",
)
@click.option("--shard-count", type=int, help="Rows of the stock counter.  [default: computed from stock and crowd]")
@_JSON
@plain_errors
def create(sale_id: str, as_json: bool, lasts: timedelta | None, **terms: Any) -> None:
    """Create SALE, an id of small letters, digits and dashes. The very same sale again is no error.

    \b
    Example:
      fairdrop sale create iphone --name "iPhone, half price" --stock 1000 --unit-price-minor 49900 --currency EUR \\
        --limit-per-customer 5 --opens-at 2026-11-27T12:00:00Z --lasts 2h
    """  # noqa: D301
    given = {field: value for field, value in terms.items() if value is not None}
    closing = _closing(given["opens_at"], given.pop("closes_at", None), lasts)
    if closing is None:
        raise InvalidValue(field="closes_at", rule="or --lasts is required")
    try:
        body = NewSale(sale_id=sale_id, closes_at=closing, **given)
    except ValidationError as error:
        raise first_rule_broken(error) from error
    view, is_new = sales.create(_database(), sales.new_sale(**body.model_dump()), writer())
    if not as_json:
        click.echo("created" if is_new else "this very sale was there already")
    _print(view, as_json)


@sale.command("list")
@click.option("--after", default="", help="Only sales whose id is after this one.")
@click.option(
    "--limit", type=click.IntRange(1, MAX_PAGE), default=DEFAULT_PAGE, show_default=True, help="At most so many."
)
@_JSON
@plain_errors
def list_(after: str, limit: int, as_json: bool) -> None:
    """List sales by id.

    \b
    Example:
      fairdrop sale list --json
    """  # noqa: D301
    page, following = sales.page_of_sales(_database(), after, limit)
    if as_json:
        print_json({"sales": [sale_body(one) for one in page], "next_after": following})
        return
    print_sales(page)
    if following is not None:
        click.echo(f"more: fairdrop sale list --after {following}")


@sale.command("show")
@_SALE
@_JSON
@plain_errors
def show(sale_id: str, as_json: bool) -> None:
    """Show SALE and its stock at one moment.

    \b
    Example:
      fairdrop sale show iphone
    """  # noqa: D301
    _print(sales.show(_database(), sale_id), as_json)


@sale.command("change")
@_SALE
@_terms(new=False)
@_LASTS
@_JSON
@plain_errors
def change(sale_id: str, as_json: bool, lasts: timedelta | None, **terms: Any) -> None:
    """Change terms of SALE while it is not open.

    Once it has opened: only while it is paused, and only the name, the limits and the closing.

    \b
    Example:
      fairdrop sale change iphone --stock 1200 --lasts 3h
    """  # noqa: D301
    database = _database()
    given = {field: value for field, value in terms.items() if value is not None}
    if lasts is not None:
        opening = given["opens_at"] if "opens_at" in given else sales.show(database, sale_id).sale.opens_at
        given["closes_at"] = _closing(opening, given.get("closes_at"), lasts)
    if not given:
        raise click.UsageError("nothing to change: give at least one term")
    try:
        changes = ChangeSale(**given).model_dump(exclude_none=True)
    except ValidationError as error:
        raise first_rule_broken(error) from error
    _print(sales.change(database, sale_id, changes, writer()), as_json)


@sale.command("open")
@_SALE
@_JSON
@plain_errors
def open_(sale_id: str, as_json: bool) -> None:
    """Open SALE now, or resume it when it is paused.

    \b
    Example:
      fairdrop sale open iphone
    """  # noqa: D301
    _print(sales.open_now(_database(), sale_id, writer()), as_json)


@sale.command("pause")
@_SALE
@_JSON
@plain_errors
def pause(sale_id: str, as_json: bool) -> None:
    """Take no orders for SALE until it is opened again.

    \b
    Example:
      fairdrop sale pause iphone
    """  # noqa: D301
    _print(sales.pause(_database(), sale_id, writer()), as_json)


@sale.command("close")
@_SALE
@click.confirmation_option("--yes", prompt="Close the sale for good?", help="Do not ask.")
@_JSON
@plain_errors
def close(sale_id: str, as_json: bool) -> None:
    """End SALE for good; it cannot be opened again.

    \b
    Example:
      fairdrop sale close iphone --yes
    """  # noqa: D301
    _print(sales.close(_database(), sale_id, writer()), as_json)


@sale.command("restock")
@_SALE
@click.argument("units", type=int)
@click.option("--key", help="Names this restock: the same key goes on, and never adds twice.  [default: a new one]")
@_JSON
@plain_errors
def restock(sale_id: str, units: int, key: str | None, as_json: bool) -> None:
    """Add UNITS to SALE, the waitlist first.

    Should it be interrupted, repeat it with the same key: it goes on where it stopped.

    \b
    Example:
      fairdrop sale restock iphone 50 --key friday-evening
    """  # noqa: D301
    try:
        wanted = Restock(units=units).units
    except ValidationError as error:
        rule = first_rule_broken(error).rule
        raise click.BadParameter(rule, param_hint="UNITS") from error
    if key is None:
        key = uuid.uuid4().hex
        click.echo(f"restock key: {key}", err=True)
    view, promoted = sales.restock(_database(), sale_id, wanted, key, writer())
    if as_json:
        print_json({"promoted_orders": promoted, "idempotency_key": key, "sale": details_body(view)})
        return
    click.echo(f"{promoted} waiting orders were given units")
    _print(view, as_json)


def _closing(opens_at: datetime, closes_at: datetime | None, lasts: timedelta | None) -> datetime | None:
    if closes_at is not None and lasts is not None:
        raise click.UsageError("--closes-at and --lasts say the same thing: give one of them")
    return opens_at + lasts if lasts is not None else closes_at


def _database() -> FairdropDatabase:
    return connect(cli_settings())


def _print(view: SaleView, as_json: bool) -> None:
    if as_json:
        print_json(details_body(view))
    else:
        print_sale(view)
