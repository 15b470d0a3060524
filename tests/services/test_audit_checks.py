"""The auditor over rows made by the domain's own decisions: silent while they are true, and loud about each kind of lie."""

import random
from datetime import timedelta

import pytest
from audit_world import NOON, World, audited_sale, said
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.audit.findings import NAMED_VIOLATIONS
from app.domain.sale import MAX_SALE_DURATION
from app.domain.states import Trigger

COLUMNS = {
    "orders": ("customer", "order_id", "status", "units", "shard", "seq", "placed", "waitlisted", "due", "event_seq"),
    "events": ("customer", "order_id", "event_seq", "status", "trigger", "committed"),
    "outbox": ("order_id", "event_seq", "event_type", "outbox_shard", "created", "status"),
    "ledger": ("shard", "version", "allocated", "available", "waiting", "cause", "committed"),
}


def put(world: World, table: str, row: int, **values: object) -> list[object]:
    """Overwrite columns of a row; returns the row."""
    changed: list[object] = getattr(world, table)[row]
    for column, value in values.items():
        changed[COLUMNS[table].index(column)] = value
    return changed


@pytest.fixture
def world() -> World:
    """Six units on three shards: anna 2, ben 2, cleo 2; dora waits for 3, emil and fred for 1; then ben's card is declined."""
    world = World()
    world.place(0, ("anna", 2), ("ben", 2))
    world.place(1, ("cleo", 2), ("dora", 3))
    world.place(2, ("emil", 1), ("fred", 1))
    world.release(world.orders[1], Trigger.DECLINE)
    return world


def test_a_sale_as_the_domain_decides_it_is_clean(world: World) -> None:
    assert [order[2] for order in world.orders] == [
        "PENDING",
        "PAYMENT_FAILED",
        "PENDING",
        "WAITLISTED",
        "PENDING",
        "PENDING",
    ]
    assert world.audit() == {}


@settings(max_examples=60)
@given(st.randoms(use_true_random=False), st.integers(0, 12), st.integers(1, 4), st.sampled_from([0, 100]))
def test_whatever_happens_to_a_sale_by_the_rules_is_clean(
    chance: random.Random, stock: int, shard_count: int, price: int
) -> None:
    world = World(audited_sale(stock=stock, shard_count=shard_count, unit_price_minor=price, waitlist_limit=6))
    customers = iter(range(1000))
    for _ in range(25):
        pending = [o for o in world.orders if o[2] in ("PENDING", "AUTHORIZED")]
        waiting = world.waiting()
        act = chance.choice(["place", "place", "release", "restock", "leave", "authorize"])
        if act == "place":
            wishes = [(f"c{next(customers)}", chance.randint(1, 4)) for _ in range(chance.randint(1, 4))]
            world.place(chance.randrange(shard_count), *wishes)
        elif act == "release" and pending:
            world.release(chance.choice(pending), Trigger.CANCEL)
        elif act == "restock":
            world.restock(chance.randint(1, 5))
        elif act == "leave" and waiting:
            world.leave(chance.choice(waiting))
        elif act == "authorize" and (held := [o for o in pending if o[2] == "PENDING"]):
            world.authorize(chance.choice(held))
    assert world.audit() == {}


def test_orders_that_hold_more_than_left_the_shard_are_oversold(world: World) -> None:
    put(world, "orders", 0, units=5)
    found = world.audit()
    assert found["never oversold"] == ["shard 0: 2 units are out of it, its live orders hold 5"]


def test_a_shard_outside_its_bounds_is_named(world: World) -> None:
    shard = world.shards[2]
    world.shards[2] = type(shard)(2, shard.version, shard.allocated, -1, shard.waiting)
    assert "shard 2: -1 units available, 2 allocated" in world.audit()["never oversold"]


def test_shards_that_do_not_add_up_to_the_stock_are_named(world: World) -> None:
    world.sale = audited_sale(stock=7)
    assert world.audit() == {"never oversold": ["the sale: its shards have 6 units allocated, its stock is 7"]}


def test_a_missing_shard_and_a_shard_too_many_are_named(world: World) -> None:
    world.sale = audited_sale(shard_count=2)
    assert "shard 2: should not exist" in world.audit()["never oversold"]
    world.sale = audited_sale(shard_count=4)
    assert "shard 3: should exist" in world.audit()["never oversold"]


