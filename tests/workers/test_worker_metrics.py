"""A worker's figures can be scraped: poison among them."""

import os
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path

from app.local.children import child, free_port
from app.messaging.events import PAYMENTS_SOURCE
from app.messaging.publisher import Publisher
from app.messaging.topics import PAYMENT_EVENTS, ensure_topics
from app.settings import Settings
from app.storage.database import FairdropDatabase
from app.workers.metrics import outbox_reading
from emulator import Emulators

PATIENCE_SECONDS = 60.0


def scraped(port: int) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    return {name: float(value) for name, value in (line.split() for line in lines if not line.startswith("#"))}


def test_a_dead_letter_shows_in_the_settlement_worker_s_metrics(
    settings: Settings, pubsub_emulator: Emulators, tmp_path: Path
) -> None:
    project, port = f"metrics-{uuid.uuid4().hex[:8]}", free_port()
    ensure_topics(project)
    publisher = Publisher(project, PAYMENT_EVENTS.topic, PAYMENTS_SOURCE)
    publisher.publish_raw(b"not an event", {})
    environment = {
        **os.environ,
        "FAIRDROP_SPANNER_PROJECT": settings.spanner_project,
        "FAIRDROP_SPANNER_INSTANCE": settings.spanner_instance,
        "FAIRDROP_SPANNER_DATABASE": settings.spanner_database,
        "FAIRDROP_PUBSUB_PROJECT": project,
        "FAIRDROP_METRICS_PORT": str(port),
    }
    with child(
        "settlement", [sys.executable, "-m", "app.cli", "work", "settlement"], environment, tmp_path / "log"
    ) as worker:
        give_up = time.monotonic() + PATIENCE_SECONDS
        seen: dict[str, float] = {}
        # Counted one after the other: a look may fall in between.
        while (
            not seen.get("fairdrop_dead_letters_total") == seen.get("fairdrop_messages_handled_total") == 1
            and time.monotonic() < give_up
        ):
            worker.check()
            time.sleep(0.2)
            try:
                seen = scraped(port)
            except (urllib.error.URLError, OSError):
                continue
    assert seen["fairdrop_dead_letters_total"] == 1
    assert seen["fairdrop_messages_handled_total"] == 1


def test_the_outbox_is_looked_at_by_a_worker_whose_metrics_somebody_may_ask_for(
    settings: Settings, database: FairdropDatabase
) -> None:
    stop = threading.Event()
    silent = outbox_reading(settings, database, stop)
    shown = outbox_reading(settings.model_copy(update={"metrics_port": free_port()}), database, stop)
    give_up = time.monotonic() + PATIENCE_SECONDS
    # The look is at the database of a second ago: another begins when there was none yet.
    while shown.read() is None and time.monotonic() < give_up:
        time.sleep(0.05)
    stop.set()
    assert (shown.name, shown.read(), silent.read()) == ("outbox_oldest_seconds", 0.0, None)
