"""Which order events concern a payment, and which can never be handled."""

from typing import Any

import pytest
from payments_samples import event, terms

from app.domain.sale import MAX_LIMIT_PER_CUSTOMER, MAX_UNIT_PRICE_MINOR
from app.payments.order_events import MAX_AMOUNT_MINOR, OrderEventRefused, wish_of
from app.payments.payment import Wish
from app.payments.states import Wanted


def asked(kind: str, **changes: Any) -> Wish | None:
    sent = event(kind, **changes)
    return wish_of(sent.type, sent.order_id, sent.data)


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [("reserved", Wanted.AUTHORIZE), ("confirmed", Wanted.CAPTURE), ("released", Wanted.VOID)],
)
def test_an_event_asks_for_what_its_type_says_on_the_order_s_terms(kind: str, wanted: Wanted) -> None:
    assert asked(kind) == Wish(terms(), wanted)


@pytest.mark.parametrize("kind", ["placed", "authorized", "waitlisted", "cancelled", "lapsed", "something_new"])
def test_other_events_concern_no_payment(kind: str) -> None:
    assert asked(kind, amount_minor="not even read") is None


@pytest.mark.parametrize("kind", ["reserved", "confirmed", "released"])
def test_a_free_order_needs_no_payment(kind: str) -> None:
    assert asked(kind, amount_minor=0, payment_method=None) is None


def test_a_release_needs_no_payment_method() -> None:
    assert asked("released", payment_method=None) == Wish(terms(payment_method=None), Wanted.VOID)


@pytest.mark.parametrize("kind", ["reserved", "confirmed"])
def test_money_cannot_be_asked_of_no_payment_method(kind: str) -> None:
    with pytest.raises(OrderEventRefused, match="payment_method: is missing"):
        asked(kind, payment_method=None)


@pytest.mark.parametrize(
    "changes",
    [
        {"amount_minor": -1},
        {"amount_minor": 10**15 + 1},
        {"amount_minor": 1.5},
        {"amount_minor": "49900"},
        {"currency": "eur"},
        {"currency": "EUR\n"},
        {"currency": None},
        {"sale_id": ""},
        {"sale_id": "s" * 65},
        {"customer_id": "c" * 129},
        {"payment_method": ""},
        {"payment_method": "t" * 257},
        {"payment_method": 7},
    ],
)
def test_terms_that_no_row_could_hold_are_refused_with_the_field_s_name(changes: dict[str, Any]) -> None:
    with pytest.raises(OrderEventRefused, match=f"^{next(iter(changes))}: "):
        asked("reserved", **changes)


def test_data_about_another_order_than_the_message_is_refused() -> None:
    sent = event("reserved", "order-1")
    with pytest.raises(OrderEventRefused, match="order_id"):
        wish_of(sent.type, "order-2", sent.data)


def test_a_field_that_is_missing_is_refused() -> None:
    sent = event("reserved")
    del sent.data["currency"]
    with pytest.raises(OrderEventRefused, match="currency"):
        wish_of(sent.type, sent.order_id, sent.data)


def test_the_refusal_does_not_repeat_what_was_sent() -> None:
    with pytest.raises(OrderEventRefused) as refused:
        asked("reserved", payment_method="4000000000000002" * 20)
    assert "4000" not in str(refused.value)


def test_the_dearest_order_that_a_sale_may_have_is_within_the_bound() -> None:
    assert MAX_AMOUNT_MINOR >= MAX_UNIT_PRICE_MINOR * MAX_LIMIT_PER_CUSTOMER
