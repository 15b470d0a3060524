"""`fairdrop claim`: verify offline, redeem once, show the keys and never a secret."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from click.testing import Result
from sale_samples import put_up

from app.services.claim_keys import DEVELOPMENT_KEY, ClaimKeys
from app.services.placement import Placement
from app.settings import Settings
from app.storage.database import FairdropDatabase

KEYS = ClaimKeys(DEVELOPMENT_KEY)
NOWHERE = {"SPANNER_EMULATOR_HOST": "127.0.0.1:1"}


@pytest.fixture
def code(settings: Settings, database: FairdropDatabase) -> str:
    sale = put_up(database)
    taken = Placement(database, settings).place("ann", sale.sale_id, 2, "key", None, datetime.now(UTC))
    code = KEYS.code_of(taken.order)
    assert code is not None
    return code


def test_a_code_is_verified_without_a_database(run: Callable[..., Result], code: str) -> None:
    result = run("claim", "verify", code, env=NOWHERE)
    assert result.exit_code == 0
    assert result.stdout.startswith("genuine: 2 of sale sale-")
    by_public_key = [key.hex() for key in KEYS.public_keys.values()]
    assert run("claim", "verify", code, "--public-key", *by_public_key, env=NOWHERE).exit_code == 0


def test_a_code_that_does_not_hold_is_refused(run: Callable[..., Result], code: str) -> None:
    other = next(iter(ClaimKeys(bytes(32)).public_keys.values())).hex()
    for arguments in ((code[:-1],), ("hello",), (code, "--public-key", other)):
        result = run("claim", "verify", *arguments, env=NOWHERE)
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.startswith("Error: this is no claim code of ours")
        assert '"valid": false' in run("claim", "verify", *arguments, "--json", env=NOWHERE).stdout
    assert run("claim", "verify", code, "--public-key", "ab").exit_code == 2


def test_a_code_is_redeemed_once(run: Callable[..., Result], run_json: Callable[..., Any], code: str) -> None:
    first = run_json("claim", "redeem", code, "--key", "one")
    assert (first["units"], first["till_id"], first["replayed"]) == (2, "cli", False)
    assert run_json("claim", "redeem", code, "--key", "one") == {**first, "replayed": True}
    again = run("claim", "redeem", code)
    assert again.exit_code == 1
    assert again.stderr == f"Error: this code was redeemed at {first['redeemed_at']}, at till cli\n"
    assert run("claim", "redeem", code, "--till", "").exit_code == 2


def test_the_keys_are_shown_without_the_secret(run: Callable[..., Result]) -> None:
    secret = "22" * 32
    shown = run("claim", "keys", env={"FAIRDROP_CLAIM_KEY": secret}).stdout
    assert shown == f"{ClaimKeys(bytes.fromhex(secret)).key_id.hex()}  {_public(secret)}\n"
    refused = run("claim", "keys", env={"FAIRDROP_CLAIM_KEY": "wrong"})
    assert refused.exit_code == 2
    assert "wrong" not in refused.output


def _public(secret: str) -> str:
    return next(iter(ClaimKeys(bytes.fromhex(secret)).public_keys.values())).hex()


def test_production_serves_nothing_without_a_claim_key_of_its_own(run: Callable[..., Result]) -> None:
    production = {"FAIRDROP_ENVIRONMENT": "production", "FAIRDROP_AUTH_JWKS_URL": "https://issuer.example/keys"}
    result = run("serve", env=production)
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: FAIRDROP_CLAIM_KEY must be set in production")
