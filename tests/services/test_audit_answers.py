"""The auditor over a rush's answers: silent while the buyers were told the truth, and loud about each kind of lie."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from audit_world import SALE_ID, World, audited_sale, told

from app.domain.audit.findings import at
from app.domain.ids import order_id
from app.domain.states import Trigger
from app.storage.answers import AnswersUnreadable, read_attempts

STORED = "every confirmed order is stored"
ASKED = "every stored order was asked for"
REAL_TIME = "the line agrees with real time"
REFUSED = "nobody was refused wrongly"


@pytest.fixture
def world() -> World:
    """Two units: anna and ben have them, cleo waits (the waitlist is full then), and all were told so, one after the other."""
    world = World(audited_sale(stock=2, shard_count=1, waitlist_limit=1))
    world.place(0, ("anna", 1))
    world.place(0, ("ben", 1))
    world.place(0, ("cleo", 1))
    world.attempts = [told(order, 2 + i, 100 * i, 100 * i + 50) for i, order in enumerate(world.orders)]
    return world


def tell(world: World, index: int, **values: Any) -> None:
    assert world.attempts is not None
    world.attempts[index] = world.attempts[index]._replace(**values)


def refuse(world: World, customer: str, sent_ms: int, problem: str, **values: Any) -> None:
    assert world.attempts is not None
    nobody = [customer, order_id(SALE_ID, customer, "refused"), "-", values.pop("units", 1)]
    line = 2 + len(world.attempts)
    world.attempts.append(told(nobody, line, sent_ms, sent_ms + 5, 409, problem=problem, **values))


def test_true_answers_are_clean(world: World) -> None:
    refuse(world, "dora", 500, "sold-out", as_of=world.at + 5, age_ms=249.9)
    assert world.audit() == {}


def test_a_status_may_have_moved_on_since_the_answer(world: World) -> None:
    world.release(world.orders[0], Trigger.DECLINE)
    assert world.orders[2][2] == "PENDING"
    assert world.attempts is not None
    world.attempts.append(told(world.orders[2], 9, 900, 950, 200))
    assert world.audit() == {}


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"said_order_id": "another"}, "its key names order "),
        ({"units": 2}, "was asked for with 2 units, and is stored with 1"),
        ({"seq": 7}, "was told the position "),
        ({"placed_at": 7}, "was told the position 1970-01-01T00:00:00.000007Z/0/0, and holds "),
        ({"shard_id": None}, "was told the position "),
        ({"said_status": "WAITLISTED"}, "was taken as WAITLISTED, and began as PENDING"),
        ({"said_status": "PLACED", "status": 200}, "was said to be PLACED, and never was"),
    ],
)
def test_an_answer_that_differs_from_the_stored_order_is_named(world: World, values: dict[str, Any], says: str) -> None:
    tell(world, 0, **values)
    found = world.audit()[STORED]
    assert any(line.startswith("line 2: order ") and f"of customer anna: {says}" in line for line in found), found


def test_a_confirmed_order_that_is_not_stored_is_named(world: World) -> None:
    assert world.attempts is not None
    ghost = ["ghost", order_id(SALE_ID, "ghost", "k"), "PENDING", 1, 0, 0, world.at]
    world.attempts.append(told(ghost, 5, 400, 450))
    assert world.audit() == {
        STORED: [f"line 5: order {ghost[1]} of customer ghost: was confirmed (201), and is not stored"]
    }


def test_an_order_confirmed_after_the_snapshot_is_not_missed(world: World) -> None:
    assert world.attempts is not None
    later = ["later", order_id(SALE_ID, "later", "k"), "PENDING", 1, 0, 0, world.at + 10_000_000]
    world.attempts.append(told(later, 5, 400, 450))
    assert world.audit() == {}


def test_an_order_answered_as_new_twice_is_named(world: World) -> None:
    assert world.attempts is not None
    world.attempts.append(told(world.orders[0], 5, 400, 450))
    assert world.audit()[STORED] == [f"order {world.orders[0][1]} of customer anna: was answered as new 2 times"]


def test_a_retry_that_is_refused_after_its_order_was_confirmed_is_named(world: World) -> None:
    assert world.attempts is not None
    world.attempts.append(told(world.orders[0], 5, 400, 450, 409, problem="limit-exceeded"))
    [line] = world.audit()[STORED]
    assert line.endswith("of customer anna: was refused (limit-exceeded) after it had been confirmed")


def test_a_twin_refused_while_the_other_was_under_way_is_not_held_against_the_service(world: World) -> None:
    assert world.attempts is not None
    world.attempts.append(told(world.orders[1], 5, 120, 300, 409, problem="sale-not-open"))
    assert world.audit() == {}


def test_a_stored_order_that_nobody_asked_for_is_named(world: World) -> None:
    world.orders[1][0] = "cleo"
    for row in world.events:
        row[0] = "cleo" if row[0] == "ben" else row[0]
    [line] = world.audit()[ASKED]
    assert line == f"order {world.orders[1][1]} of customer cleo: is stored, and no attempt has asked for it"


def test_orders_of_customers_who_were_not_in_the_rush_are_nobodys_business(world: World) -> None:
    assert world.attempts is not None
    del world.attempts[1]
    assert world.audit() == {}


def test_an_unanswered_attempt_explains_an_order(world: World) -> None:
    tell(world, 1, status=None, answered_ns=None, said_order_id=None, error="timeout")
    assert world.audit() == {}


def test_an_order_stored_though_every_attempt_was_refused_is_named(world: World) -> None:
    tell(world, 1, status=409, problem="sale-paused", said_order_id=None, said_status=None)
    [line] = world.audit()[ASKED]
    assert line.endswith("of customer ben: was refused (sale-paused) each time, and is stored")


def test_an_order_stored_though_the_service_said_503_is_explained(world: World) -> None:
    tell(world, 1, status=503, problem="overloaded", said_order_id=None, said_status=None)
    assert world.audit() == {}


def test_an_order_sent_after_the_answer_to_another_must_stand_behind_it(world: World) -> None:
    tell(world, 0, sent_ns=160_000_000, answered_ns=170_000_000)
    [line] = world.audit()[REAL_TIME]
    anna, ben = world.orders[0], world.orders[1]
    assert line.startswith(f"order {anna[1]} of customer anna: stands at ")
    assert f"before order {ben[1]} at " in line


def test_orders_under_way_at_the_same_time_may_stand_either_way(world: World) -> None:
    tell(world, 0, sent_ns=149_000_000, answered_ns=170_000_000)
    assert world.audit() == {}


def test_the_first_of_several_sendings_counts(world: World) -> None:
    assert world.attempts is not None
    tell(world, 0, sent_ns=900_000_000, answered_ns=950_000_000)
    assert REAL_TIME in world.audit()
    world.attempts.append(told(world.orders[0], 5, 10, None, None))
    assert world.audit() == {}


def test_a_rush_that_only_replays_an_older_one_is_not_judged_by_when_it_sent(world: World) -> None:
    assert world.attempts is not None
    world.attempts = [told(order, 2 + i, 500 - 100 * i, 550 - 100 * i, 200) for i, order in enumerate(world.orders)]
    assert world.audit() == {}


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"as_of": None, "age_ms": 0.0}, "was told sold out, as of no time"),
        ({"age_ms": 250.1}, "was told sold out from a memory 250.1 ms old"),
    ],
)
def test_a_refusal_without_a_time_or_from_too_long_ago_is_named(
    world: World, values: dict[str, Any], says: str
) -> None:
    refuse(world, "dora", 500, "sold-out", **{"as_of": world.at, "age_ms": 1.0, **values})
    assert world.audit() == {REFUSED: [f"line 5: customer dora: {says}"]}


def test_a_refusal_while_stock_was_left_is_named(world: World) -> None:
    first_at = world.orders[0][6]
    refuse(world, "dora", 10, "sold-out", as_of=first_at, age_ms=1.0)
    found = world.audit()[REFUSED]
    assert found[0] == (
        f"line 5: customer dora: was told sold out as of {at(first_at)} for 1 units, when 1 were available"
    )
    assert found[1].endswith("when 0 of 1 places in the waitlist were taken")


def test_a_refusal_of_more_units_than_were_left_is_judged_by_the_waitlist_alone(world: World) -> None:
    refuse(world, "dora", 10, "sold-out", as_of=world.orders[0][6], age_ms=1.0, units=2)
    [line] = world.audit()[REFUSED]
    assert line.endswith("when 0 of 1 places in the waitlist were taken")


def test_a_refusal_that_overlooks_what_was_known_when_it_was_asked_for_is_named() -> None:
    """Its own age says 1 ms; but the stock had changed 300 ms before an order that was confirmed before this was sent."""
    world = World(audited_sale(stock=1, shard_count=1, waitlist_limit=0))
    world.place(0, ("anna", 1))
    sold_out_at = world.at
    world.restock(5)
    world.now = world.now.replace(microsecond=400_000)
    world.place(0, ("ben", 1))
    world.attempts = [told(world.orders[0], 2, 0, 50), told(world.orders[1], 3, 400, 450)]
    refuse(world, "cleo", 440, "sold-out", as_of=sold_out_at, age_ms=1.0)
    assert world.audit() == {}
    refuse(world, "dora", 460, "sold-out", as_of=sold_out_at, age_ms=1.0)
    [line] = world.audit()[REFUSED]
    assert line.startswith(f"line 5: customer dora: was told sold out as of {at(sold_out_at)}: the stock changed at ")


def test_a_buyer_told_not_open_long_after_somebody_had_an_order_is_named(world: World) -> None:
    refuse(world, "dora", 299, "sale-not-open")
    assert world.audit() == {}
    refuse(world, "emil", 400, "sale-not-open")
    assert world.audit()[REFUSED] == [
        "line 6: customer emil: was told the sale is not open, 350 ms after an order had been confirmed"
    ]


def test_a_buyer_refused_for_a_limit_out_of_reach_is_named(world: World) -> None:
    refuse(world, "anna", 400, "limit-exceeded", units=4)
    assert world.audit() == {}
    refuse(world, "anna", 500, "limit-exceeded", units=3)
    assert world.audit()[REFUSED] == [
        "line 6: customer anna: was refused 3 units for the limit of 4, having 1 in other orders"
    ]


def _written(path: Path, header: Any, *lines: Any) -> Path:
    path.write_bytes(b"\n".join(orjson.dumps(line) for line in (header, *lines)) + b"\n")
    return path


@pytest.mark.parametrize(
    ("header", "line", "says"),
    [
        ({"x": 1}, {}, "its first line does not describe a rush"),
        ({"rush": {"sale_id": "other"}}, {}, "of a rush on sale 'other', not 'phones'"),
        ({"rush": {"sale_id": "phones"}}, {"buyer": "b"}, "line 2 of "),
        ({"rush": {"sale_id": "phones"}}, 7, "line 2 of "),
    ],
)
def test_a_file_that_is_not_of_this_sale_or_not_whole_is_refused(
    tmp_path: Path, header: Any, line: Any, says: str
) -> None:
    path = _written(tmp_path / "answers.jsonl", header, line)
    with pytest.raises(AnswersUnreadable) as caught:
        list(read_attempts(path, "phones"))
    assert says in str(caught.value)
