"""The decision over a batch, by property: whatever the shards, the customers and their orders are."""

from collections import defaultdict

from domain_samples import a_request, a_sale, stored
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import LimitExceeded, SoldOut
from app.domain.orders import Order, OrderRequest
from app.domain.placement import Decision, NewOrder, OtherShardsNeeded, Refused, Replayed, decide
from app.domain.sale import Sale
from app.domain.states import HOLDING, LIVE, Status
from app.domain.stock import ShardState

COUNTS = st.integers(0, 6)


@st.composite
def shards(draw: st.DrawFn) -> list[ShardState]:
    """One to five shards, some empty, some with orders waiting."""
    return [
        ShardState(shard_id, draw(st.integers(1, 9)), available + draw(COUNTS), available, draw(COUNTS))
        for shard_id, available in enumerate(draw(st.lists(COUNTS, min_size=1, max_size=5)))
    ]


REQUESTS = st.builds(
    a_request, st.sampled_from("abcdef"), st.integers(1, 4), st.sampled_from(["k1", "k2", "k3"]), st.just("tok")
)
BATCHES = st.lists(REQUESTS, max_size=25)
ORDERS = st.builds(stored, REQUESTS, st.sampled_from(Status))
SALES = st.builds(
    a_sale,
    unit_price_minor=st.sampled_from([0, 999]),
    limit_per_customer=st.integers(1, 10),
    waitlist_limit=st.integers(0, 12),
)


def by_customer(orders: list[Order]) -> dict[str, list[Order]]:
    """Orders by customer, one an order id, as the table's key has it."""
    found: dict[str, list[Order]] = defaultdict(list)
    for order in {order.order_id: order for order in orders}.values():
        found[order.customer_id].append(order)
    return found


def over_all(
    sale: Sale, known: list[ShardState], batch: list[OrderRequest], existing: dict[str, list[Order]] | None = None
) -> Decision:
    decision = decide(sale, known[0], known[1:], existing or {}, batch)
    assert isinstance(decision, Decision)
    return decision


def after(known: list[ShardState], decision: Decision) -> list[ShardState]:
    """The shards as the decision leaves them."""
    changed = {shard.shard_id: shard for shard in decision.shards}
    return [changed.get(shard.shard_id, shard) for shard in known]


@given(SALES, shards(), BATCHES, st.lists(ORDERS, max_size=8))
def test_units_held_are_units_gone_and_no_unit_is_made_or_lost(
    sale: Sale, known: list[ShardState], batch: list[OrderRequest], orders: list[Order]
) -> None:
    decision = over_all(sale, known, batch, by_customer(orders))
    then = after(known, decision)
    held = sum(new.request.units for new in decision.new_orders if new.status in HOLDING)
    waiting = sum(1 for new in decision.new_orders if new.status is Status.WAITLISTED)
    assert sum(s.available for s in then) == sum(s.available for s in known) - held
    assert sum(s.allocated for s in then) == sum(s.allocated for s in known)
    assert sum(s.waiting for s in then) == sum(s.waiting for s in known) + waiting
    # An order's units belong to the home shard: only there does `allocated - available` change.
    sold_before, sold_then = ([s.allocated - s.available for s in states] for states in (known, then))
    assert sold_then == [sold_before[0] + held, *sold_before[1:]]
    assert all(0 <= s.available <= s.allocated for s in then)


@given(SALES, shards(), BATCHES, st.lists(ORDERS, max_size=8))
def test_nobody_waits_or_is_turned_away_while_any_shard_has_stock_for_them(
    sale: Sale, known: list[ShardState], batch: list[OrderRequest], orders: list[Order]
) -> None:
    left = sum(s.available for s in known)
    waiting = sum(s.waiting for s in known)
    seen: set[str] = set()
    for outcome in over_all(sale, known, batch, by_customer(orders)).outcomes:
        if isinstance(outcome, NewOrder) and outcome.request.order_id not in seen:
            seen.add(outcome.request.order_id)
            if outcome.status is Status.WAITLISTED:
                assert outcome.request.units > left
                assert waiting < sale.waitlist_limit
                waiting += 1
            else:
                left -= outcome.request.units
        elif isinstance(outcome, Refused) and isinstance(outcome.error, SoldOut):
            assert waiting >= sale.waitlist_limit


