"""How long a draw takes and how much memory: entries are placed by the service's own transaction, and drawn by its own command."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from app.bench.measures import Figure, Say
from app.bench.stage import Stage
from app.bench.storing import store
from app.services import sales

BATCH_ENTRIES = 1_000
LOOK_SECONDS = 0.05
WINNERS_SHARE = 100
"""A unit for every so many entries, and as many places on the waitlist: most entries go home, as in a rush."""


@dataclass(frozen=True, slots=True)
class _Run:
    """A command that has ended: how long it took, and the most memory it had."""

    seconds: float
    peak_mb: float


def draw(stage: Stage, _rounds: int, say: Say) -> Iterator[Figure]:
    """The draw of `stage.entries` entries, its record's export and its verification, each a process of its own."""
    units = max(1, stage.entries // WINNERS_SHARE)
    sale_id = stage.new_sale(stock=units, waitlist_limit=units, policy="lottery")
    began = time.monotonic()
    store(stage, sale_id, stage.entries, BATCH_ENTRIES, "entries", say)
    yield Figure("entries taken, in batches of 1,000", stage.entries / (time.monotonic() - began), "entries/s")
    sales.close(stage.database, sale_id, "bench")
    record = stage.folder / "draw.jsonl"
    drawn = _fairdrop(stage, "draw", sale_id)
    yield Figure(f"draw of {stage.entries:,} entries", drawn.seconds, "s")
    yield Figure("entries drawn", stage.entries / drawn.seconds, "entries/s")
    yield Figure("peak memory of the draw", drawn.peak_mb, "MB", at_most=400)
    exported = _fairdrop(stage, "draw", sale_id, "--export", str(record))
    yield Figure("export of the record", exported.seconds, "s")
    yield Figure("size of the record", record.stat().st_size / 1e6, "MB")
    verified = _fairdrop(stage, "verify-draw", str(record))
    yield Figure("verification of the record", verified.seconds, "s")
    yield Figure("peak memory of the verification", verified.peak_mb, "MB", at_most=400)


def _fairdrop(stage: Stage, *arguments: str) -> _Run:
    """Run a command to its end; it must succeed."""
    command = [str(Path(sys.executable).with_name("fairdrop")), *arguments]
    environment = {**os.environ, **stage.environment()}
    began, peak = time.monotonic(), 0
    process = psutil.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    while process.poll() is None:
        # Looked at, for what the system keeps of a process that has ended counts its parent's memory as well.
        with suppress(psutil.Error):
            peak = max(peak, process.memory_info().rss)
        time.sleep(LOOK_SECONDS)
    if process.returncode != 0:
        raise RuntimeError(f"fairdrop {' '.join(arguments)} ended with {process.returncode}")
    return _Run(time.monotonic() - began, peak / 1e6)
