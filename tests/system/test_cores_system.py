"""Workers that keep to a core of their own."""

import os
import signal
from pathlib import Path

import psutil
import pytest
from system_service import Service, service, until

from app.cores import available
from app.settings import Settings
from emulator import Emulators

pytestmark = pytest.mark.skipif(len(available()) < 2, reason="needs two cores")


def cores(started: Service, without: int = 0) -> list[list[int]]:
    """Of each worker; none while that one is still there."""
    workers = psutil.Process(started.server.pid).children()
    return [] if without in [worker.pid for worker in workers] else sorted(worker.cpu_affinity() for worker in workers)


def test_each_worker_keeps_to_its_own_core_and_so_does_who_takes_a_dead_one_s_place(
    emulators: Emulators, settings: Settings, tmp_path: Path
) -> None:
    own = [[core] for core in sorted(available())[:2]]
    with service(
        settings, emulators.environment, tmp_path / "service.log", workers=2, FAIRDROP_PIN_WORKERS="true"
    ) as started:
        until(lambda: cores(started) == own)
        for number in range(2):
            dead = psutil.Process(started.server.pid).children()[number].pid
            os.kill(dead, signal.SIGKILL)
            until(lambda dead=dead: cores(started, without=dead) == own)


def test_unless_told_so_workers_use_every_core(emulators: Emulators, settings: Settings, tmp_path: Path) -> None:
    with service(settings, emulators.environment, tmp_path / "service.log", workers=2) as started:
        until(lambda: cores(started) == [sorted(available())] * 2)
