"""The DDL files: which there are, and how their text falls into statements. No database here."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from app.storage.schema_errors import SchemaFolderInvalid

FILE_NAME = re.compile(r"(\d{4})_[a-z0-9_]{1,60}\.sql")
"""Four digits and a few words; the words and digits also name the operation on the server."""

_PIECES = re.compile(
    r"""
      (?P<comment> --[^\n]* | \#[^\n]* | /\*.*?\*/ )
    | (?P<quoted>  \"{3}(?:\\.|[^\\])*?\"{3} | '{3}(?:\\.|[^\\])*?'{3}
                 | "(?!"")(?:\\.|[^"\\\n])*" | '(?!'')(?:\\.|[^'\\\n])*' | `(?:\\.|[^`\\\n])*` )
    | (?P<open>    /\* | ["'`] )
    | (?P<end>     ; )
    | (?P<text>    . )
    """,
    re.DOTALL | re.VERBOSE,
)
"""GoogleSQL's comments and quotes: whatever looks like either inside the other is not one. In raw strings too, a backslash
keeps the quote after it from ending the string, so their prefix makes no difference here.
"""

_OBJECT = re.compile(
    r"(?:CREATE|ALTER|DROP)\s+(?:OR\s+REPLACE\s+|UNIQUE\s+|NULL_FILTERED\s+|SEARCH\s+|VECTOR\s+|CHANGE\s+)*"
    r"(\w+)\s+(?:IF\s+(?:NOT\s+)?EXISTS\s+)?`?([\w.]+)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class SchemaFile:
    """One file: its name (`0001_words.sql`), the SHA-256 of its text (with LF line ends) and its statements."""

    name: str
    sha256: str
    statements: tuple[str, ...]


def read_folder(folder: Path) -> list[SchemaFile]:
    """The folder's files in order. Raises SchemaFolderInvalid for none, a bad name, a number twice, or a file with no statement."""
    paths = sorted(folder.glob("*.sql"))
    if not paths:
        raise SchemaFolderInvalid(f"{folder} has no .sql files")
    numbers: dict[str, str] = {}
    for path in paths:
        match = FILE_NAME.fullmatch(path.name)
        if match is None:
            raise SchemaFolderInvalid(f"{path}: name it like 0001_orders_and_stock.sql")
        if match[1] in numbers:
            raise SchemaFolderInvalid(f"{path}: {numbers[match[1]]} has the same number")
        numbers[match[1]] = path.name
    return [_read(path) for path in paths]


def _read(path: Path) -> SchemaFile:
    try:
        text = path.read_text(encoding="utf-8")
        statements = split_statements(text)
    except ValueError as error:
        raise SchemaFolderInvalid(f"{path}: {error}") from error
    if not statements:
        raise SchemaFolderInvalid(f"{path}: no statement in it")
    return SchemaFile(path.name, hashlib.sha256(text.encode()).hexdigest(), tuple(statements))


def split_statements(text: str) -> list[str]:
    """The statements, without comments and the semicolons between them. Raises ValueError for an open quote or comment."""
    statements, current = [], ""
    for kind, piece in _pieces(text):
        if kind == "end":
            statements.append(current)
            current = ""
        else:
            # A comment parts two words as a space does.
            current += " " if kind == "comment" else piece
    return [statement.strip() for statement in [*statements, current] if statement.strip()]


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    for match in _PIECES.finditer(text):
        if match.lastgroup == "open":
            line = text.count("\n", 0, match.start()) + 1
            raise ValueError(f"line {line}: {match[0]} is not closed")
        yield str(match.lastgroup), match[0]


def title(statement: str) -> str:
    """How a message names a statement: its verb and object, or else its first line."""
    match = _OBJECT.search(statement)
    return re.sub(r"\s+", " ", match[0]) if match else statement.splitlines()[0][:80]


def named_in(statement: str, message: str) -> bool:
    """Whether a server's message quotes this statement or names its object."""
    if _flat(statement) in _flat(message):
        return True
    match = _OBJECT.search(statement)
    return match is not None and re.search(rf"\b{re.escape(match[2])}\b", message) is not None


def _flat(text: str) -> str:
    return " ".join(text.split())