def test_a_waitlist_counter_that_differs_from_the_waiting_orders_is_named(world: World) -> None:
    shard = world.shards[1]
    world.shards[1] = type(shard)(1, shard.version, shard.allocated, shard.available, 5)
    assert "shard 1: counts 5 waiting orders, 1 are WAITLISTED" in world.audit()["never oversold"]


def test_a_version_missing_in_the_ledger_is_named(world: World) -> None:
    index = next(i for i, row in enumerate(world.ledger) if row[:2] == [0, 2])
    del world.ledger[index]
    found = world.audit()["the stock ledger adds up"]
    assert "ledger of shard 0, version 3: follows version 1: what is between is missing" in found
    assert any("without a ledger row" in line and line.startswith("shard 0, commit at") for line in found)


def test_a_ledger_without_its_first_version_is_broken_unless_the_sale_is_older_than_its_memory(world: World) -> None:
    world.ledger = [row for row in world.ledger if row[1] > 1]
    assert "is the shard's oldest: version 1 is missing" in world.audit()["the stock ledger adds up"][0]
    world.created_at = world.created_at - MAX_SALE_DURATION - timedelta(days=2)
    assert world.audit() == {}


def test_a_newest_ledger_row_that_is_not_the_shard_is_named(world: World) -> None:
    shard = world.shards[1]
    world.shards[1] = type(shard)(1, shard.version + 1, shard.allocated, shard.available, shard.waiting)
    newest = world.audit()["the stock ledger adds up"]
    assert newest[0].startswith(f"shard 1: is version {shard.version + 1}:")


def test_a_ledger_row_that_its_orders_do_not_explain_is_named(world: World) -> None:
    index = next(i for i, row in enumerate(world.ledger) if row[:2] == [0, 2])
    assert world.ledger[index][2:5] == [4, 0, 0]
    put(world, "ledger", index, available=1, waiting=1)
    found = world.audit()["the stock ledger adds up"]
    assert "ledger of shard 0, version 2: moved 3 units out of stock, its commit's orders took 4" in found
    assert "ledger of shard 0, version 2: counts +1 waiting orders, its commit's orders make +0" in found


def test_units_that_appear_while_orders_are_taken_are_named(world: World) -> None:
    for row in world.ledger:
        if row[0] == 1 and row[1] >= 2:
            row[2:4] = [row[2] + 1, row[3] + 1]
    found = world.audit()["the stock ledger adds up"]
    assert any(line.endswith("changed the sum of all units allocated by 1") for line in found)


def test_units_that_vanish_with_a_restock_are_named(world: World) -> None:
    world.restock(4)
    lost = world.ledger[-1][2]
    put(world, "ledger", len(world.ledger) - 1, allocated=0, available=0)
    found = world.audit()["the stock ledger adds up"]
    assert any(f"changed the sum of all units allocated by {4 - lost}" in line for line in found)


def test_an_order_that_waits_beside_free_units_is_undersold() -> None:
    world = World(audited_sale(stock=4, shard_count=2))
    world.place(0, ("anna", 4))
    world.place(0, ("ben", 3))
    world.orders[0][2] = "CANCELLED"
    world.events.append([*world.orders[0][:2], 2, "CANCELLED", "cancel", world.at + 1])
    shard = world.shards[0]
    world.shards[0] = type(shard)(0, shard.version, shard.allocated, 4, shard.waiting)
    found = world.audit()["never undersold"]
    assert found == [f"order {world.orders[1][1]} of customer ben: waits for 3 units, 4 are available"]


def test_a_freed_unit_that_was_on_offer_while_somebody_waited_is_undersold_even_if_all_is_well_now() -> None:
    world = World(audited_sale(stock=2, shard_count=2))
    world.place(0, ("anna", 2))
    world.place(1, ("ben", 1))
    ben = world.orders[1]
    # The units come back without serving ben, who gets his only at the next restock.
    world.orders[1][2] = "elsewhere"
    world.release(world.orders[0], Trigger.DECLINE)
    ben[2] = "WAITLISTED"
    freed_at = world.ledger[-1][6]
    world.restock(1)
    found = world.audit()
    assert list(found) == ["never undersold"]
    assert len(found["never undersold"]) == 1
    assert found["never undersold"][0].startswith(f"order {ben[1]} of customer ben: waited for 1 units at ")
    assert found["never undersold"][0].endswith("when 2 were available")
    assert freed_at < world.ledger[-1][6]


