"""A shop for the system tests: emulators of its own, both databases, topics, and every process of the service."""

import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.local.crew import Crew, crew, service_environment
from app.messaging.topics import ensure_topics
from app.services.audit.money import MoneySources
from app.services.audit.report import AuditReport, audit
from app.settings import Settings
from app.storage import schema
from app.storage.database import FairdropDatabase, connect
from emulator import Emulators, running

EVERY_FAULT = "--decline-rate 0.3 --timeout-rate 0.05 --lost-rate 0.05 --hold-seconds 2 --delay-ms 20"
"""A gateway that declines a third, and of whose answers a twentieth comes too late and a twentieth never."""


LAST_VOIDS_SECONDS = 90.0


@dataclass(frozen=True)
class Shop:
    """Everything that runs, and where."""

    team: Crew
    settings: Settings
    database: FairdropDatabase
    emulators: Emulators

    def audit(self, sale_id: str, *, settled: bool = False) -> AuditReport:
        """The audit with the money in it, but for a gateway that is not there. With `settled`, once the last voids are through."""
        book = self.team.addresses.gateway
        payments = connect(self.settings, self.settings.payments_database)
        money = MoneySources(payments, book, is_book_optional=not settled)
        give_up = time.monotonic() + LAST_VOIDS_SECONDS
        while True:
            report = audit(self.database, sale_id, money=money, settled=settled)
            if not (settled and report.broken) or time.monotonic() > give_up:
                return report
            time.sleep(1.0)


OpenShop = Callable[..., AbstractContextManager[Shop]]


def opener(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OpenShop:
    """What opens a shop for the length of a block: these processes, on emulators of their own."""

    @contextmanager
    def opened(
        *names: str,
        gateway_options: str = EVERY_FAULT,
        duplicate_share: float = 0.05,
        variables: Mapping[str, str] | None = None,
    ) -> Iterator[Shop]:
        with running(spanner=True, pubsub=True, fresh=True) as emulators:
            for name, value in emulators.environment.items():
                monkeypatch.setenv(name, value)
            mark = uuid.uuid4().hex[:8]
            settings = Settings(
                spanner_database=f"system-{mark}",
                payments_database=f"system-{mark}-pay",
                pubsub_project=f"system-{mark}",
                state_dir=tmp_path,
                lease_seconds=2.0,
            )
            schema.apply(settings, database_id=settings.spanner_database, folder=schema.SCHEMA_ROOT / "orders")
            schema.apply(settings, database_id=settings.payments_database, folder=schema.SCHEMA_ROOT / "payments")
            # A short deadline: what a killed worker had pulled comes again soon.
            ensure_topics(settings.broker_project, ack_deadline_seconds=10)
            environment, addresses = service_environment(
                settings, gateway_options=gateway_options, duplicate_share=duplicate_share
            )
            # Not into our own environment: the emulators would have them too.
            environment = {**os.environ, **environment, **(variables or {})}
            with crew(environment, addresses, tmp_path / "logs", *names) as team:
                yield Shop(team, settings, connect(settings), emulators)

    return opened
