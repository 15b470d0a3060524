"""The Flask app of one process."""

from flask import Flask

from app.http.admin import admin_blueprint
from app.http.api import Api
from app.http.orders import orders_blueprint
from app.http.problems import install
from app.http.sales import sales_blueprint
from app.http.service import service_blueprint
from app.http.tokens import TokenVerifier
from app.services.concurrency import Concurrency, Threads
from app.services.placement import Placement
from app.settings import Settings
from app.storage.database import connect


def create_app(settings: Settings, concurrency: Concurrency | None = None) -> Flask:
    """The app, with its own database handle, lanes and caches. Under gunicorn: made in the worker, after the fork.

    Requests are threads unless `concurrency` says otherwise.
    """
    app = Flask("fairdrop", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
    # An address with a slash too many is another address: a redirect would turn a POST into a GET.
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    database = connect(settings)
    concurrency = concurrency or Threads()
    api = Api(settings, database, Placement(database, settings, concurrency), TokenVerifier(settings), concurrency)
    for blueprint in (orders_blueprint(api), sales_blueprint(api), admin_blueprint(api), service_blueprint(api)):
        app.register_blueprint(blueprint)
    install(app)

    return app
