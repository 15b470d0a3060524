"""The sweeps over the waitlist's history, held against looking at everybody at every moment."""

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from app.domain.audit.queue import passed_over, waited_though_it_fitted, waitlisted_though_it_fitted
from app.domain.audit.rows import Moment, Promoted, Start, Waiter

_WAITER = st.tuples(st.integers(0, 12), st.integers(1, 4), st.one_of(st.none(), st.integers(1, 8)))
"""Came at, units, how long it waited."""
_MOMENTS = st.dictionaries(st.integers(0, 20), st.integers(0, 4), max_size=12)


def _waiters(drawn: list[tuple[int, int, int | None]]) -> list[Waiter]:
    return [
        Waiter(came, 0, seq, units, None if waited is None else came + waited, "c", str(seq))
        for seq, (came, units, waited) in enumerate(sorted(drawn, key=lambda waiter: waiter[0]))
    ]


def _lines(waiters: list[Waiter]) -> dict[int, list[Waiter]]:
    lines: dict[int, list[Waiter]] = defaultdict(list)
    for waiter in waiters:
        lines[waiter.units].append(waiter)
    return lines


def _waits(waiter: Waiter, moment: int) -> bool:
    return waiter.placed_at <= moment and (waiter.left_at is None or waiter.left_at > moment)


@given(st.lists(_WAITER, max_size=12), _MOMENTS)
def test_the_first_of_each_size_that_waited_beside_free_units_is_named(
    drawn: list[tuple[int, int, int | None]], available: dict[int, int]
) -> None:
    waiters = _waiters(drawn)
    moments = [Moment(time, units, 0) for time, units in sorted(available.items())]
    wronged = set()
    for moment in moments:
        for units in range(1, moment.available + 1):
            heads = [w for w in waiters if w.units == units and _waits(w, moment.committed_at)]
            wronged |= {f"order {head.order_id} of customer c" for head in heads[:1]}
    found = [violation.row for violation in waited_though_it_fitted(moments, _lines(waiters))]
    assert set(found) == wronged
    assert len(found) == len(wronged)


@given(st.lists(_WAITER, max_size=12), _MOMENTS)
def test_an_order_is_passed_over_when_those_behind_it_were_given_enough_for_it(
    drawn: list[tuple[int, int, int | None]], available: dict[int, int]
) -> None:
    waiters = _waiters(drawn)
    moments = [Moment(time, units, 0) for time, units in sorted(available.items())]
    promotions = sorted(
        Promoted(w.left_at, w.placed_at, w.shard_id, w.seq, w.units) for w in waiters if w.left_at is not None
    )
    expected = set()
    for time in {p.committed_at for p in promotions}:
        left_over = [m.available for m in moments if m.committed_at <= time][-1:] or [0]
        for waiter in waiters:
            behind = sum(p.units for p in promotions if p.committed_at == time and p.position > waiter.position)
            waited = waiter.placed_at < time and _waits(waiter, time)
            if waited and behind and waiter.units <= behind + left_over[0]:
                expected.add((waiter.units, f"order {waiter.order_id} of customer c"))
    found = {violation.row for violation in passed_over(moments, promotions, _lines(waiters))}
    assert found <= {row for _, row in expected}
    assert bool(found) == bool(expected)


@given(
    st.integers(0, 10),
    st.lists(st.tuples(st.integers(1, 4), st.sampled_from(["PENDING", "WAITLISTED", ""])), max_size=10),
)
def test_an_order_is_waitlisted_rightly_when_what_was_left_at_its_turn_was_less(
    stock: int, batch: list[tuple[int, str]]
) -> None:
    starts = [Start(5, 0, seq, units, status, "c", str(seq)) for seq, (units, status) in enumerate(batch)]
    left, wrong = stock, []
    for seq, (units, status) in enumerate(batch):
        if status == "WAITLISTED" and units <= left:
            wrong.append(f"order {seq} of customer c")
        left -= units if status == "PENDING" else 0
    moments = [Moment(4, stock, 0), Moment(5, 99, 0), Moment(6, 99, 0)]
    assert [violation.row for violation in waitlisted_though_it_fitted(moments, starts)] == wrong


def test_what_was_before_the_ledger_begins_is_not_judged() -> None:
    starts = [Start(5, 0, 0, 1, "WAITLISTED", "c", "0")]
    assert not list(waitlisted_though_it_fitted([Moment(5, 9, 0)], starts))
