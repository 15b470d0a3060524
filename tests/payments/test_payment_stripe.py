"""Stripe: against localstripe what an implementation does, and against a script what only a bad day brings."""

import logging
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import stripe
from pydantic import SecretStr
from scripted_stripe import Reply, Script, ScriptedStripe, Seen, fault, intent, scripted_stripe

from app.local.children import child, free_port, wait_for_http
from app.payments.gateways import Approved, Declined, GatewayMisconfigured, Outcome, Request, Unknown
from app.payments.gateways.choice import gateway_of
from app.payments.gateways.simulator import SimulatorGateway
from app.payments.gateways.stripe import KEY_LIFETIME_SECONDS, StripeGateway, stripe_amount
from app.settings import Settings

API_KEY = "sk_test_51CanaryOfTheKey"
GOOD_CARD, DECLINED_LATER_CARD = "4242424242424242", "4000000000000341"


@pytest.fixture(scope="module")
def local_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """localstripe as a process."""
    port, folder = free_port(), tmp_path_factory.mktemp("localstripe")
    command = [str(Path(sys.executable).with_name("localstripe")), "--port", str(port), "--from-scratch"]
    with child("localstripe", command, {}, folder / "log") as process:
        url = f"http://127.0.0.1:{port}"
        wait_for_http(url + "/js.stripe.com/v3/", process)
        yield url


@pytest.fixture(scope="module")
def local(local_url: str) -> stripe.StripeClient:
    """A client of our own, to look with."""
    return stripe.StripeClient(API_KEY, base_addresses={"api": local_url})


@pytest.fixture
def gateway(local_url: str) -> StripeGateway:
    return StripeGateway(API_KEY, local_url, 10.0)


def card(local: stripe.StripeClient, number: str) -> str:
    """The token of a new payment method."""
    details = {"number": number, "exp_month": 12, "exp_year": 2030, "cvc": "123"}
    return local.v1.payment_methods.create({"type": "card", "card": details}).id  # type: ignore[typeddict-item]


def request_for(method: str = "pm_card_visa", reference: str | None = None, **changes: object) -> Request:
    base = Request(str(uuid.uuid4()), 49_900, "EUR", method, reference)
    return replace(base, **changes)  # type: ignore[arg-type]


def authorized(gateway: StripeGateway, local: stripe.StripeClient) -> Request:
    request = request_for(card(local, GOOD_CARD))
    outcome = gateway.authorize(request, "a")
    assert isinstance(outcome, Approved)
    return replace(request, reference=outcome.reference)


def test_an_authorization_is_an_intent_that_waits_for_its_capture(
    gateway: StripeGateway, local: stripe.StripeClient
) -> None:
    request = authorized(gateway, local)
    seen = local.v1.payment_intents.retrieve(str(request.reference))
    assert (seen.status, seen.amount, seen.currency) == ("requires_capture", 49_900, "eur")
    assert seen.metadata["order_id"] == request.order_id


def test_a_capture_takes_the_whole_amount_and_again_finds_it_taken(
    gateway: StripeGateway, local: stripe.StripeClient
) -> None:
    request = authorized(gateway, local)
    assert gateway.capture(request, "c") == Approved(str(request.reference))
    assert local.v1.payment_intents.retrieve(str(request.reference)).status == "succeeded"
    assert gateway.capture(request, "another key") == Approved(str(request.reference))


def test_a_void_lets_go_and_again_finds_it_let_go(gateway: StripeGateway, local: stripe.StripeClient) -> None:
    request = authorized(gateway, local)
    assert gateway.void(request, "v") == Approved(str(request.reference))
    assert local.v1.payment_intents.retrieve(str(request.reference)).status == "canceled"
    assert gateway.void(request, "another key") == Approved(str(request.reference))


def test_a_captured_payment_is_not_voided_but_refunded(gateway: StripeGateway, local: stripe.StripeClient) -> None:
    request = authorized(gateway, local)
    gateway.capture(request, "c")
    assert isinstance(gateway.void(request, "v"), Declined)
    assert gateway.refund(request, "r") == Approved(str(request.reference))
    refunds = local.v1.refunds.list({"payment_intent": str(request.reference)})
    assert [(refund.amount, refund.status) for refund in refunds.data] == [(49_900, "succeeded")]


def test_a_card_that_is_declined_is_declined_with_stripe_s_code(
    gateway: StripeGateway, local: stripe.StripeClient
) -> None:
    outcome = gateway.authorize(request_for(card(local, DECLINED_LATER_CARD)), "a")
    assert outcome == Declined("card_declined")


def test_a_payment_method_that_is_not_there_is_declined(gateway: StripeGateway) -> None:
    assert isinstance(gateway.authorize(request_for("pm_nothing"), "a"), Declined)


@pytest.mark.parametrize(
    ("amount_minor", "currency", "expected"),
    [
        (49_900, "EUR", 49_900),
        (500, "JPY", 500),
        (500, "ISK", 50_000),
        (500, "UGX", 50_000),
        (500, "MGA", 5),
        (501, "MGA", None),
        (1_230, "KWD", 1_230),
        (1_234, "KWD", None),
    ],
)
def test_amounts_are_counted_as_stripe_counts_them(amount_minor: int, currency: str, expected: int | None) -> None:
    assert stripe_amount(amount_minor, currency) == expected