@given(st.integers(1, 3), shards(), st.integers(0, 25), st.integers(0, 10))
def test_an_earlier_request_never_loses_to_a_later_one_for_as_many_units(
    units: int, known: list[ShardState], customers: int, waitlist_limit: int
) -> None:
    batch = [a_request(f"customer-{index}", units) for index in range(customers)]
    rank = {Status.PLACED: 0, Status.WAITLISTED: 1}
    decision = over_all(a_sale(waitlist_limit=waitlist_limit), known, batch)
    fortunes = [rank[o.status] if isinstance(o, NewOrder) else 2 for o in decision.outcomes]
    assert fortunes == sorted(fortunes)


@given(SALES, shards(), BATCHES, st.lists(ORDERS, max_size=8))
def test_no_customer_ends_above_the_limit_who_was_not_above_it_before(
    sale: Sale, known: list[ShardState], batch: list[OrderRequest], orders: list[Order]
) -> None:
    existing = by_customer(orders)
    decision = over_all(sale, known, batch, existing)
    live = {c: sum(o.units for o in theirs if o.status in LIVE) for c, theirs in existing.items()}
    asked = dict(live)
    for new in decision.new_orders:
        customer = new.request.customer_id
        asked[customer] = asked.get(customer, 0) + new.request.units
        assert asked[customer] <= sale.limit_per_customer
    for request, outcome in zip(batch, decision.outcomes, strict=True):
        if isinstance(outcome, Refused) and isinstance(outcome.error, LimitExceeded):
            assert asked.get(request.customer_id, 0) + request.units > sale.limit_per_customer


@given(SALES, shards(), BATCHES, st.lists(ORDERS, max_size=8))
def test_the_same_batch_again_replays_each_recorded_order_and_changes_nothing_of_it(
    sale: Sale, known: list[ShardState], batch: list[OrderRequest], orders: list[Order]
) -> None:
    existing = by_customer(orders)
    decision = over_all(sale, known, batch, existing)
    recorded = [stored(new.request, new.status) for new in decision.new_orders]
    for order in recorded:
        existing.setdefault(order.customer_id, []).append(order)
    retries = [new.request for new in decision.new_orders]
    again = over_all(sale, after(known, decision), retries, existing)
    assert again.outcomes == [Replayed(order) for order in recorded]
    assert again.shards == []


@given(SALES, shards(), BATCHES, st.lists(ORDERS, max_size=8))
def test_the_home_shard_alone_decides_as_all_the_shards_do_or_asks_for_them(
    sale: Sale, known: list[ShardState], batch: list[OrderRequest], orders: list[Order]
) -> None:
    existing = by_customer(orders)
    alone = decide(sale, known[0], None, existing, batch)
    with_all = over_all(sale, known, batch, existing)
    needs_more = len(with_all.shards) > 1 or any(
        (isinstance(o, NewOrder) and o.status is Status.WAITLISTED)
        or (isinstance(o, Refused) and isinstance(o.error, SoldOut))
        for o in with_all.outcomes
    )
    assert isinstance(alone, OtherShardsNeeded) == needs_more
    if isinstance(alone, Decision):
        assert alone.new_orders == with_all.new_orders
        assert alone.shards == with_all.shards


@given(SALES, shards(), BATCHES)
def test_seq_counts_the_recorded_orders_in_arrival_order(
    sale: Sale, known: list[ShardState], batch: list[OrderRequest]
) -> None:
    decision = over_all(sale, known, batch)
    assert [new.seq for new in decision.new_orders] == list(range(len(decision.new_orders)))
    arrivals = [batch.index(new.request) for new in decision.new_orders]
    assert arrivals == sorted(arrivals)
    assert len({new.request.order_id for new in decision.new_orders}) == len(decision.new_orders)
