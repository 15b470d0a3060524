"""The app as when too many orders are under way: each further one is refused at the door."""

from flask import Flask

from app.http import GATE
from app.http.wsgi import create as create_usual


def create() -> Flask:
    """The app of this worker process. Nobody is ever let in, so nobody leaves, and it stays shut."""
    app = create_usual()
    app.extensions[GATE].turnstile.is_shut = True
    return app
