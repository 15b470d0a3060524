"""The auditor over a sale's money: silent while the payment service does its work, and loud about each cent that is not where it
belongs.
"""

import random
from datetime import timedelta
from typing import Any

import pytest
from audit_world import audited_sale
from hypothesis import given, settings
from hypothesis import strategies as st
from money_world import ENTRY, PAYMENT, MoneyWorld

from app.domain.audit.accounts import Standing
from app.domain.audit.findings import Finding
from app.domain.states import Trigger
from app.payments.states import FOR_A_PERSON, IN_PROGRESS, State
from app.services.audit.money import STANDINGS

MONEY = "money follows units"
BOOK = "the gateway's book agrees"
PUBLISHED = "every event is published"
ARRIVED = "every event has arrived"
SETTLED = "everything is settled"
LATER = timedelta(hours=1)


@pytest.fixture
def world() -> MoneyWorld:
    """Six units at 100. Anna (2) has paid; ben cancelled when authorized; cleo's card was declined; dora (1) is authorized;
    emil (1) is pending, and his payment not heard of; fred got freed units and has paid; gus wants more than is left and waits.
    """
    world = MoneyWorld(audited_sale(stock=6, shard_count=2), declined={"cleo"})
    world.place(0, ("anna", 2), ("ben", 2))
    world.place(1, ("cleo", 1), ("dora", 1))
    world.place(0, ("fred", 2), ("gus", 4))
    world.drain()
    world.step(world.order_of("ben"), Trigger.CANCEL)
    world.drain()
    for customer in ("anna", "fred"):
        world.step(world.order_of(customer), Trigger.CONFIRM)
    world.drain()
    world.place(1, ("emil", 1))
    return world


def spoil_payment(world: MoneyWorld, customer: str, **values: Any) -> None:
    row = world.payment_of(customer)
    for name, value in values.items():
        row[PAYMENT.index(name)] = value


def spoil_entry(world: MoneyWorld, customer: str, **values: Any) -> None:
    entry = world.entry_of(customer)
    for name, value in values.items():
        entry[ENTRY.index(name)] = value


def name(world: MoneyWorld, customer: str) -> str:
    return f"order {world.order_of(customer)[1]} of customer {customer}"


def finding(world: MoneyWorld, check: str) -> Finding:
    return next(found for found in world.findings() if found.name == check)


def test_a_sale_that_is_paid_for_is_clean_and_its_sums_are_told_both_ways(world: MoneyWorld) -> None:
    assert [order[2] for order in world.orders] == [
        "PLACED",
        "CANCELLED",
        "PAYMENT_FAILED",
        "AUTHORIZED",
        "PLACED",
        "WAITLISTED",
        "PENDING",
    ]
    assert world.audit() == {}
    money, book = finding(world, MONEY).figures, finding(world, BOOK).figures
    assert (money["placed_minor"], money["captured_minor"], money["currency"]) == (400, 400, "EUR")
    assert (book["placed_minor"], book["captured_in_the_book_minor"], book["of_it_in_flight_minor"]) == (400, 400, 0)
    assert money["in_flight"] == {"AUTHORIZED orders": 1, "PENDING orders": 1}
    assert money["payments"] == {"AUTHORIZED": 1, "CAPTURED": 2, "DECLINED": 1, "VOIDED": 1}


@settings(max_examples=80)
@given(st.randoms(use_true_random=False), st.integers(1, 10), st.sampled_from([0, 100]))
def test_whatever_happens_by_the_rules_is_clean_on_the_way_and_settled_at_its_end(
    chance: random.Random, stock: int, price: int
) -> None:
    world = MoneyWorld(audited_sale(stock=stock, shard_count=2, unit_price_minor=price, waitlist_limit=6))
    customers = iter(range(1000))
    for _ in range(50):
        act = chance.choice(["place", "hear", "hear", "ask", "ask", "reply", "reply", "move"])
        if act == "place":
            wishes = [(f"c{next(customers)}", chance.randint(1, 3)) for _ in range(chance.randint(1, 2))]
            world.declined.update(customer for customer, _ in wishes if chance.random() < 0.3)
            world.place(chance.randrange(2), *wishes)
        elif act == "hear":
            world.hear()
        elif act == "ask" and world.orders:
            world.ask_gateway(chance.choice(world.orders)[0])
        elif act == "reply":
            world.reply()
        elif act == "move":
            moves = {
                "PENDING": [Trigger.EXPIRE, Trigger.CANCEL],
                "AUTHORIZED": [Trigger.CONFIRM, Trigger.CONFIRM, Trigger.CANCEL],
                "WAITLISTED": [Trigger.CANCEL],
            }
            live = [order for order in world.orders if order[2] in moves]
            if live:
                order = chance.choice(live)
                world.step(order, chance.choice(moves[order[2]]))
    world.unpublished["order"] = chance.randint(0, len(world.outbox) - world.heard)
    world.unpublished["payment"] = chance.randint(0, len(world.told) - world.answered)
    assert world.audit() == {}
    world.unpublished.clear()
    world.drain()
    while authorized := [order for order in world.orders if order[2] == "AUTHORIZED"]:
        for order in authorized:
            world.step(order, Trigger.CONFIRM)
        world.drain()
    world.is_settled = True
    assert world.audit() == {}


