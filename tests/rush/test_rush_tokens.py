import pickle
from pathlib import Path

import jwt
import pytest

from app.http.local_issuer import LocalIssuer
from app.rush.local_tokens import LocalTokens
from app.rush.tokens import FileTokens, TokensError
from app.settings import Settings


def tokens_in(folder: Path, text: str) -> FileTokens:
    path = folder / "tokens.tsv"
    path.write_text(text)
    return FileTokens(path)


def test_a_file_has_one_customer_and_token_a_line_in_any_order_of_asking(tmp_path: Path) -> None:
    tokens = tokens_in(tmp_path, "ann\tabc.def\nbob\tghi\r\nzoé\tjkl")
    assert [tokens.token(index) for index in (2, 0, 1)] == [("zoé", "jkl"), ("ann", "abc.def"), ("bob", "ghi")]


def test_too_few_tokens_are_told(tmp_path: Path) -> None:
    with pytest.raises(TokensError, match="has 1 tokens, too few for buyer 1"):
        tokens_in(tmp_path, "ann\tabc\n").token(1)


@pytest.mark.parametrize("line", ["ann abc", "ann\t", "\tabc", "ann\ta b", "ann\ta\x01b", "ann\ta\tb", "ann\tü"])
def test_a_malformed_line_is_told_by_its_number(tmp_path: Path, line: str) -> None:
    with pytest.raises(TokensError, match="line 2"):
        tokens_in(tmp_path, f"ann\tabc\n{line}\n").token(1)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(TokensError, match="No such file"):
        FileTokens(tmp_path / "nothing").token(0)


def test_local_tokens_are_the_local_issuers_and_made_in_another_process(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)
    customer, token = pickle.loads(pickle.dumps(LocalTokens(settings))).token(123)
    key = LocalIssuer.load(settings).get_signing_key_from_jwt(token)
    claims = jwt.decode(token, key, ["RS256"], audience=settings.auth_audience, issuer=settings.auth_issuer)
    assert customer == claims["sub"] == "buyer-0000123"
