"""The app with one address more, for a soak: how many greenlets its worker has."""

import gc

from flask import Flask, Response
from gevent import Greenlet

from app.http.wsgi import create as create_usual

GREENLETS_PATH = "/bench/greenlets"


def create() -> Flask:
    """The app of this worker process."""
    app = create_usual()

    @app.get(GREENLETS_PATH)
    def greenlets() -> Response:
        return Response(str(living_greenlets()), content_type="text/plain")

    return app


def living_greenlets() -> int:
    """How many have not ended. Nothing is collected for it: a soak that collects would not see what waits to be."""
    return sum(isinstance(each, Greenlet) and not each.dead for each in gc.get_objects())
