import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.storage.schema import SCHEMA_ROOT
from app.storage.schema_errors import SchemaFolderInvalid
from app.storage.schema_files import named_in, read_folder, split_statements, title


@pytest.mark.parametrize(
    ("text", "statements"),
    [
        ("CREATE TABLE A (B INT64) PRIMARY KEY (B)", ["CREATE TABLE A (B INT64) PRIMARY KEY (B)"]),
        ("ONE; TWO;", ["ONE", "TWO"]),
        ("ONE;;\n ; TWO", ["ONE", "TWO"]),
        ("ONE -- not ; a statement\nMORE; TWO", ["ONE  \nMORE", "TWO"]),
        ("ONE # nor ; this\nMORE; TWO", ["ONE  \nMORE", "TWO"]),
        ("ONE /* nor\n; that */ MORE; TWO", ["ONE   MORE", "TWO"]),
        ("A 'x;y'; B", ["A 'x;y'", "B"]),
        ("A 'it\\'s; --'; B", ["A 'it\\'s; --'", "B"]),
        ('A "/* ; "; B', ['A "/* ; "', "B"]),
        ('A """x"\n;""" C; B', ['A """x"\n;""" C', "B"]),
        ("A '''x'\n;''' C; B", ["A '''x'\n;''' C", "B"]),
        ("A '' ; B", ["A ''", "B"]),
        ("A r'\\'; B'; C", ["A r'\\'; B'", "C"]),
        ("A `odd;name`; B", ["A `odd;name`", "B"]),
        ("-- it's only a comment\n", []),
        ("A - -1; B", ["A - -1", "B"]),
        ("A/*x*/B", ["A B"]),
    ],
)
def test_a_file_falls_into_its_statements(text: str, statements: list[str]) -> None:
    assert split_statements(text) == statements


@pytest.mark.parametrize("text", ["A 'open;\nB", 'A "open', 'A """open"', "A `open", "A;\nB /* open ;"])
def test_an_open_quote_or_comment_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(ValueError, match=r"line \d: .* is not closed"):
        split_statements(text)


_words = st.text("ABC xyz()\n,'", min_size=1).map(lambda text: text.replace("'", "")).filter(str.strip)
_quoted = st.tuples(st.sampled_from(["'", '"', "`"]), st.text("ab;-#/* \\'\"`")).map(
    lambda pair: pair[0] + pair[1].replace("\\", "\\\\").replace(pair[0], "\\" + pair[0]) + pair[0]
)
_statements = st.lists(st.lists(st.one_of(_words, _quoted), min_size=1).map(" ".join), min_size=1)


@given(_statements, st.sampled_from(["", " -- c;'\n", '/* ;" */', "# `;\n"]))
def test_whatever_is_quoted_or_commented_parts_no_statement(statements: list[str], comment: str) -> None:
    text = ";".join(f"{comment}{statement}" for statement in statements)
    assert split_statements(text) == [statement.strip() for statement in statements]


def test_a_file_is_known_by_the_hash_of_its_text(tmp_path: Path) -> None:
    text = "CREATE TABLE A (B INT64) PRIMARY KEY (B); -- é\n"
    (tmp_path / "0001_a.sql").write_text(text, encoding="utf-8")
    [file] = read_folder(tmp_path)
    assert file.sha256 == hashlib.sha256(text.encode()).hexdigest()
    (tmp_path / "0001_a.sql").write_bytes(text.replace("\n", "\r\n").encode())
    assert read_folder(tmp_path) == [file]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "has no .sql files"),
        (["1_a.sql"], "name it like"),
        (["0001_A.sql"], "name it like"),
        (["0001_a.sql", "0001_b.sql"], "0001_a.sql has the same number"),
    ],
)
def test_a_folder_of_other_names_is_refused(tmp_path: Path, names: list[str], message: str) -> None:
    for name in names:
        (tmp_path / name).write_text("A")
    with pytest.raises(SchemaFolderInvalid, match=message):
        read_folder(tmp_path)


@pytest.mark.parametrize(("text", "message"), [("-- nothing\n", "no statement"), ("A 'x", "line 1: ' is not closed")])
def test_a_file_without_whole_statements_is_refused_by_name(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "0001_a.sql").write_text(text)
    with pytest.raises(SchemaFolderInvalid, match=f"0001_a.sql: {message}"):
        read_folder(tmp_path)


def test_every_schema_folder_of_the_repository_can_be_read() -> None:
    folders = [path for path in SCHEMA_ROOT.iterdir() if path.is_dir()]
    assert SCHEMA_ROOT / "orders" in folders
    for folder in folders:
        assert all(file.statements for file in read_folder(folder))


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("CREATE TABLE IF NOT EXISTS Orders (\n  A INT64\n)", "CREATE TABLE IF NOT EXISTS Orders"),
        ("CREATE  NULL_FILTERED INDEX\nByDue ON Orders (A)", "CREATE NULL_FILTERED INDEX ByDue"),
        ("ALTER TABLE Orders ADD COLUMN B INT64", "ALTER TABLE Orders"),
        ("GRANT SELECT ON TABLE Orders TO ROLE r", "GRANT SELECT ON TABLE Orders TO ROLE r"),
    ],
)
def test_a_message_names_a_statement_shortly(statement: str, name: str) -> None:
    assert title(statement) == name


def test_a_servers_message_is_traced_to_the_statement_it_quotes_or_names() -> None:
    statement = "CREATE TABLE Orders (\n  A INT65\n)"
    assert named_in(statement, "Error parsing Spanner DDL statement: CREATE TABLE Orders ( A INT65 ) : no such type")
    assert named_in(statement, "Duplicate name in schema: Orders.")
    assert not named_in(statement, "Duplicate name in schema: OrdersByDueAt.")
