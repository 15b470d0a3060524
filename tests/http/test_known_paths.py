"""What was asked for before is found again without a search, and nothing else is."""

import pytest
from flask import request

from app.http import framework
from app.http.framework import LeanFlask


@pytest.fixture
def app() -> LeanFlask:
    app = LeanFlask("known-paths", static_folder=None)

    @app.get("/things/<name>")
    def show(name: str) -> str:
        return f"shown {name}"

    @app.post("/things/<name>")
    def change(name: str) -> str:
        return f"changed {name}"

    return app


def test_the_second_to_ask_gets_the_same_view_with_the_same_arguments(app: LeanFlask) -> None:
    client = app.test_client()
    for _ in range(2):
        assert client.get("/things/one").text == "shown one"
        assert client.get("/things/two").text == "shown two"
        assert client.post("/things/one").text == "changed one"
    assert len(app.known_paths) == 3


def test_a_query_and_an_escape_name_the_same_path(app: LeanFlask) -> None:
    client = app.test_client()
    for path in ("/things/one?size=2", "/things/%6fne", "/things/one"):
        assert client.get(path).text == "shown one"
    assert len(app.known_paths) == 1


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/others", 404), ("DELETE", "/things/one", 405)])
def test_what_is_not_there_is_not_there_the_second_time_either(
    method: str, path: str, status: int, app: LeanFlask
) -> None:
    client = app.test_client()
    assert client.get("/things/one").status_code == 200
    for _ in range(2):
        assert client.open(path, method=method).status_code == status
    assert list(app.known_paths) == [("GET", "/things/one")]


def test_a_view_that_changes_its_arguments_changes_nobody_elses(app: LeanFlask) -> None:
    @app.before_request
    def rename() -> None:
        assert request.view_args == {"name": "one"}
        request.view_args["name"] = "another"

    client = app.test_client()
    for _ in range(3):
        assert client.get("/things/one").text == "shown another"


def test_no_crowd_of_paths_fills_the_memory(app: LeanFlask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(framework, "KNOWN_PATHS", 10)
    client = app.test_client()
    for number in range(35):
        assert client.get(f"/things/{number}").text == f"shown {number}"
        assert len(app.known_paths) <= 10