def test_an_order_waitlisted_while_units_were_left_is_named() -> None:
    world = World(audited_sale(stock=5, shard_count=1))
    world.place(0, ("anna", 3), ("ben", 3), ("cleo", 1))
    ben = world.orders[1]
    assert world.audit() == {}
    ben[3] = 2
    found = world.audit()["first come, first served"]
    assert found[0].startswith(f"order {ben[1]} of customer ben: was waitlisted at ")
    assert found[0].endswith("for 2 units, when 2 were left")


def test_an_order_passed_over_by_a_promotion_is_named() -> None:
    world = World(audited_sale(stock=1, shard_count=1))
    world.place(0, ("anna", 1))
    world.place(0, ("ben", 1), ("cleo", 1))
    ben, cleo = world.orders[1], world.orders[2]
    ben[2] = "elsewhere"
    world.release(world.orders[0], Trigger.DECLINE)
    ben[2] = "WAITLISTED"
    assert cleo[2] == "PENDING"
    found = world.audit()
    assert list(found) == ["first come, first served"]
    assert found["first come, first served"][0].startswith(f"order {ben[1]} of customer ben: was passed over at ")


def test_a_larger_order_that_could_not_be_served_was_not_passed_over() -> None:
    world = World(audited_sale(stock=1, shard_count=1))
    world.place(0, ("anna", 1))
    world.place(0, ("ben", 2), ("cleo", 1))
    world.release(world.orders[0], Trigger.DECLINE)
    assert world.orders[2][2] == "PENDING"
    assert world.audit() == {}


def test_an_order_id_of_two_customers_is_named(world: World) -> None:
    old = world.orders[5][1]
    for table in (world.orders, world.events, world.outbox):
        for row in table:
            row[:2] = [world.orders[0][1] if value == old else value for value in row[:2]]
    found = world.audit()["one line in the ledger a request"]
    assert found == [f"order {world.orders[0][1]}: is of 2 customers: anna, fred"]


def test_an_order_id_that_names_no_request_is_named(world: World) -> None:
    old, bad = world.orders[2][1], "7d444840-9dc0-11d1-b245-5ffdce74fad2"
    for table in (world.orders, world.events, world.outbox):
        for row in table:
            row[:2] = [bad if value == old else value for value in row[:2]]
    found = world.audit()["one line in the ledger a request"]
    assert found == [f"order {bad} of customer cleo: has an id that names no request (no UUID of version 5)"]


def test_two_orders_on_one_queue_position_are_named(world: World) -> None:
    put(world, "orders", 1, seq=0)
    [line] = world.audit()["one line in the ledger a request"]
    assert line.startswith("position 2026-11-24T12:00:00.010000Z, shard 0, seq 0: is held by orders ")
    assert world.orders[0][1] in line
    assert world.orders[1][1] in line


@pytest.mark.parametrize(
    ("table", "row", "values", "says"),
    [
        ("orders", 0, {"status": "PLACED"}, "is PLACED, its events end in PENDING"),
        ("orders", 0, {"status": "SOLD"}, "is SOLD, its events end in PENDING"),
        ("orders", 0, {"event_seq": 2}, "counts 2 events, there are 1"),
        ("orders", 0, {"due": None}, "is PENDING without a deadline: its units would never come back"),
        ("orders", 1, {"due": 5}, "is PAYMENT_FAILED, and still due at 1970-01-01T00:00:00.000005Z"),
        ("orders", 0, {"waitlisted": 5}, "is PENDING, and still stands in the waitlist"),
        ("orders", 3, {"waitlisted": None}, "waits, and stands in the waitlist as of never, not as of "),
        ("orders", 0, {"placed": 1}, "event 1: was committed at 2026-11-24T12:00:00.010000Z, and PlacedAt is "),
        ("events", 0, {"trigger": "capture"}, "event 1: an order that is new cannot capture"),
        ("events", 0, {"trigger": "wish"}, "event 1: an order that is new cannot wish"),
        ("events", 0, {"status": "PLACED"}, "event 1: reserve leads to PENDING, not to PLACED"),
        ("events", 0, {"event_seq": 2}, "event 1 is missing: the next is event 2"),
        ("outbox", 0, {"event_type": "order.placed"}, "event 1: its outbox row says order.placed, PENDING, not "),
        ("outbox", 0, {"status": "PLACED"}, "event 1: its outbox row says order.reserved, PLACED, not order.reserved"),
        ("outbox", 0, {"outbox_shard": 99}, "event 1: its outbox row is in outbox shard 99"),
        ("outbox", 0, {"created": 7}, "event 1: its outbox row is of 1970-01-01T00:00:00.000007Z, the event of "),
        ("outbox", 0, {"event_seq": 9}, "event 1: has no outbox row"),
    ],
)
def test_a_history_that_does_not_hold_together_is_named(
    world: World, table: str, row: int, values: dict[str, object], says: str
) -> None:
    put(world, table, row, **values)
    order = world.orders[row]
    found = world.audit()["every history is whole"]
    assert any(line.startswith(f"order {order[1]} of customer {order[0]}: {says}") for line in found), found


