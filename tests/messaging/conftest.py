"""A Pub/Sub project of the module's own on the emulator, with every topic and subscription."""

import uuid

import pytest

from app.messaging.topics import ensure_topics
from emulator import Emulators


@pytest.fixture
def project(pubsub_emulator: Emulators) -> str:
    name = f"test-{uuid.uuid4().hex[:10]}"
    ensure_topics(name)
    return name
