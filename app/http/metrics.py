"""The API's figures for Prometheus: of all worker processes together, whichever of them is asked."""

import hmac
from collections.abc import Iterable

from flask import Blueprint, Response, request
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector
from werkzeug.exceptions import NotFound

from app.http.api import Api
from app.http.openapi import Operation, documented
from app.http.responses import NO_STORE, SECURITY_HEADERS
from app.http.tokens import Unauthenticated
from app.services.figures import Distribution, Figures
from app.services.shared_figures import SharedFigures
from app.settings import Settings


class _Everybody(Collector):
    def __init__(self, shared: SharedFigures) -> None:
        self._shared = shared

    def collect(self) -> Iterable[Metric]:
        return families(self._shared.everybody())


def families(figures: Figures) -> Iterable[Metric]:
    """The figures as Prometheus has them."""
    orders = CounterMetricFamily("fairdrop_order_requests", "Requests for orders, by their answer.", labels=["outcome"])
    for outcome, count in sorted(figures.outcomes.items()):
        orders.add_metric([outcome], count)
    yield orders
    yield CounterMetricFamily(
        "fairdrop_refused_from_memory", "Orders refused without asking the database.", value=figures.refused_from_memory
    )
    yield CounterMetricFamily(
        "fairdrop_refused_unread", "Orders refused because too many were under way.", value=figures.refused_unread
    )
    yield _histogram("fairdrop_order_request_seconds", "From a request for an order to its answer.", figures.latency)
    yield _histogram("fairdrop_commit_orders", "Orders a commit; its count is the number of commits.", figures.batches)
    yield GaugeMetricFamily(
        "fairdrop_lane_depth", "Orders that wait for the next commit, over all lanes.", value=figures.waiting_in_lanes
    )


def _histogram(name: str, meaning: str, values: Distribution) -> HistogramMetricFamily:
    buckets: list[tuple[str, float]] = []
    below = 0
    for bound, count in zip([*map(float, values.bounds), float("inf")], values.counts, strict=True):
        below += count
        buckets.append(("+Inf" if bound == float("inf") else str(bound), below))
    return HistogramMetricFamily(name, meaning, buckets=buckets, sum_value=values.total)


def metrics_blueprint(api: Api) -> Blueprint:
    """The view."""
    views = Blueprint("metrics", __name__)
    registry = CollectorRegistry()
    registry.register(_Everybody(api.shared_figures))

    @views.get("/metrics")
    @documented(
        Operation(
            "Figures for Prometheus",
            "service",
            {200: None},
            errors=(Unauthenticated,),
            description="Of all workers of this server together. The token is FAIRDROP_METRICS_TOKEN, and no JWT; in "
            "production there is no such address without it.",
        )
    )
    def metrics() -> Response:
        _check_scraper(api.settings)
        text = generate_latest(registry)
        return Response(text, headers=[*SECURITY_HEADERS, NO_STORE], content_type=CONTENT_TYPE_PLAIN_0_0_4)

    return views


def _check_scraper(settings: Settings) -> None:
    wanted = settings.metrics_token.get_secret_value()
    if not wanted:
        if settings.environment == "production":
            raise NotFound
        return
    given = request.headers.get("Authorization", "").encode("latin-1", "replace")
    if not hmac.compare_digest(given, f"Bearer {wanted}".encode()):
        raise Unauthenticated("the metrics token is needed")
