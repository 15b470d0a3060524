"""The scenarios themselves, small: what does not depend on the machine's speed is kept, and nothing is left running."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest

from emulator import Emulators

SPEED_PROMISES = ("the first order within", "refused mostly from memory")
"""Figures of this machine at this moment: printed, and judged by whoever runs a scenario, not by a test."""

PATIENCE_SECONDS = 280


@pytest.fixture
def environment(emulators: Emulators, pubsub_emulator: Emulators) -> dict[str, str]:
    return {**os.environ, **emulators.environment, **pubsub_emulator.environment}


def play(environment: dict[str, str], state_dir: Path, *arguments: str) -> Any:
    """The JSON of a scenario; its exit code must say the same as its promises."""
    command = [sys.executable, "-m", "app.cli", "scenario", *arguments, "--state-dir", str(state_dir), "--json"]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )
    assert done.returncode in (0, 1), done.stderr
    found = orjson.loads(done.stdout)
    assert (done.returncode == 0) == found["kept"] == all(each["is_kept"] for each in found["promises"])
    broken = [each for each in found["promises"] if not each["is_kept"] and not each["name"].startswith(SPEED_PROMISES)]
    assert broken == [], done.stderr
    assert not [process for process in psutil.process_iter() if str(state_dir) in _variables(process)]
    return found


def _variables(process: psutil.Process) -> str:
    try:
        return process.environ().get("FAIRDROP_STATE_DIR", "")
    except psutil.Error:
        return ""


def test_phones_at_noon_are_sold_to_who_came_first_and_none_of_them_early(
    environment: dict[str, str], tmp_path: Path
) -> None:
    found = play(environment, tmp_path, "phones", "--buyers", "800", "--phones", "20")
    opening = found["opening"]
    assert opening["orders_before"] == 0
    assert opening["first_order_after_ms"] >= 0
    assert found["refusals"]["early_buyers"] > 0, "nobody was there before the opening"
    assert found["orders"]["PLACED"] == 20
    assert found["fairness"]["fair"] is True


def test_burgers_are_given_away_with_codes_that_hold_and_are_redeemed_once(
    environment: dict[str, str], tmp_path: Path
) -> None:
    found = play(environment, tmp_path, "burgers", "--burgers", "300", "--buyers", "400")
    assert found["placed"] == 300
    assert found["codes"] == {
        "orders": 300,
        "genuine": 300,
        "sample": 20,
        "redeemed": 20,
        "replayed": 20,
        "refused": 20,
    }
    cost, plan = found["cost"], found["plan"]["regional"]
    assert 4 <= cost["cost"]["rows_written"] < 7, (
        "an order, its event, its outbox row, an index entry, and the counter's share"
    )
    assert cost["cost"]["cpu_us"] > 0
    assert plan["orders_per_second"] == 10_000
    assert plan["processing_units"] % 1_000 == 0
    named = {check["name"]: check for check in found["audit"]["checks"]}
    assert named["a claim is redeemed once"]["figures"] == {"redemptions": 20, "redeemed_units": 20}


def test_a_lottery_is_entered_drawn_by_the_workers_paid_and_proven_by_its_record(
    environment: dict[str, str], tmp_path: Path
) -> None:
    found = play(environment, tmp_path, "lottery", "--entries", "250", "--stock", "12")
    assert found["late"]["refused"] == found["late"]["tried"] == 10
    entries, orders = found["entries"], found["orders"]
    assert entries["in_record"] == entries["entered"] - entries["withdrawn"] > 100
    assert sum(orders.values()) == entries["entered"]
    assert orders["PLACED"] == 12
    assert found["promoted"] >= orders.get("PAYMENT_FAILED", 0)
    assert found["draw"]["record"]["holds"]
    assert found["draw"]["forged"]["violation_count"] > 0
    assert found["draw"]["forged"]["head"] == found["draw"]["record"]["head"]
    named = {check["name"]: check for check in found["audit"]["checks"]}
    assert named["the draw is by the rule"]["figures"]["entered"] == 0