def _no_payment(world: MoneyWorld) -> tuple[str, str]:
    del world.payment_rows[world.order_of("anna")[1]]
    return MONEY, f"{name(world, 'anna')}: is PLACED, and has no payment"


def _not_captured(world: MoneyWorld) -> tuple[str, str]:
    spoil_payment(world, "anna", state="AUTHORIZED")
    return MONEY, f"{name(world, 'anna')}: is PLACED, and its payment is AUTHORIZED"


def _refunded_though_placed(world: MoneyWorld) -> tuple[str, str]:
    spoil_payment(world, "anna", state="REFUNDED")
    spoil_entry(world, "anna", state="refunded", refunded_minor=200)
    return MONEY, f"{name(world, 'anna')}: is PLACED, and its payment is REFUNDED"


def _wrong_amount(world: MoneyWorld) -> tuple[str, str]:
    spoil_payment(world, "anna", amount_minor=199)
    return MONEY, f"{name(world, 'anna')}: costs 200 minor units of EUR, its payment is of 199 minor units of EUR"


def _wrong_currency(world: MoneyWorld) -> tuple[str, str]:
    spoil_payment(world, "dora", currency="USD")
    return MONEY, f"{name(world, 'dora')}: costs 100 minor units of EUR, its payment is of 100 minor units of USD"


def _another_s_payment(world: MoneyWorld) -> tuple[str, str]:
    spoil_payment(world, "anna", customer_id="ben")
    return MONEY, f"{name(world, 'anna')}: its payment is customer ben's"


def _capture_without_order(world: MoneyWorld) -> tuple[str, str]:
    row = list(world.payment_of("anna"))
    row[0] = "ghost"
    world.payment_rows["ghost"] = row
    return MONEY, "payment of order ghost: is CAPTURED since "


def _paid_while_waiting(world: MoneyWorld) -> tuple[str, str]:
    row = list(world.payment_of("dora"))
    row[0], row[2], row[3] = world.order_of("gus")[1], "gus", 400
    world.payment_rows[row[0]] = row
    return MONEY, f"{name(world, 'gus')}: is WAITLISTED and never held units, and its payment is AUTHORIZED"


def _authorized_by_nobody(world: MoneyWorld) -> tuple[str, str]:
    spoil_payment(world, "dora", state="DECLINED")
    return MONEY, f"{name(world, 'dora')}: is AUTHORIZED, and its payment is DECLINED"


def _stuck_refund(world: MoneyWorld) -> tuple[str, str]:
    spoil_payment(world, "ben", state="REFUND_FAILED")
    return MONEY, f"{name(world, 'ben')}: is CANCELLED, and its payment is REFUND_FAILED: a person must see"


def _forgotten_authorization_of_a_cancelled_order(world: MoneyWorld) -> tuple[str, str]:
    spoil_payment(world, "ben", state="AUTHORIZED", wanted="AUTHORIZE")
    spoil_entry(world, "ben", state="authorized")
    world.payments_at = world.now + LATER
    return MONEY, f"{name(world, 'ben')}: is CANCELLED since "


def _forgotten_capture(world: MoneyWorld) -> tuple[str, str]:
    world.payments_at = world.now + LATER
    return MONEY, f"{name(world, 'dora')}: is AUTHORIZED, and forgotten: it was due at "


def _unanswered_gateway(world: MoneyWorld) -> tuple[str, str]:
    world.hear()
    world.payments_at = world.now + LATER
    return MONEY, f"{name(world, 'dora')}: is AUTHORIZED, and forgotten"


def _not_in_the_index(world: MoneyWorld) -> tuple[str, str]:
    world.hear()
    spoil_payment(world, "emil", open_since=None)
    return MONEY, f"{name(world, 'emil')}: its payment is AUTHORIZING, and not among the open ones"


