"""The app as gunicorn loads it, with a turnstile that is shut while a file is there: as when too many orders are under way."""

import os
from pathlib import Path

from flask import Flask

from app.http import GATE
from app.http.wsgi import create as create_usual
from app.services.turnstile import Turnstile

VARIABLE = "TESTS_FULL_WHILE"


class ByFile(Turnstile):
    """Shut while the file is there."""

    _file = Path(os.environ.get(VARIABLE, "/nonexistent"))

    @property
    def is_shut(self) -> bool:  # type: ignore[override]  # an attribute there, for speed
        """By the file alone."""
        return self._file.exists()

    @is_shut.setter
    def is_shut(self, _value: bool) -> None:
        return


def create() -> Flask:
    """The app of this worker process."""
    app = create_usual()
    app.extensions[GATE].turnstile = ByFile(1_000, 10.0)
    return app
