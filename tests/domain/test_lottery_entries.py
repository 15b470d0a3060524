"""The decision over a batch of entries to a lottery: all come in, none takes anything, one a customer."""

from datetime import timedelta

import pytest
from domain_samples import NOON, SALE_ID, a_request, a_sale, a_shard, stored
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import (
    AlreadyEntered,
    FairdropError,
    LimitExceeded,
    PaymentMethodRequired,
    SaleClosed,
    TransitionRefused,
    WithdrawalClosed,
)
from app.domain.orders import OrderRequest
from app.domain.placement import Decision, NewOrder, Refused, Replayed, decide
from app.domain.promotion import WaitingOrder
from app.domain.sale import Policy, Sale, SaleState
from app.domain.settlement import Moved, OrderKey, OrderRecord, Settlement, apply
from app.domain.settlement import Refused as SettlementRefused
from app.domain.states import Status, Trigger


def a_lottery(**terms: object) -> Sale:
    return a_sale(**{"policy": Policy.LOTTERY, "limit_per_customer": 3, **terms})


def decided(sale: Sale, *batch: OrderRequest, **facts: object) -> Decision:
    """With the home shard alone, for an entry never needs the others."""
    decision = decide(sale, a_shard(0, version=7), None, facts.get("existing", {}), batch, facts.get("refusal"))  # type: ignore[arg-type]
    assert isinstance(decision, Decision)
    return decision


def error_of(decision: Decision) -> FairdropError:
    outcome = decision.outcomes[-1]
    assert isinstance(outcome, Refused)
    return outcome.error


@given(st.lists(st.integers(1, 3), min_size=1, max_size=50))
def test_every_entry_comes_in_without_stock_and_gives_its_shard_a_new_version(units: list[int]) -> None:
    decision = decided(a_lottery(), *(a_request(f"c{n}", count) for n, count in enumerate(units)))
    assert [new.status for new in decision.new_orders] == [Status.ENTERED] * len(units)
    assert [new.seq for new in decision.new_orders] == list(range(len(units)))
    # So that an entry built on old terms, or on a sale that was open, fails whole.
    assert decision.shards == [a_shard(0, version=8)]


def test_what_brings_no_entry_gives_no_new_version() -> None:
    request = a_request("ann")
    decision = decided(a_lottery(), request, existing={"ann": [stored(request, Status.ENTERED)]})
    assert isinstance(decision.outcomes[0], Replayed)
    assert decision.shards == []
    refused = decided(a_lottery(), request, refusal=SaleClosed(closes_at=NOON))
    assert isinstance(error_of(refused), SaleClosed)
    assert refused.shards == []


def test_a_customer_has_one_entry_stored_or_of_the_same_batch() -> None:
    first, second = a_request("ann", key="1"), a_request("ann", key="2")
    batch = decided(a_lottery(), first, second)
    assert isinstance(batch.outcomes[0], NewOrder)
    error = error_of(batch)
    assert isinstance(error, AlreadyEntered)
    assert error.order_id == first.order_id
    assert isinstance(
        error_of(decided(a_lottery(), second, existing={"ann": [stored(first, Status.ENTERED)]})), AlreadyEntered
    )
    again = decided(a_lottery(), second, existing={"ann": [stored(first, Status.CANCELLED)]})
    assert isinstance(again.outcomes[0], NewOrder)


def test_two_tries_of_one_request_in_a_batch_are_one_entry() -> None:
    request = a_request("ann")
    decision = decided(a_lottery(), request, request)
    assert decision.outcomes[0] is decision.outcomes[1]
    assert len(decision.new_orders) == 1


def test_an_entry_keeps_to_the_sale_s_terms() -> None:
    assert isinstance(error_of(decided(a_lottery(), a_request("ann", units=4))), LimitExceeded)
    assert isinstance(error_of(decided(a_lottery(unit_price_minor=5), a_request("ann"))), PaymentMethodRequired)


def withdrawn(sale: Sale, status: Status, seconds: float) -> object:
    order = stored(a_request("ann"), status)
    key = OrderKey("ann", SALE_ID, order.order_id)
    now = NOON + timedelta(seconds=seconds)
    return apply(sale, {key: OrderRecord(order, None)}, [Settlement(key, Trigger.CANCEL, "customer")], now).outcomes[0]


def test_an_entry_is_withdrawn_only_before_the_close() -> None:
    sale = a_lottery()
    assert isinstance(withdrawn(sale, Status.ENTERED, 3_599), Moved)
    for late in (
        withdrawn(sale, Status.ENTERED, 3_600),
        withdrawn(a_lottery(state=SaleState.CLOSED), Status.ENTERED, 1),
    ):
        assert isinstance(late, SettlementRefused)
        assert isinstance(late.error, WithdrawalClosed)
        assert late.error.closed_at <= sale.closes_at
    assert isinstance(withdrawn(sale, Status.WAITLISTED, 3_600), Moved)


@pytest.mark.parametrize("trigger", [Trigger.AUTHORIZE, Trigger.PROMOTE, Trigger.EXPIRE, Trigger.CAPTURE])
def test_an_entry_is_neither_paid_nor_promoted_before_the_draw(trigger: Trigger) -> None:
    order = stored(a_request("ann"), Status.ENTERED)
    key = OrderKey("ann", SALE_ID, order.order_id)
    (outcome,) = apply(a_lottery(), {key: OrderRecord(order, None)}, [Settlement(key, trigger, "test")], NOON).outcomes
    assert isinstance(outcome, SettlementRefused)
    assert isinstance(outcome.error, TransitionRefused)


def test_a_drawn_line_is_in_the_order_of_the_draw_whoever_came_first() -> None:
    early = WaitingOrder("ann", "a", 1, 0, NOON, 0, draw_place=9)
    late = WaitingOrder("ben", "b", 1, 3, NOON + timedelta(hours=1), 5, draw_place=8)
    assert sorted([early, late], key=lambda order: order.position) == [late, early]