def _state_that_there_is_not(world: MoneyWorld) -> tuple[str, str]:
    spoil_payment(world, "anna", state="PAID")
    return MONEY, f"{name(world, 'anna')}: its payment is in the state 'PAID', which there is not"


def _double_capture(world: MoneyWorld) -> tuple[str, str]:
    entry = list(world.entry_of("anna"))
    world.book.append(["auth_again", *entry[1:]])
    return BOOK, f"{name(world, 'anna')}: was charged 2 times: auth_again captured, auth_anna captured"


def _second_hold(world: MoneyWorld) -> tuple[str, str]:
    entry = list(world.entry_of("dora"))
    world.book.append(["auth_again", *entry[1:]])
    return BOOK, f"{name(world, 'dora')}: has 2 authorizations that hold money: auth_again authorized, auth_dora"


def _capture_of_no_payment(world: MoneyWorld) -> tuple[str, str]:
    world.book.append(["auth_ghost", "ghost", "captured", 500, "EUR", 500, 0])
    return (
        BOOK,
        "authorization auth_ghost: is of order ghost, of which there is no payment: the amount is captured, 500",
    )


def _hold_of_no_payment(world: MoneyWorld) -> tuple[str, str]:
    emil = world.order_of("emil")[1]
    world.book.append(["auth_emil", emil, "authorized", 100, "EUR", 0, 0])
    return BOOK, f"authorization auth_emil: is of order {emil}, of which there is no payment: it is authorized, 100"


def _missing_capture(world: MoneyWorld) -> tuple[str, str]:
    spoil_entry(world, "anna", state="authorized", captured_minor=0)
    return BOOK, f"{name(world, 'anna')}: is PLACED, and nothing of it is captured in the book (auth_anna authorized)"


def _missing_authorization(world: MoneyWorld) -> tuple[str, str]:
    world.book.remove(world.entry_of("anna"))
    return BOOK, f"{name(world, 'anna')}: its payment is of the authorization auth_anna, which the book does not know"


def _book_has_another_amount(world: MoneyWorld) -> tuple[str, str]:
    spoil_entry(world, "anna", amount_minor=201, captured_minor=201)
    return BOOK, (
        f"authorization auth_anna of {name(world, 'anna')}: "
        "is of 201 minor units of EUR, its payment of 200 minor units of EUR"
    )


def _captured_in_part(world: MoneyWorld) -> tuple[str, str]:
    spoil_entry(world, "anna", captured_minor=150)
    return BOOK, f"authorization auth_anna of {name(world, 'anna')}: is captured, with 150 captured and 0 given back"


def _open_though_voided(world: MoneyWorld) -> tuple[str, str]:
    spoil_entry(world, "ben", state="authorized")
    return BOOK, f"{name(world, 'ben')}: its payment is VOIDED, and the book holds its money: auth_ben authorized"


def _charged_though_declined(world: MoneyWorld) -> tuple[str, str]:
    spoil_entry(world, "cleo", state="captured", captured_minor=100)
    return BOOK, f"{name(world, 'cleo')}: its payment is DECLINED, and the book holds its money: auth_cleo captured"


def _refunded_in_the_book_only(world: MoneyWorld) -> tuple[str, str]:
    spoil_entry(world, "anna", state="refunded", refunded_minor=200)
    return BOOK, f"{name(world, 'anna')}: is PLACED, and nothing of it is captured in the book (auth_anna refunded)"


def _a_cent_too_few(world: MoneyWorld) -> tuple[str, str]:
    spoil_entry(world, "anna", amount_minor=199, captured_minor=199)
    return BOOK, "the sale: the book has 399 minor units of EUR captured, its PLACED orders cost 400"


def _of_another_sale(world: MoneyWorld) -> tuple[str, str]:
    del world.payment_rows[world.order_of("dora")[1]]
    world.strays.append((world.order_of("dora")[1], "another"))
    return BOOK, f"{name(world, 'dora')}: its payment is of sale another"


def _passed_over(world: MoneyWorld) -> tuple[str, str]:
    world.miscounted["order"] = -1
    return PUBLISHED, "cursor of the order outbox's shard "


def _lost_order_row(world: MoneyWorld) -> tuple[str, str]:
    world.miscounted["order"] = 1
    return PUBLISHED, "cursor of the order outbox's shard "


def _lost_payment_row(world: MoneyWorld) -> tuple[str, str]:
    order_id = world.order_of("anna")[1]
    del world.told[next(i for i, row in enumerate(world.told) if row[1:3] == [order_id, 1])]
    return PUBLISHED, f"payment of order {order_id}: has told 2 events, and has 1 outbox row, from 2 to 2"


