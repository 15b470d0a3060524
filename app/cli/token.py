"""`fairdrop token`: bearer tokens of the local issuer, for development."""

import click

from app.cli.common import Refused, cli_settings
from app.domain.orders import MAX_CUSTOMER_ID_LENGTH
from app.http.local_issuer import LocalIssuer
from app.http.tokens import SELLER, TILL

MAX_LIFETIME_SECONDS = 30 * 24 * 3600


@click.command("token")
@click.argument("subject")
@click.option("--seller", is_flag=True, help="Give it the seller's role.")
@click.option("--till", is_flag=True, help="Give it the role of a till, which redeems claim codes.")
@click.option(
    "--lifetime-seconds",
    type=click.IntRange(1, MAX_LIFETIME_SECONDS),
    default=3600,
    show_default=True,
    help="How long it holds.",
)
def token(subject: str, seller: bool, till: bool, lifetime_seconds: int) -> None:
    """Print a bearer token for SUBJECT, the id of a customer, a seller or a till, signed by the local issuer.

    For development: with FAIRDROP_ENVIRONMENT=production it is refused, and such a service would not take the token.

    \b
    Example:
      curl -H "Authorization: Bearer $(fairdrop token ada)" http://127.0.0.1:8080/v1/orders

    \b
    Exit codes:
      0  the token is on stdout
      1  refused: this is production, or the key in the state folder cannot be read
      2  bad options or settings
    """  # noqa: D301 - \b is click's mark for "do not wrap"
    if not 0 < len(subject) <= MAX_CUSTOMER_ID_LENGTH:
        raise click.BadParameter(f"must have 1 to {MAX_CUSTOMER_ID_LENGTH} characters", param_hint="SUBJECT")
    settings = cli_settings()
    if settings.environment == "production":
        raise Refused("the local issuer is for development only: FAIRDROP_ENVIRONMENT is production")
    try:
        issuer = LocalIssuer.load(settings)
    except (OSError, ValueError) as error:
        raise Refused(str(error)) from error
    roles = tuple(role for role, is_given in ((SELLER, seller), (TILL, till)) if is_given)
    click.echo(issuer.token(subject, roles, lifetime_seconds))
