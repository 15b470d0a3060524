"""The seller's addresses, for tokens with the seller's role."""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response

from app.domain import errors
from app.domain.sale import Sale
from app.domain.timestamps import rfc3339
from app.http.answer_models import DrawView, RestockResult, SaleDetails, SaleList
from app.http.api import Api
from app.http.openapi import IDEMPOTENCY_KEY, PAGE_PARAMETERS, Operation, documented
from app.http.request_models import ChangeSale, NewSale, Restock
from app.http.requests import as_page_token, idempotency_key, page_size, page_token, read_body
from app.http.responses import json_response
from app.http.sales import draw_body
from app.http.tokens import Forbidden, IssuerUnavailable, Unauthenticated
from app.services import draw, sales
from app.storage.database import FairdropDatabase

_WHO = (Unauthenticated, Forbidden, IssuerUnavailable, errors.StorageUnavailable)
_OF_A_SALE = (*_WHO, errors.SaleNotFound, errors.SaleStateRefused)


def sale_body(sale: Sale) -> dict[str, Any]:
    """The terms of a sale."""
    return {
        "sale_id": sale.sale_id,
        "name": sale.name,
        "state": sale.state.value,
        "policy": sale.policy.value,
        "unit_price_minor": sale.unit_price_minor,
        "currency": sale.currency,
        "stock": sale.stock,
        "limit_per_customer": sale.limit_per_customer,
        "waitlist_limit": sale.waitlist_limit,
        "expected_crowd": sale.expected_crowd,
        "shard_count": sale.shard_count,
        "opens_at": rfc3339(sale.opens_at),
        "closes_at": rfc3339(sale.closes_at),
        "hold_seconds": sale.hold_seconds,
        "cancel_window_seconds": sale.cancel_window_seconds,
    }


def details_body(view: sales.SaleView) -> dict[str, Any]:
    """A sale as SaleDetails describes it."""
    return {
        **sale_body(view.sale),
        "phase": view.phase.value,
        "as_of": rfc3339(view.as_of),
        "available": sum(shard.available for shard in view.shards),
        "waiting": sum(shard.waiting for shard in view.shards),
        "shards": [
            {
                "shard_id": shard.shard_id,
                "allocated": shard.allocated,
                "available": shard.available,
                "waiting": shard.waiting,
            }
            for shard in view.shards
        ],
        "draw": draw_body(view.draw) if view.draw is not None else None,
    }


def admin_blueprint(api: Api) -> Blueprint:
    """The seller's views."""
    views = Blueprint("admin", __name__, url_prefix="/v1/admin")

    @views.post("/sales")
    @documented(
        Operation(
            "Create a sale",
            "admin",
            {201: SaleDetails, 200: SaleDetails},
            body=NewSale,
            errors=(*_WHO, errors.InvalidValue, errors.SaleExists),
            description="201: created. 200: the very same sale was there already.",
        )
    )
    def create() -> Response:
        seller = api.seller()
        body = read_body(NewSale)
        view, is_new = api.concurrency.run(
            sales.create, api.database, sales.new_sale(**body.model_dump()), seller.subject
        )
        return json_response(details_body(view), 201 if is_new else 200)

    @views.get("/sales")
    @documented(
        Operation(
            "List sales",
            "admin",
            {200: SaleList},
            errors=(*_WHO, errors.InvalidValue),
            parameters=PAGE_PARAMETERS,
        )
    )
    def index() -> Response:
        api.seller()
        after = page_token(parts=1)
        page, following = api.concurrency.run(sales.page_of_sales, api.database, after[0] if after else "", page_size())
        token = as_page_token((following,) if following else None)
        return json_response({"sales": [sale_body(sale) for sale in page], "next_page_token": token})

    @views.get("/sales/<sale_id>")
    @documented(
        Operation("Show a sale and its stock", "admin", {200: SaleDetails}, errors=(*_WHO, errors.SaleNotFound))
    )
    def show(sale_id: str) -> Response:
        api.seller()
        return json_response(details_body(api.concurrency.run(sales.show, api.database, sale_id)))

    @views.patch("/sales/<sale_id>")
    @documented(
        Operation(
            "Change a sale that is not open",
            "admin",
            {200: SaleDetails},
            body=ChangeSale,
            errors=(*_OF_A_SALE, errors.InvalidValue),
        )
    )
    def change(sale_id: str) -> Response:
        seller = api.seller()
        changes = read_body(ChangeSale).model_dump(exclude_none=True)
        return json_response(
            details_body(api.concurrency.run(sales.change, api.database, sale_id, changes, seller.subject))
        )

    _add_actions(views, api)
    return views


_Action = Callable[[FairdropDatabase, str, str], sales.SaleView]

_ACTIONS: tuple[tuple[str, str, _Action], ...] = (
    ("open", "Open a sale now, or resume it", sales.open_now),
    ("pause", "Pause a sale", sales.pause),
    ("close", "Close a sale for good", sales.close),
)


def _add_actions(views: Blueprint, api: Api) -> None:
    def act_with(action: _Action) -> Callable[[str], Response]:
        def act(sale_id: str) -> Response:
            seller = api.seller()
            return json_response(details_body(api.concurrency.run(action, api.database, sale_id, seller.subject)))

        return act

    for name, summary, action in _ACTIONS:
        view = documented(Operation(summary, "admin", {200: SaleDetails}, errors=_OF_A_SALE))(act_with(action))
        views.add_url_rule(f"/sales/<sale_id>/{name}", name, view, methods=["POST"])

    @views.post("/sales/<sale_id>/restock")
    @documented(
        Operation(
            "Add units, the waitlist first",
            "admin",
            {200: RestockResult},
            body=Restock,
            errors=(*_OF_A_SALE, errors.InvalidValue, errors.RestockReused),
            parameters=(IDEMPOTENCY_KEY,),
            description="Interrupted? The same key goes on where it stopped, and never adds twice.",
        )
    )
    def restock(sale_id: str) -> Response:
        seller = api.seller()
        key = idempotency_key()
        body = read_body(Restock)
        view, promoted = api.concurrency.run(sales.restock, api.database, sale_id, body.units, key, seller.subject)
        return json_response({"promoted_orders": promoted, "sale": details_body(view)})

    @views.post("/sales/<sale_id>/draw")
    @documented(
        Operation(
            "Draw a lottery that is over",
            "admin",
            {200: DrawView, 202: DrawView},
            errors=(*_OF_A_SALE, errors.NotALottery),
            description="Without a body. 202: the entries are sealed, and the deadlines worker draws them; ask again, or look at "
            "the sale. 200: all are drawn. It happens without this call, too, some seconds after the sale has closed.",
        )
    )
    def draw_(sale_id: str) -> Response:
        seller = api.seller()
        record = api.concurrency.run(draw.seal, api.database, sale_id, seller.subject)
        return json_response(draw_body(record), 200 if record.is_drawn else 202)
