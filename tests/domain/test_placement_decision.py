"""The decision over a batch, by example."""

import pytest
from domain_samples import NOON, a_request, a_sale, a_shard, stored

from app.domain.errors import (
    IdempotencyKeyReused,
    LimitExceeded,
    PaymentMethodRequired,
    SaleNotOpen,
    SoldOut,
)
from app.domain.orders import Order, OrderRequest
from app.domain.placement import Decision, NewOrder, OtherShardsNeeded, Refused, Replayed, decide
from app.domain.sale import Sale
from app.domain.states import LIVE, Status, Trigger
from app.domain.stock import Cause, ShardState


def decided(
    batch: list[OrderRequest],
    home: ShardState,
    others: list[ShardState] | None = None,
    *,
    sale: Sale | None = None,
    existing: list[Order] | None = None,
    refusal: SaleNotOpen | None = None,
) -> Decision:
    by_customer: dict[str, list[Order]] = {}
    for order in existing or []:
        by_customer.setdefault(order.customer_id, []).append(order)
    decision = decide(sale or a_sale(), home, others, by_customer, batch, refusal)
    assert isinstance(decision, Decision)
    return decision


def statuses(decision: Decision) -> list[str]:
    """What became of each request, in a word."""
    words = []
    for outcome in decision.outcomes:
        match outcome:
            case NewOrder():
                words.append(outcome.status.value)
            case Replayed():
                words.append("replayed")
            case Refused():
                words.append(type(outcome.error).__name__)
    return words


def test_an_order_takes_its_units_from_the_home_shard_and_bumps_its_version() -> None:
    decision = decided([a_request("ann", 3)], a_shard(10, sold=2, version=7))
    assert decision.shards == [ShardState(0, 8, allocated=12, available=7, waiting=0)]
    assert decision.cause is Cause.PLACED


def test_a_free_order_is_placed_at_once_and_a_priced_one_is_held_for_its_payment() -> None:
    free = decided([a_request("ann")], a_shard(1))
    priced = decided([a_request("ann", payment_method="tok_visa")], a_shard(1), sale=a_sale(unit_price_minor=100))
    assert [(o.trigger, o.status) for o in free.new_orders] == [(Trigger.CLAIM, Status.PLACED)]
    assert [(o.trigger, o.status) for o in priced.new_orders] == [(Trigger.RESERVE, Status.PENDING)]


def test_seq_is_the_arrival_order_of_the_recorded_orders_whatever_stands_between_them() -> None:
    known = a_request("bob")
    batch = [a_request("ann"), known, a_request("cat"), a_request("ann", 9_999, "second"), a_request("dan")]
    decision = decided(batch, a_shard(2), [], existing=[stored(known)])
    assert statuses(decision) == ["PLACED", "replayed", "PLACED", "LimitExceeded", "WAITLISTED"]
    assert [(o.request.customer_id, o.seq) for o in decision.new_orders] == [("ann", 0), ("cat", 1), ("dan", 2)]


def test_other_shards_are_asked_for_only_when_the_home_shard_is_short() -> None:
    assert decided([a_request("ann", 5)], a_shard(5), None).new_orders[0].status is Status.PLACED
    assert isinstance(decide(a_sale(), a_shard(5), None, {}, [a_request("ann", 6)]), OtherShardsNeeded)


def test_a_refusal_that_no_stock_could_change_needs_no_other_shards() -> None:
    too_many = a_request("ann", 6)
    decision = decided([too_many], a_shard(0), None, sale=a_sale(limit_per_customer=5))
    assert statuses(decision) == ["LimitExceeded"]


def test_stock_is_taken_over_from_another_shard_before_anybody_waits() -> None:
    decision = decided([a_request("ann", 4)], a_shard(1), [a_shard(2, shard_id=1), a_shard(3, shard_id=2)])
    assert statuses(decision) == ["PLACED"]
    assert decision.cause is Cause.MOVED
    assert sum(s.allocated for s in decision.shards if s.shard_id in (0, 2)) == 4


def test_a_request_too_large_for_what_is_left_waits_and_lets_a_smaller_one_pass() -> None:
    decision = decided([a_request("ann", 3), a_request("bob", 2)], a_shard(2), [])
    assert statuses(decision) == ["WAITLISTED", "PLACED"]


