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
        gc.collect()
        return Response(str(sum(isinstance(each, Greenlet) for each in gc.get_objects())), content_type="text/plain")

    return app
