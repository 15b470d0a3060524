"""docs/errors.md lists every problem that app/http/problems.py can answer with, as it answers."""

import dataclasses
import inspect
import types
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

import orjson
import pytest
from flask import Flask

from app.domain import errors
from app.http.problems import HTTP_PROBLEMS, INTERNAL, PROBLEMS, TYPE_PREFIX, ProblemType, error_response

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "errors.md").read_text()
COMMON = {"type", "title", "status", "detail"}


def rows(heading: str) -> dict[str, list[str]]:
    """The table under a heading: the cells of each row, by the row's type."""
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:2] == "| "]
    return {row[0].strip("`"): row[1:] for row in cells[1:]}


OURS = rows("Problems of the service")
PROTOCOL = rows("Problems of the protocol")

SAMPLES: dict[type, Any] = {str: "x", int: 1, float: 1.0, datetime: datetime(2026, 11, 24, tzinfo=UTC)}


def sample(kind: type[Exception]) -> Exception:
    """An error of this kind, with any facts that fit its fields."""
    if dataclasses.is_dataclass(kind):
        hints = get_type_hints(kind)
    else:
        signature = inspect.signature(kind.__init__)
        if "args" in signature.parameters:
            return kind()
        hints = {name: hint for name, hint in get_type_hints(kind.__init__).items() if name != "return"}
    return kind(**{name: SAMPLES[plain(hint)] for name, hint in hints.items()})


def plain(hint: Any) -> type:
    """The type of a hint that may also be None."""
    if get_origin(hint) in (Union, types.UnionType):
        (hint,) = [choice for choice in get_args(hint) if choice is not type(None)]
    found: type = hint
    return found


def test_the_page_lists_exactly_the_problems_of_the_table_each_with_its_status() -> None:
    assert {name: int(row[0]) for name, row in OURS.items()} == {kind.name: kind.status for kind in PROBLEMS.values()}


def test_the_page_lists_exactly_the_problems_of_the_protocol() -> None:
    expected = {name: str(status) for status, (name, _) in HTTP_PROBLEMS.items()}
    assert {name: row[0] for name, row in PROTOCOL.items()} == {
        **expected,
        INTERNAL[0]: "500",
        "http-error": "any other",
    }


def test_the_page_names_the_prefix_of_the_types() -> None:
    assert f"`{TYPE_PREFIX}`" in PAGE


@pytest.mark.parametrize(("error", "kind"), [*PROBLEMS.items()], ids=[kind.name for kind in PROBLEMS.values()])
def test_the_page_names_the_members_and_the_headers_of_the_answer(error: type[Exception], kind: ProblemType) -> None:
    with Flask("documented").test_request_context():
        response = error_response(sample(error))
    _status, members, retry_after, when = OURS[kind.name]
    body = orjson.loads(response.get_data())
    assert [name.strip("`") for name in members.split(", ") if name] == [name for name in body if name not in COMMON]
    assert retry_after == ("yes" if "Retry-After" in response.headers else "no")
    assert len(when.split()) >= 3


def is_an_error(thing: Any) -> bool:
    return inspect.isclass(thing) and issubclass(thing, errors.FairdropError) and thing is not errors.FairdropError


@pytest.mark.parametrize("kind", [kind for _, kind in inspect.getmembers(errors, is_an_error)])
def test_every_error_of_the_domain_has_a_problem(kind: type[Exception]) -> None:
    assert kind in PROBLEMS


PROMISES: dict[str, Callable[[ProblemType], bool]] = {
    "a 503 may be tried again": lambda kind: kind.status != 503 or kind.retry_after_seconds is not None,
    "a title is a few words": lambda kind: 1 < len(kind.title.split()) < 7,
}


@pytest.mark.parametrize("promise", PROMISES)
def test_every_problem_keeps_what_the_page_promises_of_all(promise: str) -> None:
    broken = [kind.name for kind in PROBLEMS.values() if not PROMISES[promise](kind)]
    assert broken == []
