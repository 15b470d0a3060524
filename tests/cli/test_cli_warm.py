"""`fairdrop warm`: against a service that is there, and against what is not."""

import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import Result
from werkzeug.serving import make_server

from app.http.app import create_app
from app.local.children import free_port
from app.local.warming import NO_ANSWER, Answered, judged
from app.settings import Settings

Run = Callable[..., Result]

BRIEFLY = ("--seconds", "1", "--connections", "4")


@pytest.fixture(scope="module")
def url(settings: Settings) -> Iterator[str]:
    """A service on the module's database."""
    server = make_server("127.0.0.1", 0, create_app(settings), threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()


@pytest.fixture
def phones(run: Run) -> str:
    sale_id = f"phones-{uuid.uuid4().hex[:8]}"
    terms = ["--stock", "1000", "--unit-price-minor", "0", "--currency", "EUR"]
    result = run("sale", "create", sale_id, "--name", "Phones", *terms, "--opens-at", "now+2d", "--lasts", "2h")
    assert result.exit_code == 0, result.output
    return sale_id


def test_a_service_that_answers_is_warm(run_json: Callable[..., Any], phones: str, url: str) -> None:
    warmth = run_json("warm", phones, "--url", url, *BRIEFLY)
    assert set(warmth["answers"]) == {"200"}
    assert warmth["warm_failures"] == 0
    assert warmth["warm"]["count"] > 0
    assert "emulator" in warmth["split_points"]


def test_a_service_that_does_not_know_the_sale_is_not_warm(run: Run, url: str) -> None:
    result = run("warm", "nothing", "--url", url, "--no-split", *BRIEFLY)
    assert result.exit_code == 1
    assert "404" in result.stdout
    assert "left alone" in result.stdout


def test_where_nobody_listens_nothing_is_warm(run: Run, phones: str) -> None:
    result = run("warm", phones, "--url", f"http://127.0.0.1:{free_port()}", *BRIEFLY)
    assert result.exit_code == 1
    assert NO_ANSWER in result.stdout


def test_a_closed_sale_is_not_warmed(run: Run, phones: str) -> None:
    run("sale", "close", phones, "--yes")
    result = run("warm", phones, *BRIEFLY)
    assert (result.exit_code, result.stderr) == (1, f"Error: sale {phones!r} is closed\n")


def test_only_what_fails_at_the_end_keeps_a_service_cold() -> None:
    answers = [Answered(0.1, 900.0, NO_ANSWER), Answered(0.2, 800.0, "503"), Answered(3.5, 2.0, "200")]
    warmth = judged(answers, 4.0)
    assert (warmth.warm_failures, warmth.cold.count, warmth.warm.p99_ms) == (0, 2, 2.0)
    assert judged([*answers, Answered(3.9, 5.0, "503")], 4.0).warm_failures == 1
