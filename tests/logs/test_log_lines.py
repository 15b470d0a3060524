"""Log lines as Cloud Logging reads them, with the trace of the request at hand and without a secret."""

import json
import logging
import sys
from typing import Any

import pytest
from flask import Flask
from gunicorn.config import Config

from app.http.server_log import ServerLog
from app.http.traces import current_trace
from app.logs import JsonLines, TextLines, Trace, line_format, without_secrets
from app.settings import Settings

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def record(message: str, *args: object, level: int = logging.WARNING, **more: Any) -> logging.LogRecord:
    return logging.LogRecord("app.services.lane", level, __file__, 1, message, args, more.get("exc_info"))


def line(message: str, *args: object, trace: Trace | None = None, **more: Any) -> dict[str, Any]:
    text = JsonLines("shop", lambda: trace).format(record(message, *args, **more))
    assert "\n" not in text
    parsed: dict[str, Any] = json.loads(text)
    return parsed


def test_a_line_has_severity_message_time_and_logger() -> None:
    found = line("%d orders wait", 3)
    assert found["severity"] == "WARNING"
    assert found["message"] == "3 orders wait"
    assert found["logger"] == "app.services.lane"
    assert found["time"].endswith("+00:00")
    assert set(found) == {"severity", "message", "time", "logger"}


def test_a_traceback_and_a_line_break_stay_on_one_line() -> None:
    try:
        int("no\nnumber")
    except ValueError:
        found = line("failed", exc_info=sys.exc_info())
    assert found["message"].startswith("failed\nTraceback")
    assert "ValueError: invalid literal" in found["message"]
    assert line("two\nlines")["message"] == "two\nlines"


def test_half_a_character_from_a_client_is_still_a_line() -> None:
    assert line("from %s", "\ud800")["message"] == "from ?"


def test_a_line_names_the_trace_of_its_request() -> None:
    found = line("slow", trace=Trace(TRACE, SPAN))
    assert found["logging.googleapis.com/trace"] == f"projects/shop/traces/{TRACE}"
    assert found["logging.googleapis.com/spanId"] == SPAN


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"traceparent": f"00-{TRACE}-{SPAN}-01"}, Trace(TRACE, SPAN)),
        ({"X-Cloud-Trace-Context": f"{TRACE}/{int(SPAN, 16)};o=1"}, Trace(TRACE, SPAN)),
        ({"X-Cloud-Trace-Context": f"{TRACE.upper()}/1"}, Trace(TRACE, "0000000000000001")),
        ({"traceparent": "nonsense", "X-Cloud-Trace-Context": f"{TRACE}/1"}, Trace(TRACE, "0000000000000001")),
        ({"traceparent": f"00-{'0' * 32}-{SPAN}-01"}, None),
        ({"traceparent": f"00-{TRACE}/../other-{SPAN}-01"}, None),
        ({"X-Cloud-Trace-Context": f"{TRACE}/{2**64}"}, None),
        ({}, None),
    ],
)
def test_the_trace_is_read_from_either_header(headers: dict[str, str], expected: Trace | None) -> None:
    with Flask("test").test_request_context(headers=headers):
        assert current_trace() == expected


def test_there_is_no_trace_without_a_request() -> None:
    assert current_trace() is None


@pytest.mark.parametrize(
    "secret",
    [
        "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhIn0.c2ln",
        "tok_visa",
        "pm_1QabcXYZ",
        "card_1NvXyzAbCdEfGhIj",
        "sk_live_51Habc",
        "whsec_abc123",
    ],
)
def test_no_line_carries_a_token_a_payment_method_or_a_key(secret: str) -> None:
    for lines in (JsonLines("shop"), TextLines()):
        assert secret not in lines.format(record("refused: %r", {"Authorization": f"Bearer {secret}", "m": secret}))
    assert without_secrets("Bearer opaque-token, and more") == "Bearer [removed], and more"


def test_what_is_no_secret_stays() -> None:
    text = "order 6e2c1c1e-8f43-5c1f-9d7e-0a1b2c3d4e5f of sale iphone-11: hold_seconds 600, stock_shards 4; declined: card_declined"
    assert without_secrets(text) == text


@pytest.mark.parametrize(
    ("environment", "wanted", "is_json"),
    [
        ("production", "", True),
        ("development", "", False),
        ("development", "json", True),
        ("production", "text", False),
    ],
)
def test_the_setting_chooses_and_production_logs_json_by_itself(environment: str, wanted: str, is_json: bool) -> None:
    settings = Settings.model_validate(
        {"environment": environment, "log_format": wanted, "auth_jwks_url": "https://issuer.example/keys"}
    )
    assert isinstance(line_format(settings), JsonLines) is is_json


def test_gunicorn_s_own_log_is_in_the_same_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FAIRDROP_LOG_FORMAT", "json")
    ServerLog(Config()).error("Worker (pid:%s) was sent SIGKILL!", 7)
    found = json.loads(capsys.readouterr().err)
    assert (found["severity"], found["message"]) == ("ERROR", "Worker (pid:7) was sent SIGKILL!")
