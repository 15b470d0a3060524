"""Cancelling over HTTP: what the customer may cancel, until when, and how it is said when he may not."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from http_samples import CARD, Caller, Shop, problem
from werkzeug.test import TestResponse

from app.domain.sale import Sale
from app.domain.settlement import OrderKey, Settlement
from app.domain.states import Trigger
from app.services.settlement import settle
from app.settings import Settings
from app.storage.clock import DatabaseClock


@pytest.fixture
def sale(shop: Shop) -> Sale:
    return shop.put_up(unit_price_minor=500, stock=2, waitlist_limit=10)


def placed(buyer: Caller, sale: Sale, **fields: Any) -> dict[str, Any]:
    body: dict[str, Any] = buyer.order(sale, payment_method=CARD, **fields).json
    return body


def cancel(buyer: Caller, order: dict[str, Any]) -> TestResponse:
    return buyer.post(f"/v1/sales/{order['sale_id']}/orders/{order['order_id']}/cancel")


def shown(buyer: Caller, order: dict[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = buyer.get(f"/v1/sales/{order['sale_id']}/orders/{order['order_id']}").json
    return body


def settled(shop: Shop, customer_id: str, order: dict[str, Any], *triggers: Trigger) -> None:
    key = OrderKey(customer_id, order["sale_id"], order["order_id"])
    settle(shop.database, DatabaseClock(), [Settlement(key, trigger, "test") for trigger in triggers], "test:1")


def test_a_cancelled_order_is_answered_as_it_now_is_and_so_is_its_repetition(shop: Shop, sale: Sale) -> None:
    ann = shop.buyer()
    order = placed(ann, sale)
    assert (order["cancellable"], order["cancellable_until"]) == (True, None)
    answers = [cancel(ann, order) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json == answers[1].json == shown(ann, order)
    body = answers[0].json
    assert (body["status"], body["cancellable"], body["due_at"]) == ("CANCELLED", False, None)
    assert answers[0].headers["Cache-Control"] == "no-store"


def test_an_authorized_order_says_until_when_it_may_be_cancelled(shop: Shop, sale: Sale) -> None:
    ann = shop.buyer("ann-of-the-window")
    order = placed(ann, sale)
    settled(shop, "ann-of-the-window", order, Trigger.AUTHORIZE)
    body = shown(ann, order)
    assert (body["status"], body["cancellable"], body["due_at"]) == ("AUTHORIZED", True, None)
    left = datetime.fromisoformat(body["cancellable_until"]) - datetime.now(UTC)
    assert timedelta(0) < left <= timedelta(seconds=sale.cancel_window_seconds)
    assert cancel(ann, order).json["status"] == "CANCELLED"


def test_after_the_confirmation_a_cancel_is_refused_with_the_time_at_which_the_window_closed(
    shop: Shop, sale: Sale
) -> None:
    ann = shop.buyer("ann-who-is-late")
    order = placed(ann, sale)
    settled(shop, "ann-who-is-late", order, Trigger.AUTHORIZE, Trigger.CONFIRM)
    body = shown(ann, order)
    assert (body["status"], body["cancellable"], body["cancellable_until"]) == ("AUTHORIZED", False, None)
    refused = problem(cancel(ann, order), 409, "cancel-window-closed")
    assert datetime.fromisoformat(refused["closed_at"]) <= datetime.now(UTC)
    assert shown(ann, order) == body


def test_what_is_settled_cannot_be_cancelled(shop: Shop, sale: Sale) -> None:
    free = shop.put_up()
    ann = shop.buyer()
    order = ann.order(free).json
    assert order["cancellable"] is False
    problem(cancel(ann, order), 409, "transition-refused")
    assert shown(ann, order)["status"] == "PLACED"


def test_a_cancel_promotes_the_first_who_waits(shop: Shop, sale: Sale) -> None:
    ann, bob, cat = shop.buyer(), shop.buyer(), shop.buyer()
    first = placed(ann, sale, units=2)
    waiting = placed(bob, sale), placed(cat, sale, units=2)
    assert [order["status"] for order in waiting] == ["WAITLISTED", "WAITLISTED"]
    assert all(order["cancellable"] for order in waiting)
    cancel(ann, first)
    assert [shown(bob, waiting[0])["status"], shown(cat, waiting[1])["status"]] == ["PENDING", "WAITLISTED"]
    cancel(bob, waiting[0])
    assert shown(cat, waiting[1])["status"] == "PENDING"


def test_only_ones_own_order_is_there_to_cancel(shop: Shop, sale: Sale) -> None:
    ann = shop.buyer()
    order = placed(ann, sale)
    with shop.nothing_written():
        problem(cancel(shop.buyer(), order), 404, "order-not-found")
        problem(cancel(ann, {**order, "sale_id": "another"}), 404, "order-not-found")
        problem(cancel(ann, {**order, "order_id": "none"}), 404, "order-not-found")
        problem(cancel(shop.passer_by, order), 401, "unauthenticated")
    assert shown(ann, order)["status"] == "PENDING"


def test_a_cancel_frees_the_customers_limit_for_another_quantity(shop: Shop) -> None:
    sale = shop.put_up(limit_per_customer=2, unit_price_minor=500)
    ann = shop.buyer()
    order = placed(ann, sale, units=1, key="one")
    problem(ann.order(sale, key="two", units=2, payment_method=CARD), 409, "limit-exceeded")
    cancel(ann, order)
    assert placed(ann, sale, units=2, key="two")["status"] == "PENDING"
    # The old key still names the old order.
    assert ann.order(sale, key="one", units=1, payment_method=CARD).json["status"] == "CANCELLED"


def test_a_unit_that_comes_free_is_on_offer_again_to_those_who_were_told_sold_out(
    shop: Shop, settings: Settings
) -> None:
    sale = shop.put_up(unit_price_minor=500, stock=1, shard_count=1)
    ann, bob = shop.buyer(), shop.buyer()
    order = placed(ann, sale)
    problem(bob.order(sale, payment_method=CARD), 409, "sold-out")
    cancel(ann, order)
    time.sleep(settings.sold_out_memory_ms / 1_000)
    assert placed(bob, sale)["status"] == "PENDING"


def test_the_interface_describes_the_cancel_with_every_answer(shop: Shop) -> None:
    document = shop.client.get("/openapi.json").json
    described = document["paths"]["/v1/sales/{sale_id}/orders/{order_id}/cancel"]["post"]
    assert set(described["responses"]) == {"200", "401", "404", "409", "429", "503", "default"}
    assert "requestBody" not in described
    assert {"cancellable", "cancellable_until"} <= set(document["components"]["schemas"]["OrderView"]["properties"])
