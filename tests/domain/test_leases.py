"""Slots are divided evenly among the living, and what is free finds an owner."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from app.domain.leases import Lease, divide

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
LATER = NOW + timedelta(seconds=10)
SLOTS = [str(number) for number in range(16)]


def live(holder: str) -> Lease:
    return Lease(holder, LATER)


def dead(holder: str) -> Lease:
    return Lease(holder, NOW)


def test_a_lone_member_takes_everything() -> None:
    assert divide(SLOTS, {}, {}, "ann", NOW).held == frozenset(SLOTS)


def test_a_newcomer_waits_until_the_others_give_back_and_then_gets_an_even_share() -> None:
    leases = {slot: live("ann") for slot in SLOTS}
    members = {"ann": live("ann"), "bob": live("bob")}
    assert divide(SLOTS, leases, members, "bob", NOW).held == frozenset()
    ann = divide(SLOTS, leases, members, "ann", NOW)
    assert len(ann.held) == len(ann.given_back) == 8
    leases |= {slot: dead("ann") for slot in ann.given_back}
    assert divide(SLOTS, leases, members, "bob", NOW).held == ann.given_back


def test_the_slots_of_a_dead_member_are_free_the_moment_its_lease_runs_out() -> None:
    leases = {slot: dead("bob") for slot in SLOTS}
    assert divide(SLOTS, leases, {"bob": dead("bob")}, "ann", NOW).held == frozenset(SLOTS)


NAMES = [f"member-{number:02}" for number in range(20)]


@given(count=st.integers(1, 20), asking=st.lists(st.sampled_from(NAMES), max_size=40))
def test_whoever_asks_in_whatever_order_nobody_shares_a_slot_and_in_the_end_all_are_held_evenly(
    count: int, asking: list[str]
) -> None:
    leases: dict[str, Lease] = {}
    members: dict[str, Lease] = {}
    everybody = NAMES[:count]
    for name in [*(name for name in asking if name in everybody), *(everybody * 3)]:
        division = divide(SLOTS, leases, members, name, NOW)
        members[name] = live(name)
        for slot in division.held:
            assert slot not in leases or leases[slot].holder == name or leases[slot].until <= NOW
            leases[slot] = live(name)
        leases |= {slot: dead(name) for slot in division.given_back}
    held = [sum(lease.holder == name and lease.until > NOW for lease in leases.values()) for name in everybody]
    assert sum(held) == len(SLOTS)
    assert max(held) - min(held) <= 1


def test_when_a_member_has_gone_the_others_take_its_slots_and_nobody_elses() -> None:
    leases = {slot: live("ann") if int(slot) < 8 else dead("bob") for slot in SLOTS}
    members = {"ann": live("ann"), "bob": dead("bob"), "cid": live("cid")}
    assert divide(SLOTS, leases, members, "cid", NOW).held == frozenset(SLOTS[8:])
