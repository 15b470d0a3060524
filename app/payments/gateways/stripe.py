"""Stripe: a PaymentIntent an order, captured by hand.

An intent is made first, which moves no money, and confirmed second; from then on it can be looked at, so an unknown outcome is
learnt from the intent itself wherever the idempotency key cannot tell. Stripe keeps a key for a day at least, and keeps a
server error under it too: asked again, it says the same error, marked as replayed. Then nothing is in flight any more, and the
next of a few fixed keys is used: on one intent that is safe, for an intent is authorized, captured and cancelled once.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import stripe

from app.payments.gateways import Approved, Declined, Outcome, Request, Unknown

KEY_LIFETIME_SECONDS = 23 * 3600
"""Stripe may forget a key after 24 hours; an older request is searched for before it is made again."""

KEY_SUFFIXES = ("", ":2", ":3")
"""A request whose key has kept a server error is asked again under the next of these."""

HUNDREDTHS_ADDED = frozenset({"ISK", "UGX"})
WHOLE_ONLY = frozenset({"MGA"})
"""Where Stripe counts other minor units than ISO 4217 (https://docs.stripe.com/currencies): hundredths where ISO has none, and
none where ISO has hundredths.
"""

THREE_DECIMALS = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})
"""Stripe takes these in thousandths, but only in tens of them."""

Thing = TypeVar("Thing")


def stripe_amount(amount_minor: int, currency: str) -> int | None:
    """The amount as Stripe counts it; None when the card networks know no such amount."""
    if currency in HUNDREDTHS_ADDED:
        return amount_minor * 100
    if currency in WHOLE_ONLY:
        return None if amount_minor % 100 else amount_minor // 100
    if currency in THREE_DECIMALS and amount_minor % 10:
        return None
    return amount_minor


class StripeGateway:
    """Talks to Stripe with one key. Thread-safe. The key is given to the library and kept nowhere else."""

    def __init__(self, api_key: str, api_base: str, timeout_seconds: float) -> None:
        """No call is made yet. `api_base` is Stripe's address, or a stand-in's in tests."""
        self._client = stripe.StripeClient(
            api_key,
            base_addresses={"api": api_base},
            http_client=stripe.RequestsClient(timeout=timeout_seconds),
            # Trying again is decided in one place, and that is not here.
            max_network_retries=0,
        )
        self._intents = self._client.v1.payment_intents

    def authorize(self, request: Request, key: str) -> Outcome:
        """Make an intent and confirm it: `requires_capture` is an authorization."""
        amount = stripe_amount(request.amount_minor, request.currency)
        if amount is None:
            return Declined("amount_not_chargeable")
        try:
            return self._authorize(request, amount, key)
        except stripe.StripeError as error:
            return _unknown(error)

    def capture(self, request: Request, key: str) -> Outcome:
        """Capture the intent: `succeeded`."""
        return self._settle(request, key, self._intents.capture, "succeeded")

    def void(self, request: Request, key: str) -> Outcome:
        """Cancel the intent: `canceled`."""
        return self._settle(request, key, self._intents.cancel, "canceled")

    def refund(self, request: Request, key: str) -> Outcome:
        """Refund the intent's charge whole. A refund that is pending is on its way: Stripe needs nothing more."""
        params: Any = {"payment_intent": request.reference, "metadata": {"order_id": request.order_id}}
        try:
            refund = self._ask(lambda k: self._client.v1.refunds.create(params, options={"idempotency_key": k}), key)
        except stripe.InvalidRequestError as error:
            if error.code == "charge_already_refunded":
                return Approved(request.reference or "")
            return Declined(_code(error))
        except stripe.StripeError as error:
            return _unknown(error)
        if refund.status in ("succeeded", "pending"):
            return Approved(request.reference or "")
        if refund.status in ("failed", "canceled"):
            return Declined(_field(refund, "failure_reason") or f"refund_{refund.status}")
        return Unknown(f"the refund is {refund.status}")

    def _authorize(self, request: Request, amount: int, key: str) -> Outcome:
        intent = self._earlier_intent(request)
        try:
            intent = intent or self._new_intent(request, amount, key)
        except (stripe.CardError, stripe.InvalidRequestError) as error:
            return Declined(_code(error))
        name, refusal = intent.id, None
        if intent.status == "requires_confirmation":
            intent, refusal = self._act(
                name, lambda k: self._intents.confirm(name, options={"idempotency_key": k}), f"{key}:confirm"
            )
        return _authorized(intent, refusal)

    def _earlier_intent(self, request: Request) -> stripe.PaymentIntent | None:
        """The intent that this order has already, when its key may be forgotten; Stripe finds it a minute after its making."""
        if request.asked_seconds_ago < KEY_LIFETIME_SECONDS:
            return None
        found = self._intents.search({"query": f"metadata['order_id']:'{request.order_id}'", "limit": 1})
        return next(iter(found.data), None)

    def _new_intent(self, request: Request, amount: int, key: str) -> stripe.PaymentIntent:
        params: Any = {
            "amount": amount,
            "currency": request.currency.lower(),
            "payment_method": request.payment_method,
            "payment_method_types": ["card"],
            "capture_method": "manual",
            "metadata": {"order_id": request.order_id},
        }
        return self._ask(lambda k: self._intents.create(params, options={"idempotency_key": k}), key)

    def _settle(self, request: Request, key: str, operation: Callable[..., stripe.PaymentIntent], done: str) -> Outcome:
        name = request.reference or ""
        try:
            intent, refusal = self._act(name, lambda k: operation(name, options={"idempotency_key": k}), key)
        except stripe.StripeError as error:
            return _unknown(error)
        if intent.status == done:
            return Approved(intent.id)
        if refusal is not None:
            return Declined(refusal)
        return Unknown(f"the intent is {intent.status}")

    def _act(
        self, name: str, operation: Callable[[str], stripe.PaymentIntent], key: str
    ) -> tuple[stripe.PaymentIntent, str | None]:
        """The intent after an operation on it, and the code of a clear refusal. The intent itself has the last word."""
        try:
            return self._ask(operation, key), None
        except (stripe.CardError, stripe.InvalidRequestError) as error:
            return self._intents.retrieve(name), _code(error)
        except stripe.APIError:
            return self._intents.retrieve(name), None

    def _ask(self, operation: Callable[[str], Thing], key: str) -> Thing:
        """Ask under the first key that has not kept a server error."""
        for suffix in KEY_SUFFIXES[:-1]:
            try:
                return operation(key + suffix)
            except stripe.APIError as error:
                if not _is_replayed(error):
                    raise
        return operation(key + KEY_SUFFIXES[-1])


def _authorized(intent: stripe.PaymentIntent, refusal: str | None) -> Outcome:
    if intent.status in ("requires_capture", "succeeded"):
        return Approved(intent.id)
    if intent.status == "requires_payment_method":
        failure = _field(intent, "last_payment_error")
        return Declined(_field(failure, "decline_code") or _field(failure, "code") or refusal or "card_declined")
    if intent.status == "requires_action":
        # Nobody is there to pass a bank's check: the customer left their card and waits for the order.
        return Declined("authentication_required")
    if intent.status == "canceled":
        return Declined(_field(intent, "cancellation_reason") or "canceled")
    return Declined(refusal) if refusal is not None else Unknown(f"the intent is {intent.status}")


def _field(thing: Any, name: str) -> Any:
    """A field of a Stripe object, None when it is absent: which ones there are depends on the version of the interface."""
    return getattr(thing, name, None)


def _code(error: stripe.CardError | stripe.InvalidRequestError) -> str:
    decline_code = error.json_body.get("error", {}).get("decline_code") if isinstance(error.json_body, dict) else None
    return decline_code or error.code or "refused"


def _is_replayed(error: stripe.StripeError) -> bool:
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    return headers.get("idempotent-replayed") == "true"


def _unknown(error: stripe.StripeError) -> Unknown:
    """The kind of an error, without its text: that may carry what was sent."""
    return Unknown(f"{type(error).__name__}, status {error.http_status}, request {error.request_id}")
