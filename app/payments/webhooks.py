"""Stripe's webhook: a hint that there is news of a payment. What the news is, the gateway is asked itself.

So it does not matter in which order webhooks come, how often, or how old they are. The endpoint is a small app of its own, for
it stands on another address than the shop, and under another key:
`gunicorn --threads 8 --bind 0.0.0.0:8081 "app.payments.webhooks:create()"`.
"""

import logging
from collections.abc import Callable
from typing import Any

import orjson
import stripe
from flask import Blueprint, Flask, Response, request

from app.domain.errors import StorageUnavailable
from app.logs import start_logging
from app.payments.gateways import GatewayMisconfigured
from app.payments.gateways.choice import gateway_of
from app.payments.service import PaymentService
from app.payments.store import SpannerBooks
from app.settings import Settings, load_settings
from app.storage.database import connect

log = logging.getLogger(__name__)

NEWS = frozenset(
    {
        "payment_intent.amount_capturable_updated",
        "payment_intent.payment_failed",
        "payment_intent.succeeded",
        "payment_intent.canceled",
        "charge.refunded",
        "refund.updated",
        "refund.failed",
    }
)
"""Event types that may end an operation of which the outcome was unknown."""

MAX_BODY_BYTES = 256 * 1024
"""Stripe's events are a few kB."""

SIGNATURE_TOLERANCE_SECONDS = 300
RETRY_AFTER_SECONDS = 30
MAX_ORDER_ID_LENGTH = 36


def stripe_webhooks(resume: Callable[[list[str]], bool], signing_secret: str) -> Blueprint:
    """`POST /webhooks/stripe`. Answers 400 unless Stripe has signed it, 503 while the outcome is unknown still, else 204.

    `resume` asks again about the payments of the orders, and says whether they rest. Stripe sends again what got a 503.
    """
    views = Blueprint("stripe_webhooks", __name__)

    @views.post("/webhooks/stripe")
    def receive() -> Response:
        payload = request.get_data()
        try:
            text = payload.decode()
            stripe.WebhookSignature.verify_header(
                text, request.headers.get("Stripe-Signature", ""), signing_secret, SIGNATURE_TOLERANCE_SECONDS
            )
            order_id = _order_id(orjson.loads(text))
        except (stripe.SignatureVerificationError, ValueError):
            return Response("not signed by Stripe, or unreadable\n", 400, content_type="text/plain")
        if order_id is None:
            return Response(status=204)
        try:
            rests = resume([order_id])
        except StorageUnavailable as error:
            log.warning("webhook of order %s: %s", order_id, error.detail)
            rests = False
        return Response(status=204) if rests else _later()

    return views


def create() -> Flask:
    """The endpoint's app, for gunicorn. Raises GatewayMisconfigured."""
    settings = load_settings()
    start_logging(settings)
    return create_app(settings)


def create_app(settings: Settings) -> Flask:
    """The endpoint's app, with its own database handle."""
    secret = settings.stripe_webhook_secret.get_secret_value()
    if settings.payment_gateway != "stripe":
        raise GatewayMisconfigured("FAIRDROP_PAYMENT_GATEWAY must be stripe: only Stripe sends these webhooks")
    if not secret:
        raise GatewayMisconfigured("FAIRDROP_STRIPE_WEBHOOK_SECRET is needed to know Stripe by its signature")
    books = SpannerBooks(connect(settings, settings.payments_database))
    service = PaymentService(books, gateway_of(settings), concurrency=settings.gateway_concurrency)
    app = Flask("stripe_webhooks", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.register_blueprint(stripe_webhooks(service.resume, secret))
    return app


def _order_id(event: Any) -> str | None:
    """The order that a piece of news is about; None when it is no news, or of no order of ours. Raises ValueError."""
    try:
        if event["type"] not in NEWS:
            return None
        order_id = (event["data"]["object"].get("metadata") or {}).get("order_id")
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError("not an event") from error
    return order_id if isinstance(order_id, str) and 0 < len(order_id) <= MAX_ORDER_ID_LENGTH else None


def _later() -> Response:
    return Response(status=503, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})
