"""How a payment moves: the decision on one row, without any database."""

import zlib

import pytest
from payments_samples import terms

from app.payments.gateways import Approved, Declined
from app.payments.payment import NEVER_AUTHORIZED, Answer, Payment, PaymentEvent, Wish, advance
from app.payments.states import FOR_A_PERSON, IN_PROGRESS, Operation, State, Wanted


def wish(wanted: Wanted) -> Wish:
    return Wish(terms(), wanted)


def moved(payment: Payment | None, wanted: Wanted | None = None, answer: Answer | None = None) -> Payment:
    after, _ = advance(payment, wish(wanted) if wanted else None, answer)
    assert after is not None
    return after


def played(*steps: Wanted | Answer) -> tuple[Payment, list[PaymentEvent]]:
    """The payment after these steps, and all its events."""
    payment: Payment | None = None
    told: list[PaymentEvent] = []
    for step in steps:
        args = (None, step) if isinstance(step, Answer) else (wish(step), None)
        payment, events = advance(payment, *args)
        told += events
    assert payment is not None
    return payment, told


AUTHORIZED = Answer(Operation.AUTHORIZE, Approved("auth-1"))
CAPTURED = Answer(Operation.CAPTURE, Approved("auth-1"))
VOIDED = Answer(Operation.VOID, Approved("auth-1"))
REFUNDED = Answer(Operation.REFUND, Approved("auth-1"))


def test_a_release_before_its_reservation_is_remembered_and_the_gateway_never_asked() -> None:
    payment, events = played(Wanted.VOID, Wanted.AUTHORIZE, Wanted.CAPTURE)
    assert (payment.state, payment.operation, payment.wanted) == (State.VOIDED, None, Wanted.VOID)
    assert [(e.event_type, e.payload["reason"]) for e in events] == [("payment.voided", NEVER_AUTHORIZED)]


def test_a_confirmation_before_its_reservation_authorizes_and_then_captures() -> None:
    payment, events = played(Wanted.CAPTURE, AUTHORIZED)
    assert (payment.state, payment.reference) == (State.CAPTURING, "auth-1")
    payment, events = played(Wanted.CAPTURE, AUTHORIZED, Wanted.AUTHORIZE, CAPTURED)
    assert payment.state is State.CAPTURED
    assert [e.event_type for e in events] == ["payment.authorized", "payment.captured"]


def test_a_release_while_the_authorization_is_unknown_waits_for_the_answer_and_then_voids() -> None:
    payment, _ = played(Wanted.AUTHORIZE, Wanted.VOID)
    assert payment.operation is Operation.AUTHORIZE
    payment, events = played(Wanted.AUTHORIZE, Wanted.VOID, AUTHORIZED)
    assert payment.operation is Operation.VOID
    assert [e.event_type for e in events] == ["payment.authorized"]


def test_a_release_after_the_capture_gives_the_whole_amount_back_and_says_so() -> None:
    payment, events = played(Wanted.CAPTURE, AUTHORIZED, CAPTURED, Wanted.VOID, REFUNDED)
    assert payment.state is State.REFUNDED
    assert [(e.event_seq, e.event_type) for e in events] == [
        (1, "payment.authorized"),
        (2, "payment.captured"),
        (3, "payment.voided"),
    ]
    assert ["refunded_minor" in e.payload for e in events] == [False, False, True]
    assert events[-1].payload["refunded_minor"] == terms().amount_minor


def test_a_failed_capture_leaves_no_authorization_behind_once_the_order_is_released() -> None:
    failed = Answer(Operation.CAPTURE, Declined("authorization_expired"))
    payment, events = played(Wanted.CAPTURE, AUTHORIZED, failed)
    assert (payment.state, payment.operation) == (State.CAPTURE_FAILED, None)
    assert events[-1].payload["reason"] == "authorization_expired"
    payment, _ = played(Wanted.CAPTURE, AUTHORIZED, failed, Wanted.VOID)
    assert (payment.operation, payment.reference) == (Operation.VOID, "auth-1")


def test_a_declined_payment_stays_declined_when_its_order_is_released() -> None:
    declined = Answer(Operation.AUTHORIZE, Declined("insufficient_funds"))
    payment, events = played(Wanted.AUTHORIZE, declined, Wanted.VOID)
    assert payment.state is State.DECLINED
    assert [(e.event_type, e.payload["reason"]) for e in events] == [("payment.declined", "insufficient_funds")]


@pytest.mark.parametrize("answer", [AUTHORIZED, CAPTURED, VOIDED, REFUNDED])
@pytest.mark.parametrize("state", State)
def test_an_answer_is_taken_only_by_the_state_that_waits_for_it(state: State, answer: Answer) -> None:
    payment = Payment(terms(), Wanted.AUTHORIZE, state, "auth-1", event_seq=3)
    after, events = advance(payment, None, answer)
    if IN_PROGRESS.get(state) is answer.operation:
        assert after != payment
        assert [e.event_seq for e in events] == [4]
    else:
        assert (after, events) == (payment, [])


@pytest.mark.parametrize("wanted", Wanted)
@pytest.mark.parametrize("state", State)
def test_the_same_wish_again_changes_nothing(state: State, wanted: Wanted) -> None:
    once = moved(Payment(terms(), Wanted.AUTHORIZE, state, "auth-1"), wanted)
    assert advance(once, wish(wanted), None) == (once, [])


def test_a_wish_on_other_terms_changes_nothing() -> None:
    payment, _ = played(Wanted.AUTHORIZE, AUTHORIZED)
    for changed in ({"amount_minor": 1}, {"currency": "USD"}, {"customer_id": "another"}, {"sale_id": "another"}):
        assert advance(payment, Wish(terms(**changed), Wanted.CAPTURE), None) == (payment, [])


def test_an_answer_about_a_payment_that_is_not_there_makes_none() -> None:
    assert advance(None, None, AUTHORIZED) == (None, [])


def test_a_reason_is_cut_to_what_the_column_takes() -> None:
    payment, _ = played(Wanted.AUTHORIZE, Answer(Operation.AUTHORIZE, Declined("x" * 300)))
    assert payment.reason == "x" * 200


@pytest.mark.parametrize("state", State)
def test_a_payment_is_open_while_an_answer_is_owed_or_a_person_must_look(state: State) -> None:
    assert Payment(terms(), Wanted.VOID, state).is_open == (state in IN_PROGRESS or state in FOR_A_PERSON)


def test_all_events_of_a_payment_are_in_one_outbox_shard_by_its_order() -> None:
    payment = Payment(terms("order-7"), Wanted.VOID, State.VOIDED)
    assert payment.outbox_shard == zlib.crc32(b"order-7") % 16
