"""The Flask app of one process."""

from pathlib import Path

from flask import Flask

from app.http import GATE, ON_EXIT
from app.http.admin import admin_blueprint
from app.http.api import Api
from app.http.console import console_blueprint
from app.http.framework import LeanFlask
from app.http.local_sign_in import has_local_sign_in, local_sign_in_blueprint
from app.http.metrics import metrics_blueprint
from app.http.orders import orders_blueprint
from app.http.outcomes import outcomes_blueprint
from app.http.pages import pages_blueprint
from app.http.problems import install
from app.http.rate_limits import customer_limit, limit_addresses
from app.http.redemptions import redemptions_blueprint
from app.http.reports import reports_blueprint
from app.http.sales import sales_blueprint
from app.http.service import service_blueprint
from app.http.tokens import TokenVerifier
from app.http.traces import trace_requests
from app.services.cancelling import Cancelling
from app.services.claim_keys import ClaimKeys
from app.services.concurrency import Concurrency, Threads
from app.services.console import ConsoleFeed
from app.services.dead_letters import DeadLetterBox
from app.services.outcomes import Outcomes
from app.services.placement import Placement
from app.services.readiness import DatabaseTime
from app.services.reports import FairnessDesk
from app.services.shared_figures import SharedFigures
from app.settings import Settings
from app.storage.database import connect
from app.tracing.spans import NO_TRACES, Traces

_BLUEPRINTS = (
    orders_blueprint,
    outcomes_blueprint,
    redemptions_blueprint,
    sales_blueprint,
    admin_blueprint,
    console_blueprint,
    reports_blueprint,
    service_blueprint,
    metrics_blueprint,
    pages_blueprint,
)


def create_app(settings: Settings, concurrency: Concurrency | None = None, traces: Traces = NO_TRACES) -> Flask:
    """The app, with its own database handle, lanes and caches. Under gunicorn: made in the worker, after the fork.

    Requests are threads unless `concurrency` says otherwise.
    """
    app = LeanFlask("fairdrop", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
    # An address with a slash too many is another address: a redirect would turn a POST into a GET.
    app.url_map.merge_slashes = False
    database = connect(settings)
    concurrency = concurrency or Threads()
    placement = Placement(database, settings, concurrency, traces)
    cancelling = Cancelling(database, placement.clock, settings, placement.writer, concurrency)
    outcomes = Outcomes(database, concurrency, settings.request_deadline_seconds)
    now = DatabaseTime(database, placement.clock, concurrency).seconds
    verifier, claims = TokenVerifier(settings, concurrency, now), ClaimKeys.load(settings)
    shared_figures = SharedFigures(placement, Path(settings.metrics_dir) if settings.metrics_dir else None)
    feed = ConsoleFeed(database, concurrency, shared_figures)
    api = Api(
        settings,
        database,
        placement,
        cancelling,
        outcomes,
        verifier,
        concurrency,
        claims,
        customer_limit(settings),
        shared_figures,
        feed,
        FairnessDesk(database),
        DeadLetterBox(settings.broker_project),
    )
    for views in _BLUEPRINTS:
        app.register_blueprint(views(api))
    if has_local_sign_in(settings):
        app.register_blueprint(local_sign_in_blueprint(api))
    shared_figures.start()
    app.extensions[ON_EXIT] = api.close
    app.extensions[GATE] = placement
    install(app)
    limit_addresses(app, settings)
    trace_requests(app, traces)

    return app