def test_the_waitlist_takes_orders_of_all_shards_up_to_its_limit_and_then_all_is_sold() -> None:
    others = [a_shard(0, shard_id=1, waiting=2)]
    decision = decided([a_request("ann"), a_request("bob")], a_shard(0), others, sale=a_sale(waitlist_limit=3))
    assert statuses(decision) == ["WAITLISTED", "SoldOut"]
    assert decision.shards == [ShardState(0, 2, 0, 0, waiting=1)]


def test_a_sale_without_a_waitlist_is_sold_out_at_once() -> None:
    decision = decided([a_request("ann")], a_shard(0), [], sale=a_sale(waitlist_limit=0))
    assert isinstance(decision.outcomes[0], Refused)
    assert isinstance(decision.outcomes[0].error, SoldOut)
    assert decision.shards == []


def test_two_tries_of_one_request_in_one_batch_share_one_order() -> None:
    decision = decided([a_request("ann", 2), a_request("bob"), a_request("ann", 2)], a_shard(9))
    first, _, again = decision.outcomes
    assert again is first
    assert len(decision.new_orders) == 2
    assert decision.shards[0].available == 6


def test_a_retry_finds_its_order_whatever_its_state_and_takes_nothing() -> None:
    request = a_request("ann", 2)
    for status in Status:
        order = stored(request, status)
        decision = decided([request], a_shard(0), None, existing=[order])
        assert decision.outcomes == [Replayed(order)]
        assert (decision.new_orders, decision.shards) == ([], [])


@pytest.mark.parametrize("other", [a_request("ann", 3), a_request("ann", 2, payment_method="tok")])
def test_a_key_of_another_body_is_refused_against_the_database_and_within_a_batch(other: OrderRequest) -> None:
    first = a_request("ann", 2)
    assert first.order_id == other.order_id
    for decision in (
        decided([other], a_shard(9), existing=[stored(first)]),
        decided([first, other], a_shard(9)),
    ):
        last = decision.outcomes[-1]
        assert isinstance(last, Refused)
        assert isinstance(last.error, IdempotencyKeyReused)
        assert last.error.order_id == first.order_id


@pytest.mark.parametrize("status", sorted(LIVE))
def test_the_limit_counts_every_live_order_waitlisted_ones_included(status: Status) -> None:
    earlier = stored(a_request("ann", 3, "first"), status)
    batch = [a_request("ann", 2, "second"), a_request("ann", 3, "third"), a_request("ann", 2, "fourth")]
    decision = decided(batch, a_shard(99), sale=a_sale(limit_per_customer=7), existing=[earlier])
    assert statuses(decision) == ["PLACED", "LimitExceeded", "PLACED"]
    refused = decision.outcomes[1]
    assert isinstance(refused, Refused)
    assert isinstance(refused.error, LimitExceeded)
    assert (refused.error.limit, refused.error.live_units, refused.error.units) == (7, 5, 3)


def test_the_limit_counts_what_waits_in_the_same_batch() -> None:
    batch = [a_request("ann", 2, "first"), a_request("ann", 1, "second")]
    assert statuses(decided(batch, a_shard(0), [], sale=a_sale(limit_per_customer=2))) == [
        "WAITLISTED",
        "LimitExceeded",
    ]


@pytest.mark.parametrize("status", sorted(set(Status) - LIVE))
def test_the_limit_forgets_orders_that_have_ended(status: Status) -> None:
    ended = stored(a_request("ann", 5, "first"), status)
    decision = decided([a_request("ann", 5, "second")], a_shard(5), sale=a_sale(limit_per_customer=5), existing=[ended])
    assert statuses(decision) == ["PLACED"]


def test_a_priced_order_needs_a_payment_method_also_when_it_would_wait() -> None:
    for home in (a_shard(5), a_shard(0)):
        decision = decided([a_request("ann")], home, [], sale=a_sale(unit_price_minor=1))
        assert isinstance(decision.outcomes[0], Refused)
        assert isinstance(decision.outcomes[0].error, PaymentMethodRequired)


def test_a_sale_that_takes_no_orders_refuses_all_but_earlier_tries() -> None:
    known = a_request("bob")
    refusal = SaleNotOpen(opens_at=NOON, seconds_left=1.0)
    decision = decided([a_request("ann"), known], a_shard(9), None, existing=[stored(known)], refusal=refusal)
    assert statuses(decision) == ["SaleNotOpen", "replayed"]
    assert (decision.new_orders, decision.shards) == ([], [])
