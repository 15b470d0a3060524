"""What the subcommands share: errors as one line, JSON as one document, times and durations as people write them."""

import functools
import getpass
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ParamSpec, TypeVar

import click
import orjson
from google.auth.exceptions import GoogleAuthError
from pydantic import ValidationError

from app.domain.errors import FairdropError, InvalidValue, StorageUnavailable
from app.http.problems import PROBLEMS
from app.payments.gateways import GatewayMisconfigured
from app.settings import Settings, load_settings
from app.storage.schema_errors import SchemaError

Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")

EXIT_REFUSED = 1
EXIT_INVALID = 2

MAX_WRITER_LENGTH = 64
"""As the stock ledger's column takes."""

_NO_CREDENTIALS = (
    "no credentials for Google Cloud. For development start the emulators and take their variables: fairdrop emulator up, "
    'then eval "$(fairdrop emulator env)"; for the real Spanner: gcloud auth application-default login'
)

_DURATION = re.compile(r"(?:(\d{1,5})d)?(?:(\d{1,5})h)?(?:(\d{1,5})m)?(?:(\d{1,6})s)?")


class Refused(click.ClickException):
    """One line on stderr, and exit code 1: what was asked for cannot be."""

    exit_code = EXIT_REFUSED

    def __init__(self, message: str) -> None:
        """Say it, in one line."""
        super().__init__(" ".join(message.split()))


class Invalid(Refused):
    """One line on stderr, and exit code 2: a value is wrong."""

    exit_code = EXIT_INVALID


def plain_errors(command: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """A command whose operating errors are one line: exit code 2 for a value that is wrong, 1 for whatever else is refused."""

    @functools.wraps(command)
    def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        try:
            return command(*args, **kwargs)
        except InvalidValue as error:
            raise Invalid(f"{option_of(error.field)}: {error.rule}") from error
        except (FairdropError, SchemaError, GatewayMisconfigured) as error:
            raise Refused(_sentence(error)) from error
        except GoogleAuthError as error:
            raise Refused(_NO_CREDENTIALS) from error

    return run


def _sentence(error: Exception) -> str:
    if isinstance(error, StorageUnavailable):
        # The problem's own text speaks of a buyer's retry.
        return error.detail
    kind = PROBLEMS.get(type(error))
    return kind.detail(error) if kind is not None else str(error)


def option_of(field: str) -> str:
    """How the command line names a field of the interface."""
    return "SALE" if field == "sale_id" else "--" + field.replace("_", "-")


def first_rule_broken(error: ValidationError) -> InvalidValue:
    """What a model refused, as the domain says it."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    field, rule = ".".join(map(str, first["loc"])), first["msg"]
    if field == "sale_id":
        rule = "must be 1 to 63 small letters, digits and dashes, without a dash at either end"
    return InvalidValue(field=field, rule=f"{rule[:1].lower()}{rule[1:]}")


def cli_settings() -> Settings:
    """The settings; a bad variable is named, with exit code 2."""
    try:
        return load_settings()
    except ValidationError as error:
        raise Invalid("; ".join(map(_variable_rule, error.errors(include_url=False, include_context=False)))) from error


def _variable_rule(error: Mapping[str, Any]) -> str:
    rule = error["msg"].removeprefix("Value error, ")
    return f"FAIRDROP_{'_'.join(map(str, error['loc'])).upper()}: {rule}" if error["loc"] else rule


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z))


def writer() -> str:
    """Who types, for the stock ledger."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        # A container's user need not have a name.
        name = "unknown"
    return f"cli:{name}"[:MAX_WRITER_LENGTH]


def duration(text: str) -> timedelta:
    """`90s`, `10m`, `2h`, `3d`, `1h30m`: more than nothing. An option's type."""
    match = _DURATION.fullmatch(text)
    days, hours, minutes, seconds = (int(number or 0) for number in match.groups()) if match else (0, 0, 0, 0)
    span = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    if not span:
        raise click.BadParameter(f"{text!r} is no duration: write 90s, 10m, 2h, 3d or 1h30m")
    return span


def time(text: str) -> datetime:
    """`2026-11-27T12:00:00Z` (any zone, never none), `now` or `now+10m`, in UTC. An option's type.

    `now` is this machine's clock, and only a proposal: the opening is judged by Spanner's.
    """
    if text == "now" or text.startswith("now+"):
        ahead = duration(text[4:]) if text != "now" else timedelta()
        return datetime.now(UTC) + ahead
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is no time: write 2026-11-27T12:00:00Z, now or now+10m") from error
    if moment.tzinfo is None:
        raise click.BadParameter(f"{text!r} has no zone: write {text}Z or {text}+01:00")
    return moment.astimezone(UTC)
