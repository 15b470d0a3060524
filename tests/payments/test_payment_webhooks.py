"""Stripe's webhook: only Stripe is believed that there is news, and only the gateway what the news is."""

import json
import time
import uuid
from typing import Any

import pytest
import stripe
from flask import Flask
from flask.testing import FlaskClient
from payments_samples import QUICK, MemoryBooks, ModelGateway, event, terms
from pydantic import SecretStr
from scripted_stripe import intent, scripted_stripe
from werkzeug.test import TestResponse

from app.domain.errors import StorageUnavailable
from app.payments.gateways import GatewayMisconfigured
from app.payments.payment import Wish
from app.payments.service import PaymentService
from app.payments.states import State, Wanted
from app.payments.store import SpannerBooks
from app.payments.webhooks import MAX_BODY_BYTES, NEWS, SIGNATURE_TOLERANCE_SECONDS, create_app, stripe_webhooks
from app.settings import Settings

SECRET = "whsec_CanaryOfTheSecret"


def news(kind: str = "payment_intent.amount_capturable_updated", order_id: str | None = "order-1") -> dict[str, Any]:
    metadata = {} if order_id is None else {"order_id": order_id}
    return {"id": "evt_1", "object": "event", "type": kind, "data": {"object": {"id": "pi_1", "metadata": metadata}}}


def post(
    client: FlaskClient, body: Any, secret: str = SECRET, age_seconds: int = 0, header: str | None = None
) -> TestResponse:
    payload = body if isinstance(body, str) else json.dumps(body)
    signed = stripe.WebhookSignature.generate_signature_header(payload, secret, int(time.time()) - age_seconds)
    headers = {"Stripe-Signature": signed if header is None else header}
    return client.post("/webhooks/stripe", data=payload, headers=headers)


class Desk:
    """The endpoint, over what `resume` is told to say."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.rests: bool | Exception = True
        app = Flask("test")
        app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
        app.register_blueprint(stripe_webhooks(self.resume, SECRET))
        self.client = app.test_client()

    def resume(self, order_ids: list[str]) -> bool:
        self.asked.append(order_ids)
        if isinstance(self.rests, Exception):
            raise self.rests
        return self.rests


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.mark.parametrize("kind", sorted(NEWS))
def test_news_has_its_order_asked_about(desk: Desk, kind: str) -> None:
    assert post(desk.client, news(kind)).status_code == 204
    assert desk.asked == [["order-1"]]


@pytest.mark.parametrize(
    "body", [news("customer.created"), news(order_id=None), news(order_id="x" * 37), {**news(), "data": {"object": {}}}]
)
def test_what_is_no_news_of_an_order_of_ours_is_taken_and_dropped(desk: Desk, body: dict[str, Any]) -> None:
    assert post(desk.client, body).status_code == 204
    assert desk.asked == []


@pytest.mark.parametrize(
    "forged",
    [
        {"secret": "whsec_another"},
        {"header": ""},
        {"header": "t=1,v1=00"},
        {"header": "nonsense"},
        {"age_seconds": SIGNATURE_TOLERANCE_SECONDS + 60},
    ],
)
def test_what_stripe_has_not_signed_or_not_lately_is_refused(desk: Desk, forged: dict[str, Any]) -> None:
    assert post(desk.client, news(), **forged).status_code == 400
    assert desk.asked == []


@pytest.mark.parametrize("body", ["", "no json", "[]", "null", '{"type": 1}', '{"type": "charge.refunded", "data": 7}'])
def test_a_signed_body_that_is_no_event_is_refused_or_dropped_but_never_a_crash(desk: Desk, body: str) -> None:
    assert post(desk.client, body).status_code in (204, 400)
    assert desk.asked == []


def test_a_body_that_is_too_long_is_not_read(desk: Desk) -> None:
    assert post(desk.client, " " * (MAX_BODY_BYTES + 1)).status_code == 413


@pytest.mark.parametrize("rests", [False, StorageUnavailable("away", 1)])
def test_while_the_outcome_is_unknown_stripe_is_asked_to_come_again(desk: Desk, rests: bool | Exception) -> None:
    desk.rests = rests
    answer = post(desk.client, news())
    assert (answer.status_code, int(answer.headers["Retry-After"]) > 0) == (503, True)


def test_what_the_webhook_claims_is_not_believed_but_asked() -> None:
    books, gateway = MemoryBooks(), ModelGateway(fate=lambda _key: "failed")
    service = PaymentService(books, gateway, concurrency=1, patience=QUICK)
    service.handle([event("reserved")])
    app = Flask("test")
    app.register_blueprint(stripe_webhooks(service.resume, SECRET))
    assert post(app.test_client(), news("payment_intent.canceled")).status_code == 503
    gateway.fate = lambda _key: "answered"
    assert post(app.test_client(), news("payment_intent.canceled")).status_code == 204
    assert books.payments["order-1"].state is State.AUTHORIZED


def test_the_endpoint_s_own_app_learns_a_late_outcome_from_stripe_and_records_it(
    payments_settings: Settings, books: SpannerBooks
) -> None:
    order_id = str(uuid.uuid4())
    books.advance({order_id: Wish(terms(order_id), Wanted.AUTHORIZE)}, {})
    with scripted_stripe(lambda _seen: intent("requires_capture", "pi_9")) as server:
        changes = {
            "payment_gateway": "stripe",
            "stripe_api_key": SecretStr("sk_test_1"),
            "stripe_webhook_secret": SecretStr(SECRET),
            "stripe_api_base": server.url,
        }
        app = create_app(payments_settings.model_copy(update=changes))
        assert post(app.test_client(), news(order_id=order_id)).status_code == 204
    payment = books.find([order_id]).payments[order_id]
    assert (payment.state, payment.reference) == (State.AUTHORIZED, "pi_9")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({}, "FAIRDROP_PAYMENT_GATEWAY"),
        ({"payment_gateway": "stripe", "stripe_api_key": SecretStr("sk_test_1")}, "FAIRDROP_STRIPE_WEBHOOK_SECRET"),
        ({"payment_gateway": "stripe", "stripe_webhook_secret": SecretStr(SECRET)}, "FAIRDROP_STRIPE_API_KEY"),
    ],
)
def test_without_its_secrets_the_endpoint_does_not_start(
    payments_settings: Settings, changes: dict[str, Any], named: str
) -> None:
    with pytest.raises(GatewayMisconfigured, match=named):
        create_app(payments_settings.model_copy(update=changes))