def _lost_last_payment_row(world: MoneyWorld) -> tuple[str, str]:
    order_id = world.order_of("cleo")[1]
    world.told = [row for row in world.told if row[1] != order_id]
    return PUBLISHED, f"payment of order {order_id}: has told 1 events, and has no outbox row"


def _wrong_payment_event(world: MoneyWorld) -> tuple[str, str]:
    order_id = world.order_of("cleo")[1]
    next(row for row in world.told if row[1] == order_id)[3] = "payment.authorized"
    return PUBLISHED, (
        f"payment of order {order_id}: is DECLINED, and its newest outbox row says payment.authorized, not payment.declined"
    )


def _payment_event_of_nobody(world: MoneyWorld) -> tuple[str, str]:
    world.told.append(["payment", "ghost", 1, "payment.authorized", 3, world.at])
    return PUBLISHED, "outbox row of payment ghost, event 1 (payment.authorized): there is no such payment in this sale"


def _unheard_release(world: MoneyWorld) -> tuple[str, str]:
    spoil_payment(world, "ben", wanted="AUTHORIZE")
    world.payments_at = world.now + LATER
    order_id = world.order_of("ben")[1]
    return ARRIVED, (
        f"outbox row of order {order_id}, event 3 (order.released): was published, has not reached the payment service: "
        "its payment was never asked for that"
    )


def _unheard_reservation(world: MoneyWorld) -> tuple[str, str]:
    world.payments_at = world.now + LATER
    order_id = world.order_of("emil")[1]
    return ARRIVED, (
        f"outbox row of order {order_id}, event 1 (order.reserved): was published, has not reached the payment service: "
        "there is no such payment"
    )


def _unheard_authorization(world: MoneyWorld) -> tuple[str, str]:
    world.hear()
    world.ask_gateway("emil")
    world.payments_at = world.now + LATER
    order_id = world.order_of("emil")[1]
    return ARRIVED, f"outbox row of payment {order_id}, event 1 (payment.authorized): was published at or after "


PLANTS = [plant for plant_name, plant in list(globals().items()) if plant_name.startswith("_") and callable(plant)]


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__.strip("_"))
def test_what_is_wrong_with_the_money_or_the_events_is_named_by_its_row(world: MoneyWorld, plant: Any) -> None:
    check, says = plant(world)
    found = world.audit()
    assert any(line.startswith(says) for line in found.get(check, [])), found


def test_a_free_sale_has_no_payments() -> None:
    world = MoneyWorld(audited_sale(unit_price_minor=0, shard_count=1))
    world.place(0, ("anna", 2))
    world.drain()
    world.is_settled = True
    assert world.audit() == {}
    order_id = world.order_of("anna")[1]
    row = [order_id, world.sale.sale_id, "anna", 5, "EUR", "CAPTURE", "CAPTURED", "auth_anna", 2, None, world.at]
    world.payment_rows[order_id] = row
    assert world.audit()[MONEY] == [f"{name(world, 'anna')}: costs nothing, and has a payment of 5 minor units of EUR"]


def test_what_is_younger_than_the_grace_is_in_flight_and_not_so_once_all_is_settled(world: MoneyWorld) -> None:
    spoil_payment(world, "ben", state="AUTHORIZED", wanted="AUTHORIZE")
    spoil_entry(world, "ben", state="authorized")
    assert world.audit() == {PUBLISHED: [finding(world, PUBLISHED).violations[0].row + ": " + _newest_says(world)]}
    assert finding(world, MONEY).figures["in_flight"] == {
        "AUTHORIZED orders": 1,
        "PENDING orders": 1,
        "payments to be given back": 1,
    }
    assert finding(world, ARRIVED).figures["in_flight"] == {"order.released": 1, "order.reserved": 1}
    world.is_settled = True
    found = world.audit()
    assert found[MONEY][0].startswith(f"{name(world, 'ben')}: is CANCELLED since ")
    assert f"{name(world, 'dora')}: is still AUTHORIZED" in found[SETTLED]
    assert f"{name(world, 'emil')}: is still PENDING" in found[SETTLED]
    assert len(found[ARRIVED]) == 2


def _newest_says(world: MoneyWorld) -> str:
    return "is AUTHORIZED, and its newest outbox row says payment.voided, not payment.authorized"


