"""A small sale in every order in which things can happen, and each safeguard taken away once: the search must miss it."""

from collections.abc import Callable, Sequence
from operator import attrgetter

import pytest
from interleavings import Explored, Plan, Rules, Violated, World, explore, small_sale

from app.domain.promotion import WaitingOrder
from app.domain.states import Status
from app.domain.stock import StockBook


def sold(plan: Plan, world: World) -> int:
    return sum(plan.requests[row.request].units for row in world.orders if row.status is Status.PLACED)


def explored(plan: Plan, at_least: int) -> Explored:
    """The search, which must have had something to search."""
    found = explore(plan)
    assert found.worlds > at_least
    assert found.settled
    return found


def test_whatever_the_order_no_unit_is_sold_twice_kept_back_or_given_out_of_turn() -> None:
    found = explored(small_sale(), at_least=3_000)
    assert {sold(small_sale(), world) for world in found.settled} == {0, 1, 2}


def test_when_all_pay_every_unit_is_sold() -> None:
    plan = small_sale(may_fail=False)
    assert {sold(plan, world) for world in explored(plan, at_least=300).settled} == {2}


def test_new_units_go_to_those_who_wait_whatever_else_happens() -> None:
    plan = small_sale(restock_units=1, batch_limit=1)
    assert max(sold(plan, world) for world in explored(plan, at_least=3_000).settled) == 3


def test_after_the_close_nobody_orders_and_nobody_lapses_whom_a_unit_could_still_reach() -> None:
    found = explored(small_sale(may_close=True, batch_limit=1), at_least=3_000)
    assert any(row.status is Status.LAPSED for world in found.settled for row in world.orders)


def test_an_answer_that_was_lost_is_found_by_its_key() -> None:
    plan = small_sale(may_lose_answers=True, batch_limit=1, todo=((0, 1), (0, 3)))
    explored(plan, at_least=1_000)


def by_shard(waiting: Sequence[WaitingOrder]) -> Sequence[WaitingOrder]:
    return sorted(waiting, key=attrgetter("shard_id", "waitlisted_at", "seq"))


def head_only(waiting: Sequence[WaitingOrder]) -> Sequence[WaitingOrder]:
    return waiting[:1]


BROKEN: dict[str, tuple[Rules, str]] = {
    "no version guard": (Rules(guards_versions=False), "never oversold|the shards add up to the stock"),
    "promotion outside the transaction": (Rules(promotes_at_once=False), "promotion in queue order"),
    "promotion by shard": (Rules(line=by_shard), "promotion in queue order"),
    "the head blocks those behind it": (Rules(line=head_only), "promotion in queue order"),
    "a no from memory": (Rules(rereads_before_no=False), "nobody (waits|is refused) while any shard"),
    "the customer's orders are not read": (Rules(sees_others_orders=False), "same key, same order|the limit"),
    "lapse with holds left": (Rules(lapses_only_without_holds=False), "no unit comes free after the lapse"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_the_search_finds_what_goes_wrong_without(what: str) -> None:
    rules, invariant = BROKEN[what]
    # With a single unit two wait, at different shards.
    stock = (1, 0) if rules.line is by_shard else (1, 1)
    with pytest.raises(Violated, match=invariant):
        explore(small_sale(stock=stock, may_close=not rules.lapses_only_without_holds, batch_limit=1), rules)


def test_the_search_finds_what_goes_wrong_when_no_stock_is_taken_over(monkeypatch: pytest.MonkeyPatch) -> None:
    def own_only(self: StockBook, shard_id: int, units: int) -> bool:
        return self.available(shard_id) >= units

    monkeypatch.setattr(StockBook, "gather", own_only)
    with pytest.raises(Violated, match="while any shard has stock for them"):
        explore(small_sale())


def test_the_search_finds_units_that_get_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    real: Callable[[StockBook, int, int], None] = StockBook.release
    monkeypatch.setattr(StockBook, "release", lambda book, shard_id, units: real(book, shard_id, units - 1))
    with pytest.raises(Violated, match="never oversold"):
        explore(small_sale())
