import time
from collections.abc import Callable
from pathlib import Path

import jwt
import pytest
from click.testing import CliRunner, Result

from app.cli.main import fairdrop
from app.http.tokens import Identity, TokenVerifier
from app.settings import Settings


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Result]:
    """`run("ada")`: the result of `fairdrop token ada`, with a state folder of the test's own. No database is needed."""

    def run_token(*arguments: str, **variables: str) -> Result:
        environment = {"FAIRDROP_STATE_DIR": str(tmp_path), **variables}
        return CliRunner().invoke(fairdrop, ["token", *arguments], env=environment)

    return run_token


def verified(result: Result, folder: Path) -> Identity:
    assert result.exit_code == 0, result.output
    return TokenVerifier(Settings(state_dir=folder)).verify(f"Bearer {result.stdout.strip()}")


def test_a_token_is_taken_by_a_service_of_the_same_state_folder(run: Callable[..., Result], tmp_path: Path) -> None:
    identity = verified(run("ada"), tmp_path)
    assert (identity.subject, identity.roles) == ("ada", frozenset())


def test_a_seller_s_token_has_the_role(run: Callable[..., Result], tmp_path: Path) -> None:
    assert verified(run("shop", "--seller"), tmp_path).roles == {"seller"}


def test_a_token_lives_as_long_as_asked(run: Callable[..., Result], tmp_path: Path) -> None:
    before = int(time.time())
    identity = verified(run("ada", "--lifetime-seconds", "90"), tmp_path)
    assert before + 90 <= identity.expires_at <= time.time() + 90


def test_production_refuses_in_one_line_and_makes_no_key(run: Callable[..., Result], tmp_path: Path) -> None:
    result = run("ada", FAIRDROP_ENVIRONMENT="production", FAIRDROP_AUTH_JWKS_URL="https://issuer.example/keys")
    assert result.exit_code == 1
    assert result.stderr == ("Error: the local issuer is for development only: FAIRDROP_ENVIRONMENT is production\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("subject", ["", "x" * 129])
def test_a_subject_that_no_service_takes_is_refused(run: Callable[..., Result], subject: str) -> None:
    result = run(subject)
    assert result.exit_code == 2
    assert "1 to 128 characters" in result.stderr


def test_a_key_that_is_none_is_named(run: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "issuer.pem").write_text("no key")
    result = run("ada")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")


def test_nothing_but_the_token_is_on_stdout(run: Callable[..., Result]) -> None:
    assert jwt.decode(run("ada").stdout.strip(), options={"verify_signature": False})["sub"] == "ada"
