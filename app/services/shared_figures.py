"""The figures of all worker processes of one server: each writes its own into a folder of theirs, and whoever asks adds them up.

A process that is killed has told all but its last second; one that ends in good order has told everything.
"""

import logging
import os
import threading
import time
from pathlib import Path

import orjson
import psutil

from app.services.figures import Figures
from app.services.placement import Placement

_log = logging.getLogger(__name__)

TELL_SECONDS = 1.0

MAX_PROCESSES = 1_000
"""Files that are read: those of all workers that a server has ever had, since what the ended ones have counted still counts."""


class SharedFigures:
    """One process's figures, and everybody's."""

    def __init__(self, placement: Placement, folder: Path | None) -> None:
        """Without a folder there are no others."""
        self._placement = placement
        self._folder = folder
        self._lock = threading.Lock()
        self._told: bytes = b""
        self._pid = os.getpid()

    def start(self) -> None:
        """Tell the others every second, in a thread of its own, until the process ends."""
        if self._folder is not None:
            threading.Thread(target=self._tell_on, name="figures", daemon=True).start()

    def tell(self) -> None:
        """Write the figures as they are now; nothing when they are as told before."""
        if self._folder is None:
            return
        with self._lock:
            text = orjson.dumps(self._own())
            if text == self._told:
                return
            draft = self._folder / f"{self._pid}.draft"
            draft.write_bytes(text)
            draft.replace(self._folder / f"{self._pid}.json")
            self._told = text

    def everybody(self) -> Figures:
        """The sum over all processes; the others' up to a second old."""
        total = Figures()
        total.add(self._own(), is_alive=True)
        files = sorted(self._folder.glob("*.json"))[:MAX_PROCESSES] if self._folder is not None else []
        for file in files:
            if file.stem == str(self._pid):
                continue
            try:
                total.add(orjson.loads(file.read_bytes()), is_alive=psutil.pid_exists(int(file.stem)))
            except (OSError, KeyError, TypeError, ValueError):
                _log.warning("no figures in %s", file.name)
        return total

    def _own(self) -> dict[str, object]:
        self._placement.count_waiting()
        return self._placement.figures.as_json()

    def _tell_on(self) -> None:
        while True:
            try:
                self.tell()
            except OSError as error:
                _log.warning("the figures cannot be told: %s", error)
            time.sleep(TELL_SECONDS)
