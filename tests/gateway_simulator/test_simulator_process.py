"""The simulator as people run it: `fairdrop gateway`, over HTTP, with its faults, and killed."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import urllib3
from click.testing import CliRunner

from app.cli.main import fairdrop
from tests.gateway_simulator.simulator_process import Simulator

HELD_SECONDS = 30.0


def body(order_id: str = "order-1", **changes: Any) -> dict[str, Any]:
    return {"order_id": order_id, "payment_method": "tok_visa", "amount_minor": 49_900, "currency": "EUR", **changes}


def test_an_authorization_is_captured_and_refunded_over_http(simulator: Simulator) -> None:
    simulator.start()
    status, answer = simulator.post("/authorizations", body(), "a")
    assert status == 201
    path = f"/authorizations/{answer['authorization_id']}"
    money = {"amount_minor": 49_900, "currency": "EUR"}
    assert simulator.post(path + "/capture", money, "c") == (201, answer)
    assert simulator.post(path + "/void", money, "v") == (402, {"reason": "is_captured"})
    assert simulator.post(path + "/refund", money, "r") == (201, answer)
    assert simulator.book()["order-1"]["state"] == "refunded"


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (body(amount_minor=0), "invalid_amount_minor"),
        (body(amount_minor=-5), "invalid_amount_minor"),
        (body(amount_minor="49900"), "invalid_amount_minor"),
        (body(currency="euro"), "invalid_currency"),
        (body(order_id=""), "invalid_order_id"),
        (body(colour="red"), "invalid_colour"),
        ([], "invalid_body"),
    ],
)
def test_a_body_that_breaks_a_rule_is_refused_by_the_field_s_name(
    started: Simulator, sent: object, reason: str
) -> None:
    assert started.post("/authorizations", sent) == (422, {"reason": reason})


@pytest.mark.parametrize("key", [None, "k" * 256])
def test_without_a_usable_key_nothing_is_done(started: Simulator, key: str | None) -> None:
    assert started.post("/authorizations", body("no-key"), key) == (422, {"reason": "idempotency_key_missing"})
    assert "no-key" not in started.book()


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Any:
    process = Simulator(tmp_path_factory.mktemp("simulator")).start()
    yield process
    process.stop()


def test_a_lost_answer_was_charged_and_the_same_key_learns_it_later(simulator: Simulator) -> None:
    simulator.start(lost_rate=1.0)
    with pytest.raises(urllib3.exceptions.HTTPError):
        simulator.post("/authorizations", body(), "a")
    assert simulator.book()["order-1"]["state"] == "authorized"
    simulator.stop()
    simulator.start()
    status, answer = simulator.post("/authorizations", body(), "a")
    assert (status, answer["authorization_id"]) == (201, simulator.book()["order-1"]["authorization_id"])


def test_a_held_answer_is_charged_at_once_and_the_answer_comes_too_late(simulator: Simulator) -> None:
    simulator.start(timeout_rate=1.0, hold_seconds=HELD_SECONDS)
    impatient = urllib3.PoolManager(retries=False, timeout=0.5)
    began = time.monotonic()
    with pytest.raises(urllib3.exceptions.TimeoutError):
        impatient.request("POST", simulator.url + "/authorizations", json=body(), headers={"Idempotency-Key": "a"})
    assert simulator.book()["order-1"]["state"] == "authorized"
    assert time.monotonic() - began < HELD_SECONDS


def test_a_failed_try_has_done_nothing(simulator: Simulator) -> None:
    simulator.start(error_rate=1.0)
    assert simulator.post("/authorizations", body()) == (503, {"reason": "out_of_order"})
    assert simulator.book() == {}


def test_it_behaves_otherwise_when_it_is_told_to_and_as_it_was_started_when_it_is_told_nothing(
    simulator: Simulator,
) -> None:
    simulator.start(error_rate=1.0)
    assert simulator.behave() == 200
    assert simulator.post("/authorizations", body(), "a")[0] == 503
    assert simulator.behave(garbled_rate=1.0) == 200
    with pytest.raises(ValueError, match="Expecting value"):
        simulator.post("/authorizations", body(), "a")
    assert simulator.book()["order-1"]["state"] == "authorized"
    assert simulator.behave(lost_rate=0.6, garbled_rate=0.6) == 422
    assert simulator.behave(decline_rate=0.5) == 422
    assert simulator.behave() == 200
    assert simulator.post("/authorizations", body(), "b")[0] == 503


def test_kill_9_forgets_nothing_that_was_answered(simulator: Simulator) -> None:
    simulator.start()

    def charge(number: int) -> str | None:
        try:
            status, answer = simulator.post("/authorizations", body(f"order-{number}"), f"key-{number}")
        except urllib3.exceptions.HTTPError:
            return None
        if number == 150:
            simulator.kill()
        return str(answer["authorization_id"]) if status == 201 else None

    with ThreadPoolExecutor(8) as threads:
        answered = list(threads.map(charge, range(400)))
    assert None in answered
    simulator.start()
    book = simulator.book()
    for number, name in enumerate(answered):
        assert name is None or book[f"order-{number}"]["authorization_id"] == name


def test_sigterm_ends_it_with_exit_code_0(simulator: Simulator) -> None:
    assert simulator.start().stop() == 0


@pytest.mark.parametrize(
    ("arguments", "environment", "exit_code", "said"),
    [
        ([], {"FAIRDROP_ENVIRONMENT": "production", "FAIRDROP_AUTH_JWKS_URL": "https://x"}, 1, "only for development"),
        (["--lost-rate", "0.6", "--timeout-rate", "0.6"], {}, 2, "more than 1"),
        (["--garbled-rate", "0.6", "--error-rate", "0.6"], {}, 2, "more than 1"),
        (["--decline-rate", "2"], {}, 2, "decline-rate"),
    ],
)
def test_what_cannot_be_simulated_is_refused(
    tmp_path: Path, arguments: list[str], environment: dict[str, str], exit_code: int, said: str
) -> None:
    result = CliRunner().invoke(fairdrop, ["gateway", "--book", str(tmp_path / "book"), *arguments], env=environment)
    assert result.exit_code == exit_code
    assert said in result.output
