"""The public address of a sale: no token, the same answer for everybody, cacheable for a second."""

from flask import Blueprint, Response

from app.domain import errors
from app.domain.draw import Draw
from app.domain.timestamps import rfc3339
from app.http.answer_models import PublicSale
from app.http.api import Api
from app.http.openapi import Operation, documented
from app.http.responses import json_response
from app.services.watch import Sight

MAX_AGE_MS = 1_000
FEW_SHARE = 0.1
SOME_SHARE = 0.5


def stock_left(available: int, stock: int) -> str:
    """The stock left, in coarse steps: enough for a customer, too little for a competitor."""
    if available == 0:
        return "none"
    share = available / max(stock, 1)
    return "few" if share < FEW_SHARE else "some" if share < SOME_SHARE else "plenty"


def draw_body(draw: Draw) -> dict[str, object]:
    """A draw as DrawView describes it."""
    return {
        "state": draw.state.value,
        "commitment": draw.commitment,
        "sealed_at": rfc3339(draw.sealed_at) if draw.sealed_at else None,
        "digest": draw.digest,
        "entries": draw.entries,
        "done_entries": draw.done_entries,
        "won_orders": draw.won_orders,
        "won_units": draw.won_units,
        "seed": draw.seed,
        "drawn_at": rfc3339(draw.drawn_at) if draw.drawn_at else None,
    }


def sales_blueprint(api: Api) -> Blueprint:
    """The public view."""
    views = Blueprint("sales", __name__)

    @views.get("/v1/sales/<sale_id>")
    @documented(
        Operation(
            "Show a sale",
            "sales",
            {200: PublicSale},
            errors=(errors.SaleNotFound, errors.StorageUnavailable),
            secured=False,
        )
    )
    def show(sale_id: str) -> Response:
        sight = api.placement.sight(sale_id, MAX_AGE_MS)
        return json_response(_public(sight, api), 200, ("Cache-Control", "public, max-age=1"))

    return views


def _public(sight: Sight, api: Api) -> dict[str, object]:
    sale, now = sight.sale, api.placement.clock.estimate
    return {
        "sale_id": sale.sale_id,
        "name": sale.name,
        "phase": sale.phase(now).value,
        "opens_at": rfc3339(sale.opens_at),
        "closes_at": rfc3339(sale.closes_at),
        "server_time": rfc3339(now),
        "unit_price_minor": sale.unit_price_minor,
        "currency": sale.currency,
        "limit_per_customer": sale.limit_per_customer,
        "stock_left": stock_left(sight.available, sale.stock),
        "waitlist_open": sight.waiting < sale.waitlist_limit,
        "policy": sale.policy.value,
        "draw": draw_body(sight.draw) if sight.draw is not None else None,
    }