def test_an_event_later_in_a_history_may_not_be_older(world: World) -> None:
    promoted = next(i for i, row in enumerate(world.events) if row[4] == "promote")
    put(world, "events", promoted, committed=world.events[promoted][5] - 10_000_000)
    assert any("before the event ahead of it" in line for line in world.audit()["every history is whole"])


def test_an_order_without_events_is_named(world: World) -> None:
    name = world.orders[0][1]
    world.events = [row for row in world.events if row[1] != name]
    found = world.audit()["every history is whole"]
    assert f"order {name} of customer anna: has no events" in found
    assert f"outbox row of order {name}, event 1: there is no such event in this sale" in found


def test_a_doubled_outbox_row_is_named(world: World) -> None:
    world.outbox.append([*world.outbox[0][:4], world.outbox[0][4] + 1, world.outbox[0][5]])
    assert any("event 1: has 2 outbox rows" in line for line in world.audit()["every history is whole"])


def test_an_outbox_row_deleted_by_age_is_not_missed_and_a_younger_one_is(world: World) -> None:
    world.outbox.clear()
    assert "every history is whole" in world.audit()
    world.now += timedelta(days=8)
    assert world.audit() == {}


def test_a_customer_over_the_limit_is_named(world: World) -> None:
    for row in (world.orders[2], world.orders[3]):
        customer = row[0]
        for table in (world.orders, world.events):
            for other in table:
                other[0] = "anna" if other[0] == customer else other[0]
    assert world.audit() == {
        "the limit per customer": ["customer anna: has 7 units in 3 live orders, the limit is 4"],
    }


def test_a_limit_that_the_seller_may_have_lowered_is_said_to_be_that(world: World) -> None:
    world.sale = audited_sale(limit_per_customer=2)
    world.now += timedelta(minutes=1)
    for shard in world.shards.values():
        world.shards[shard.shard_id] = changed = type(shard)(
            shard.shard_id, shard.version + 1, shard.allocated, shard.available, shard.waiting
        )
        world.ledger.append(
            [shard.shard_id, changed.version, shard.allocated, shard.available, shard.waiting, "sale_changed", world.at]
        )
    [line] = world.audit()["the limit per customer"]
    assert "unless the limit was lowered since: the sale was last changed at 2026-11-24T12:01:00" in line


def test_an_order_before_the_opening_is_named(world: World) -> None:
    world.sale = audited_sale(opens_at=NOON + timedelta(milliseconds=15))
    found = world.audit()["no order before the opening"]
    assert found == [
        f"order {order[1]} of customer {order[0]}: was placed at 2026-11-24T12:00:00.010000Z, "
        "the sale opens at 2026-11-24T12:00:00.015000Z"
        for order in world.orders[:2]
    ]


def test_many_violations_are_counted_and_some_named() -> None:
    world = World(audited_sale(stock=100, limit_per_customer=4))
    for number in range(50):
        world.place(0, (f"c{number}", 2))
    world.sale = audited_sale(stock=100, limit_per_customer=1)
    finding = next(f for f in world.findings() if f.name == "the limit per customer")
    assert finding.violation_count == 50
    assert len(said(finding)) == NAMED_VIOLATIONS
