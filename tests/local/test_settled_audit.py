"""The audit at the end of a demo, a scenario or a chaos run: what it came to stands, whatever becomes of the record of it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest

from app.domain.errors import StorageUnavailable
from app.local import settling
from app.services.audit.money import MoneySources
from app.services.audit.report import AuditReport, Compared
from app.storage.database import FairdropDatabase


def test_a_verdict_that_cannot_be_kept_for_the_console_is_said_and_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    report = AuditReport("phone", datetime(2026, 11, 27, 12, tzinfo=UTC), 2, 0.1, [], Compared(True, True, True, True))

    def away(*_arguments: object) -> None:
        raise StorageUnavailable("the database does not answer", 1)

    monkeypatch.setattr(settling, "audit", lambda *_arguments, **_options: report)
    monkeypatch.setattr(settling, "keep_verdict", away)
    database = cast(FairdropDatabase, object())
    said: list[str] = []
    money = MoneySources(database, "http://127.0.0.1:9")
    assert settling.settled_audit(database, "phone", Path("answers"), money, "fairdrop demo", said.append) is report
    assert said == ["the verdict is not kept for the console: the database does not answer"]