Ask = Callable[[StripeGateway, Request, str], Outcome]
KNOWN = request_for(order_id="o", reference="pi_1")

CREATE, CONFIRM, LOOK = "/v1/payment_intents", "/v1/payment_intents/pi_1/confirm", "/v1/payment_intents/pi_1"
CAPTURE, CANCEL, REFUND = "/v1/payment_intents/pi_1/capture", "/v1/payment_intents/pi_1/cancel", "/v1/refunds"
SEARCH = "/v1/payment_intents/search"


def ask(operation: Ask, script: Script, request: Request = KNOWN) -> tuple[Outcome, ScriptedStripe]:
    """The outcome of one operation against a script."""
    with scripted_stripe(script) as server:
        return operation(StripeGateway(API_KEY, server.url, 5.0), request, "o:op"), server


def by_path(**replies: Reply | list[Reply]) -> Script:
    """Answers by name of the call; of a list one after another, the last for ever."""
    names = {"create": CREATE, "confirm": CONFIRM, "look": LOOK, "capture": CAPTURE, "cancel": CANCEL}
    names |= {"refund": REFUND, "search": SEARCH}
    queues = {names[name]: list(one) if isinstance(one, list) else [one] for name, one in replies.items()}

    def script(seen: Seen) -> Reply:
        queue = queues[seen.path]
        return queue.pop(0) if len(queue) > 1 else queue[0]

    return script


SERVER_ERROR = fault(500, "api_error")
KEPT_ERROR = fault(500, "api_error", replayed=True)
MADE = intent("requires_confirmation")
HELD = intent("requires_capture")


def test_each_step_carries_its_own_key_made_of_the_operation_s_and_the_secret_in_the_header_only() -> None:
    outcome, server = ask(StripeGateway.authorize, by_path(create=MADE, confirm=HELD))
    assert outcome == Approved("pi_1")
    assert server.calls == [(f"POST {CREATE}", "o:op"), (f"POST {CONFIRM}", "o:op:confirm")]
    assert server.seen[0].fields == {
        "amount": "49900",
        "currency": "eur",
        "payment_method": "pm_card_visa",
        "payment_method_types[0]": "card",
        "capture_method": "manual",
        "metadata[order_id]": "o",
    }
    assert {one.authorization for one in server.seen} == {f"Bearer {API_KEY}"}


@pytest.mark.parametrize(
    ("operation", "path", "done"),
    [
        (StripeGateway.capture, CAPTURE, intent("succeeded")),
        (StripeGateway.void, CANCEL, intent("canceled")),
        (StripeGateway.refund, REFUND, Reply(200, {"id": "re_1", "object": "refund", "status": "pending"})),
    ],
)
def test_later_operations_carry_the_operation_s_key(operation: Ask, path: str, done: Reply) -> None:
    outcome, server = ask(operation, lambda _seen: done)
    assert outcome == Approved("pi_1")
    assert server.calls == [(f"POST {path}", "o:op")]


@pytest.mark.parametrize(
    "bad",
    [
        SERVER_ERROR,
        Reply(None),
        fault(429, "invalid_request_error", "rate_limit"),
        fault(409, "invalid_request_error", "idempotency_key_in_use"),
        fault(400, "idempotency_error"),
        fault(401, "invalid_request_error"),
        fault(403, "invalid_request_error"),
    ],
)
def test_what_is_no_clear_answer_of_a_creation_is_unknown(bad: Reply) -> None:
    outcome, _ = ask(StripeGateway.authorize, by_path(create=bad))
    assert isinstance(outcome, Unknown)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (HELD, Approved("pi_1")),
        (intent("requires_confirmation"), None),
        (intent("processing"), None),
        (intent("canceled", cancellation_reason="automatic"), Declined("automatic")),
        (
            intent(
                "requires_payment_method", last_payment_error={"code": "card_declined", "decline_code": "do_not_honor"}
            ),
            Declined("do_not_honor"),
        ),
        (intent("requires_action"), Declined("authentication_required")),
    ],
)
def test_after_a_server_error_the_intent_itself_says_what_became_of_the_authorization(
    found: Reply, expected: Outcome | None
) -> None:
    outcome, _ = ask(StripeGateway.authorize, by_path(create=MADE, confirm=SERVER_ERROR, look=found))
    assert isinstance(outcome, Unknown) if expected is None else outcome == expected


@pytest.mark.parametrize(
    ("operation", "name", "done"),
    [(StripeGateway.capture, "capture", "succeeded"), (StripeGateway.void, "cancel", "canceled")],
)
def test_after_a_server_error_the_intent_says_what_became_of_a_capture_or_a_void(
    operation: Ask, name: str, done: str
) -> None:
    outcome, _ = ask(operation, by_path(**{name: SERVER_ERROR, "look": intent(done)}))
    assert outcome == Approved("pi_1")
    outcome, _ = ask(operation, by_path(**{name: SERVER_ERROR, "look": HELD}))
    assert isinstance(outcome, Unknown)


