"""Asking a gateway within bounds: the same key every time, a limit on tries, time and calls at once."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from payments_samples import QUICK, START, ModelGateway, terms

from app.payments.asking import Asker, Patience
from app.payments.gateways import Approved, Outcome, Request, Unknown
from app.payments.payment import Payment
from app.payments.states import Operation, State, Wanted

LONG_SECONDS = 60.0
"""Ends a test that would hang; no test expects anything to happen within it."""


def waiting(order_id: str, state: State = State.AUTHORIZING) -> Payment:
    reference = None if state is State.AUTHORIZING else f"auth-{order_id}"
    return Payment(terms(order_id), Wanted.AUTHORIZE, state, reference, open_since=START)


def asker(gateway: ModelGateway, patience: Patience = QUICK, stop: threading.Event | None = None) -> Asker:
    return Asker(gateway, 4, patience, stop or threading.Event())


def ask(asking: Asker, *payments: Payment) -> dict[str, Outcome]:
    try:
        found = asking.ask(payments, START, asking.deadline())
        assert all(operation is Operation.AUTHORIZE for operation, _ in found.values())
        return {order_id: outcome for order_id, (_, outcome) in found.items()}
    finally:
        asking.close()


def fates(*kinds: str) -> Iterator[str]:
    yield from kinds
    raise AssertionError("asked more often than the test says")


def test_an_unknown_outcome_is_asked_again_with_the_same_key_until_it_is_known() -> None:
    script = fates("failed", "lost", "answered")
    gateway = ModelGateway(fate=lambda _key: next(script))
    assert ask(asker(gateway), waiting("a")) == {"a": Approved("auth-a")}
    assert gateway.calls == {"a:authorize": 3}
    assert gateway.accounts["a"].authorizations == 1


def test_after_the_last_try_the_outcome_stays_unknown_and_is_not_guessed() -> None:
    gateway = ModelGateway(fate=lambda _key: "lost")
    assert ask(asker(gateway), waiting("a")) == {"a": Unknown("lost")}
    assert gateway.calls == {"a:authorize": QUICK.tries}


def test_a_gateway_that_answers_one_payment_late_or_never_does_not_spoil_the_others() -> None:
    gateway = ModelGateway(fate=lambda key: "failed" if key == "b:authorize" else "answered")
    outcomes = ask(asker(gateway), waiting("a"), waiting("b"), waiting("c"))
    assert outcomes == {"a": Approved("auth-a"), "b": Unknown("failed"), "c": Approved("auth-c")}


def test_a_fault_in_a_gateway_s_own_code_is_an_unknown_outcome() -> None:
    class Faulty(ModelGateway):
        def authorize(self, request: Request, key: str) -> Outcome:
            if request.order_id == "b":
                raise ZeroDivisionError
            return super().authorize(request, key)

    outcomes = ask(asker(Faulty()), waiting("a"), waiting("b"))
    assert outcomes["a"] == Approved("auth-a")
    assert isinstance(outcomes["b"], Unknown)


def test_past_the_batch_s_budget_no_call_is_begun() -> None:
    gateway = ModelGateway()
    outcomes = ask(asker(gateway, replace(QUICK, budget_seconds=-1.0)), waiting("a"))
    assert isinstance(outcomes["a"], Unknown)
    assert gateway.calls == {}


def test_once_the_worker_stops_no_try_is_begun_and_no_wait_is_waited_out() -> None:
    stop = threading.Event()

    def fate(_key: str) -> str:
        stop.set()
        return "failed"

    gateway = ModelGateway(fate=fate)
    slow = Patience(tries=9, first_wait_seconds=LONG_SECONDS, longest_wait_seconds=LONG_SECONDS)
    began = time.monotonic()
    assert ask(asker(gateway, slow, stop), waiting("a")) == {"a": Unknown("failed")}
    assert gateway.calls == {"a:authorize": 1}
    assert time.monotonic() - began < LONG_SECONDS / 2


def test_calls_are_made_at_once_but_no_more_than_allowed() -> None:
    all_in = threading.Barrier(4)
    inside, most = 0, 0
    lock = threading.Lock()

    class Busy(ModelGateway):
        def authorize(self, request: Request, key: str) -> Outcome:
            nonlocal inside, most
            with lock:
                inside += 1
                most = max(most, inside)
            all_in.wait(LONG_SECONDS)
            with lock:
                inside -= 1
            return super().authorize(request, key)

    ask(asker(Busy()), *(waiting(f"order-{n}") for n in range(12)))
    assert most == 4


@pytest.mark.parametrize(
    ("state", "key"),
    [
        (State.AUTHORIZING, "a:authorize"),
        (State.CAPTURING, "a:capture"),
        (State.VOIDING, "a:void"),
        (State.REFUNDING, "a:refund"),
    ],
)
def test_each_operation_has_its_own_key(state: State, key: str) -> None:
    gateway = ModelGateway(fate=lambda _key: "failed")
    asking = asker(gateway, replace(QUICK, tries=1))
    asking.ask([waiting("a", state)], START, asking.deadline())
    asking.close()
    assert gateway.calls == {key: 1}


def test_a_payment_that_rests_is_not_asked_about() -> None:
    gateway = ModelGateway()
    assert ask(asker(gateway), waiting("a", State.AUTHORIZED)) == {}
    assert gateway.calls == {}


def test_the_gateway_is_told_how_old_the_request_is_by_the_database_s_clock() -> None:
    gateway = ModelGateway()
    asking = asker(gateway)
    asking.ask([waiting("a")], START.replace(hour=14), asking.deadline())
    asking.close()
    assert [request.asked_seconds_ago for request in gateway.requests] == [7_200.0]