def test_what_came_after_the_orders_were_read_is_in_flight(world: MoneyWorld) -> None:
    fresh = world.at + 5_000_000
    row = list(world.payment_of("dora"))
    row[0], row[2], row[3], row[10] = world.order_of("gus")[1], "gus", 400, fresh
    world.payment_rows[row[0]] = row
    world.book.append(["auth_gus", row[0], "authorized", 400, "EUR", 0, 0])
    row[7] = "auth_gus"
    world.payment_rows["later"] = [
        "later",
        world.sale.sale_id,
        "zoe",
        100,
        "EUR",
        "AUTHORIZE",
        "AUTHORIZING",
        None,
        0,
        fresh,
        fresh,
    ]
    world.book.append(["auth_new", "new", "authorized", 300, "EUR", 0, 0])
    world.book.append(["auth_other", "other", "captured", 300, "EUR", 300, 0])
    world.strays += [("new", world.sale.sale_id), ("other", "another")]
    found = world.audit()
    assert MONEY not in found
    assert BOOK not in found
    in_flight = finding(world, MONEY).figures["in_flight"]
    assert isinstance(in_flight, dict)
    assert in_flight["payments of orders placed since"] == in_flight["payments of orders promoted since"] == 1
    world.is_settled = True
    assert "order new: its payment was made after the audit had begun" in world.audit()[BOOK]


def test_a_payment_that_a_capture_has_reached_and_its_order_not_yet_is_in_flight_to_the_cent(world: MoneyWorld) -> None:
    world.step(world.order_of("dora"), Trigger.CONFIRM)
    while world.hear():
        pass
    world.ask_gateway("dora")
    assert world.audit() == {}
    book = finding(world, BOOK).figures
    assert (book["placed_minor"], book["captured_in_the_book_minor"], book["of_it_in_flight_minor"]) == (400, 500, 100)


def test_rows_after_the_cursor_are_counted_and_named_once_all_is_settled(world: MoneyWorld) -> None:
    world.unpublished["order"], world.unpublished["payment"] = 2, 1
    assert world.audit() == {}
    figures = finding(world, PUBLISHED).figures
    assert figures["order_events_not_yet_published"] == 2
    assert figures["payment_events_not_yet_published"] == 1
    assert figures["order_events_published"] == len(world.outbox) - 2
    world.is_settled = True
    emil = world.order_of("emil")[1]
    lines = world.audit()[PUBLISHED]
    assert len(lines) == 3
    assert any(
        line.startswith(f"outbox row of order {emil}, event 1 (order.reserved): is not published") for line in lines
    )


def test_published_rows_deleted_by_age_are_not_missed_and_a_row_that_was_passed_over_is(world: MoneyWorld) -> None:
    world.miscounted["order"] = 1
    assert "some are lost" in world.audit()[PUBLISHED][0]
    world.created_at -= timedelta(days=8)
    assert PUBLISHED not in world.audit()
    world.miscounted["order"] = -1
    assert "it passed some over" in world.audit()[PUBLISHED][0]


def test_a_waitlist_may_stay_while_the_sale_is_open_and_must_be_ended_with_it() -> None:
    world = MoneyWorld(audited_sale(stock=1, shard_count=1))
    world.place(0, ("anna", 1), ("ben", 1))
    world.drain()
    world.step(world.order_of("anna"), Trigger.CONFIRM)
    world.drain()
    world.is_settled = True
    assert world.audit() == {}
    world.sale = audited_sale(stock=1, shard_count=1, closes_at=world.now)
    assert world.audit() == {SETTLED: [f"{name(world, 'ben')}: is still WAITLISTED, and the sale is over"]}


def test_a_unit_that_is_left_beside_an_order_that_lapsed_is_named() -> None:
    world = MoneyWorld(audited_sale(stock=2, shard_count=1))
    world.place(0, ("anna", 2), ("ben", 2))
    ben = world.order_of("ben")
    ben[2] = "LAPSED"
    world.release(world.order_of("anna"), Trigger.EXPIRE)
    world.drain()
    world.is_settled = True
    assert f"{name(world, 'ben')}: waited for 2 units until it lapsed, and 2 were never sold" in world.audit()[SETTLED]


def test_without_a_book_the_book_is_not_compared_and_says_why(world: MoneyWorld) -> None:
    world.no_book = "the gateway is Stripe"
    world.book.clear()
    assert world.audit() == {}
    assert finding(world, BOOK).not_compared == "the gateway is Stripe"


def test_every_state_of_a_payment_has_a_standing_that_fits_it() -> None:
    assert set(STANDINGS) == set(State)
    asked = {state for state, standing in STANDINGS.items() if standing in (Standing.ASKED, Standing.MOVING)}
    assert asked == set(IN_PROGRESS)
    assert {state for state, standing in STANDINGS.items() if standing is Standing.STUCK} == FOR_A_PERSON