def test_a_key_that_keeps_a_server_error_is_followed_by_the_next_of_a_few_fixed_ones() -> None:
    script = by_path(create=[KEPT_ERROR, MADE], confirm=[KEPT_ERROR, KEPT_ERROR, HELD])
    outcome, server = ask(StripeGateway.authorize, script)
    assert outcome == Approved("pi_1")
    assert [key for _, key in server.calls] == [
        "o:op",
        "o:op:2",
        "o:op:confirm",
        "o:op:confirm:2",
        "o:op:confirm:3",
    ]


def test_a_server_error_that_was_not_kept_is_never_followed_by_another_key() -> None:
    _, server = ask(StripeGateway.authorize, by_path(create=SERVER_ERROR))
    assert server.calls == [(f"POST {CREATE}", "o:op")]
    _, server = ask(StripeGateway.refund, by_path(refund=SERVER_ERROR))
    assert server.calls == [(f"POST {REFUND}", "o:op")]


def test_an_expired_authorization_is_a_capture_declined() -> None:
    gone = fault(400, "invalid_request_error", "payment_intent_unexpected_state")
    outcome, _ = ask(StripeGateway.capture, by_path(capture=gone, look=intent("canceled")))
    assert outcome == Declined("payment_intent_unexpected_state")


def test_a_declined_confirmation_is_declined_with_the_bank_s_code() -> None:
    no = fault(402, "card_error", "card_declined", decline_code="insufficient_funds")
    failed = intent("requires_payment_method", last_payment_error={"decline_code": "insufficient_funds"})
    outcome, _ = ask(StripeGateway.authorize, by_path(create=MADE, confirm=no, look=failed))
    assert outcome == Declined("insufficient_funds")


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (fault(400, "invalid_request_error", "charge_already_refunded"), Approved("pi_1")),
        (fault(400, "invalid_request_error", "charge_disputed"), Declined("charge_disputed")),
        (Reply(200, {"object": "refund", "status": "failed", "failure_reason": "lost_or_stolen_card"}), None),
    ],
)
def test_a_refund_is_done_once_and_its_failure_has_a_reason(reply: Reply, expected: Outcome | None) -> None:
    outcome, _ = ask(StripeGateway.refund, by_path(refund=reply))
    assert outcome == (expected or Declined("lost_or_stolen_card"))


def test_a_request_older_than_its_key_looks_for_the_intent_before_it_makes_another() -> None:
    old = replace(KNOWN, asked_seconds_ago=KEY_LIFETIME_SECONDS + 1.0)
    found = Reply(200, {"object": "search_result", "data": [HELD.body], "has_more": False})
    outcome, server = ask(StripeGateway.authorize, by_path(search=found), old)
    assert outcome == Approved("pi_1")
    assert server.seen[0].fields["query"] == "metadata['order_id']:'o'"
    none = Reply(200, {"object": "search_result", "data": [], "has_more": False})
    outcome, server = ask(StripeGateway.authorize, by_path(search=none, create=MADE, confirm=HELD), old)
    assert outcome == Approved("pi_1")
    outcome, server = ask(StripeGateway.authorize, by_path(search=fault(400, "invalid_request_error")), old)
    assert isinstance(outcome, Unknown)
    assert len(server.calls) == 1


def test_an_amount_that_no_card_can_carry_is_declined_without_a_call() -> None:
    outcome, server = ask(StripeGateway.authorize, by_path(), replace(KNOWN, amount_minor=1_234, currency="KWD"))
    assert outcome == Declined("amount_not_chargeable")
    assert server.calls == []


def test_the_key_is_in_no_log_line_and_no_outcome(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    outcomes = [
        ask(StripeGateway.authorize, by_path(create=bad))[0]
        for bad in (SERVER_ERROR, fault(401, "invalid_request_error"), Reply(None))
    ]
    assert API_KEY not in caplog.text + str(outcomes) + repr(settings_with(stripe_api_key=SecretStr(API_KEY)))


def settings_with(**changes: object) -> Settings:
    return Settings(**changes)  # type: ignore[arg-type]


def test_the_settings_choose_the_gateway() -> None:
    assert isinstance(gateway_of(settings_with()), SimulatorGateway)
    chosen = gateway_of(settings_with(payment_gateway="stripe", stripe_api_key=SecretStr(API_KEY)))
    assert isinstance(chosen, StripeGateway)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"payment_gateway": "stripe"}, "FAIRDROP_STRIPE_API_KEY"),
        ({"payment_gateway": "stripe", "stripe_api_key": SecretStr("sk_live_1")}, "live key"),
        ({"environment": "production", "auth_jwks_url": "https://x"}, "FAIRDROP_PAYMENT_GATEWAY"),
    ],
)
def test_a_gateway_that_must_not_be_used_is_refused_by_the_variable_s_name(
    changes: dict[str, object], named: str
) -> None:
    with pytest.raises(GatewayMisconfigured, match=named):
        gateway_of(settings_with(**changes))
