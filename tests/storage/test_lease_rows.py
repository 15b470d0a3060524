"""The Leases table: who holds a slot, by the database's clock, and what a transaction may still do in its name."""

from datetime import datetime, timedelta

import pytest
from google.cloud.spanner_v1 import KeySet
from google.cloud.spanner_v1.transaction import Transaction

from app.storage.database import FairdropDatabase, snapshot, transact
from app.storage.leases import FORGET_AFTER, give_up, holds, renew

SLOTS = ("0", "1", "2", "3")
LEASE = timedelta(seconds=10)


@pytest.fixture
def now(database: FairdropDatabase) -> datetime:
    """The database's time; the table is empty."""

    def clear(transaction: Transaction) -> None:
        transaction.delete("Leases", KeySet(all_=True))

    return transact(database, "clear", clear)[1]


def ask(database: FairdropDatabase, name: str, now: datetime, group: str = "relay") -> frozenset[str]:
    return transact(database, "t", renew, group, SLOTS, name, now, LEASE)[0].held


def rows(database: FairdropDatabase) -> set[str]:
    with snapshot(database) as reads:
        return {name for (name,) in reads.read("Leases", ("Name",), KeySet(all_=True))}


def test_a_newcomer_gets_its_share_when_the_other_has_given_it_back(database: FairdropDatabase, now: datetime) -> None:
    assert ask(database, "ann", now) == set(SLOTS)
    assert ask(database, "bob", now) == frozenset()
    assert ask(database, "ann", now) == {"0", "1"}
    assert ask(database, "bob", now) == {"2", "3"}


def test_one_that_is_gone_keeps_its_share_for_the_length_of_its_lease_and_no_longer(
    database: FairdropDatabase, now: datetime
) -> None:
    ask(database, "ann", now)
    a_moment_before = now + LEASE - timedelta(microseconds=1)
    assert ask(database, "bob", a_moment_before) == frozenset()
    assert ask(database, "bob", now + LEASE) == set(SLOTS)


def test_one_that_slept_holds_only_what_nobody_has_taken_since(database: FairdropDatabase, now: datetime) -> None:
    ask(database, "ann", now)
    later = now + 2 * LEASE
    assert transact(database, "t", holds, "relay", SLOTS, "ann")[0] == set(SLOTS)
    ask(database, "bob", later)
    assert transact(database, "t", holds, "relay", SLOTS, "ann")[0] == frozenset()
    assert ask(database, "ann", later) == frozenset()


def test_what_is_given_up_is_free_at_once(database: FairdropDatabase, now: datetime) -> None:
    ask(database, "ann", now)
    ask(database, "bob", now)
    transact(database, "t", give_up, "relay", "ann", now + timedelta(seconds=1))
    assert ask(database, "bob", now + timedelta(seconds=1)) == set(SLOTS)


def test_groups_have_nothing_to_do_with_each_other(database: FairdropDatabase, now: datetime) -> None:
    ask(database, "ann", now)
    assert ask(database, "bob", now, "relay2") == set(SLOTS)
    assert ask(database, "cid", now, "deadlines") == set(SLOTS)
    assert ask(database, "ann", now) == set(SLOTS)


def test_members_that_have_long_been_gone_leave_no_rows_behind(database: FairdropDatabase, now: datetime) -> None:
    ask(database, "ann", now)
    ask(database, "bob", now + FORGET_AFTER)
    assert "relay/member/ann" in rows(database)
    ask(database, "bob", now + FORGET_AFTER + 2 * LEASE)
    assert rows(database) == {"relay/member/bob", *(f"relay/slot/{slot}" for slot in SLOTS)}
