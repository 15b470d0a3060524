"""`fairdrop claim`: claim codes of giveaways, checked offline by public key and redeemed once."""

import sys
import uuid

import click

from app.cli.common import Invalid, cli_settings, plain_errors, print_json, writer
from app.domain.claims import Claim
from app.domain.errors import ClaimCodeInvalid
from app.domain.redemption import MAX_TILL_ID_LENGTH
from app.domain.timestamps import rfc3339
from app.http.redemptions import redemption_body
from app.services.claim_keys import ClaimKeyRefused, ClaimKeys, ClaimVerifier, public_keys_of
from app.services.redeeming import redeem as redeem_code
from app.settings import Settings
from app.storage.database import connect

EXIT_FORGED = 1

_CODE = click.argument("code")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group("claim")
def claim() -> None:
    """Check and redeem the claim codes of giveaways (docs/claims.md).

    \b
    Exit codes of every command:
      0  done
      1  refused: the code does not hold, or was redeemed before, or its order is not PLACED
      2  bad options or settings
    """  # noqa: D301 - \b is click's mark for "do not wrap"


@claim.command("verify")
@_CODE
@click.option(
    "--public-key",
    "public_keys",
    multiple=True,
    help="64 hex digits, as `claim keys` and GET /v1/claim-keys show them; may be repeated.  [default: of the settings]",
)
@_JSON
@plain_errors
def verify(code: str, public_keys: tuple[str, ...], as_json: bool) -> None:
    """Check CODE offline: whether it is ours, and what it is for. It does not say whether it was redeemed.

    \b
    Example:
      fairdrop claim verify FD1ANB3J00J9K... --public-key 3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29
    """  # noqa: D301
    try:
        known = ClaimVerifier(public_keys_of(",".join(public_keys))) if public_keys else _keys(cli_settings())
    except ClaimKeyRefused as error:
        raise Invalid(str(error)) from error
    try:
        found = known.verify(code)
    except ClaimCodeInvalid as error:
        if not as_json:
            raise
        print_json({"valid": False, "reason": error.reason})
        sys.exit(EXIT_FORGED)
    if as_json:
        print_json({"valid": True, **_body(found)})
    else:
        click.echo(f"genuine: {found.units} of sale {found.sale_id}, order {found.order_id}")


@claim.command("redeem")
@_CODE
@click.option("--till", default="cli", show_default=True, help="Names the till.")
@click.option("--key", default="", help="Idempotency key: a retry sends the same one.  [default: a new one]")
@_JSON
@plain_errors
def redeem(code: str, till: str, key: str, as_json: bool) -> None:
    """Redeem CODE, once and for good: whoever comes second is told when it was redeemed.

    \b
    Example:
      fairdrop claim redeem FD1ANB3J00J9K... --till counter-4 --key 7c9e6679
    """  # noqa: D301
    if not (0 < len(till) <= MAX_TILL_ID_LENGTH and till.isascii() and till.isprintable() and " " not in till):
        raise Invalid(f"--till: must be 1 to {MAX_TILL_ID_LENGTH} visible ASCII characters without spaces")
    settings = cli_settings()
    done, replayed = redeem_code(connect(settings), _keys(settings), code, till, key or str(uuid.uuid4()), writer())
    if as_json:
        print_json({**redemption_body(done), "replayed": replayed})
    else:
        before = "redeemed by an earlier try of this key" if replayed else "redeemed"
        click.echo(
            f"{before}: {done.units} of sale {done.sale_id}, order {done.order_id}, at {rfc3339(done.redeemed_at)}"
        )


@claim.command("keys")
@_JSON
@plain_errors
def keys(as_json: bool) -> None:
    """Show the public keys of the settings, the one that signs now first. Tills need these, and no secret.

    \b
    Example:
      fairdrop claim keys --json
    """  # noqa: D301
    listed = [
        {"key_id": name.hex(), "public_key": key.hex()} for name, key in _keys(cli_settings()).public_keys.items()
    ]
    if as_json:
        print_json({"keys": listed})
        return
    for each in listed:
        click.echo(f"{each['key_id']}  {each['public_key']}")


def _keys(settings: Settings) -> ClaimKeys:
    try:
        return ClaimKeys.load(settings)
    except ClaimKeyRefused as error:
        raise Invalid(str(error)) from error


def _body(found: Claim) -> dict[str, object]:
    return {
        "sale_id": found.sale_id,
        "order_id": found.order_id,
        "units": found.units,
        "placed_at": rfc3339(found.placed_at),
    }
