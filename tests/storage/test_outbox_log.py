"""The outbox as a log: what a cursor reads, and when it may move."""

import re
from datetime import timedelta

import pytest
from google.cloud.spanner_v1 import COMMIT_TIMESTAMP, KeySet
from google.cloud.spanner_v1.transaction import Transaction

from app.storage.database import FairdropDatabase, snapshot, transact
from app.storage.outbox import Cursor, OutboxRow, advance_cursors, read_cursors, read_outbox, rows_between
from app.storage.schema import SCHEMA_ROOT

COLUMNS = ("OutboxShard", "CreatedAt", "OrderId", "EventSeq", "EventType", "Payload")


@pytest.fixture(autouse=True)
def _empty(database: FairdropDatabase) -> None:
    def clear(transaction: Transaction) -> None:
        for table in ("Outbox", "OutboxCursors"):
            transaction.delete(table, KeySet(all_=True))

    transact(database, "clear", clear)


def write(database: FairdropDatabase, shard: int, *names: tuple[str, int]) -> None:
    def insert(transaction: Transaction) -> None:
        rows = [[shard, COMMIT_TIMESTAMP, order, seq, "order.reserved", "{}"] for order, seq in names]
        transaction.insert("Outbox", COLUMNS, rows)

    transact(database, "test", insert)


def start(shard: int) -> Cursor:
    return Cursor(shard, None, None, None, 0)


def page(database: FairdropDatabase, *cursors: Cursor, at_most: int = 100) -> list[OutboxRow]:
    with snapshot(database) as reads:
        rows, read_at = read_outbox(reads, cursors, at_most)
    assert all(row.created_at <= read_at for row in rows)
    return rows


def names(rows: list[OutboxRow]) -> list[tuple[int, str, int]]:
    return [(row.shard, row.order_id, row.event_seq) for row in rows]


def test_one_read_gives_the_rows_of_several_shards_in_commit_order_and_of_no_other(database: FairdropDatabase) -> None:
    write(database, 1, ("b", 1))
    write(database, 1, ("a", 2), ("a", 1))
    write(database, 2, ("c", 1))
    write(database, 3, ("d", 1))
    assert names(page(database, start(1), start(3))) == [(1, "b", 1), (1, "a", 1), (1, "a", 2), (3, "d", 1)]


def test_a_cursor_reads_on_behind_its_row_even_inside_one_transaction(database: FairdropDatabase) -> None:
    write(database, 1, ("a", 1), ("a", 2), ("b", 1))
    write(database, 1, ("a", 3))
    (first,) = page(database, start(1), at_most=1)
    assert names([first]) == [(1, "a", 1)]
    assert names(page(database, start(1).after(first, 1))) == [(1, "a", 2), (1, "b", 1), (1, "a", 3)]


def test_a_cursor_moves_only_from_where_it_is_thought_to_be(database: FairdropDatabase) -> None:
    write(database, 1, ("a", 1))
    write(database, 2, ("b", 1))
    one, two = page(database, start(1), start(2))
    stale, fresh = start(1), start(2)
    first = stale.after(one, 1)
    assert transact(database, "t", advance_cursors, {1: stale}, {1: first})[0] == frozenset()
    # The second time shard 1 has moved on, and shard 2 has not: each is judged by itself.
    wanted = {1: Cursor(1, one.created_at, "a", 1, 99), 2: fresh.after(two, 1)}
    assert transact(database, "t", advance_cursors, {1: stale, 2: fresh}, wanted)[0] == {1}
    with snapshot(database) as reads:
        assert read_cursors(reads, [1, 2]) == {1: first, 2: fresh.after(two, 1)}


def test_a_shard_without_a_cursor_begins_at_its_first_row(database: FairdropDatabase) -> None:
    with snapshot(database) as reads:
        assert read_cursors(reads, [4, 5]) == {4: start(4), 5: start(5)}


def test_rows_between_two_times_include_both_and_go_on_after_a_row(database: FairdropDatabase) -> None:
    for seq in range(1, 5):
        write(database, 1, ("a", seq))
    rows = page(database, start(1))
    since, until = rows[1].created_at, rows[2].created_at
    with snapshot(database) as reads:
        assert names(rows_between(reads, 1, since, until, None, 10)) == [(1, "a", 2), (1, "a", 3)]
        assert names(rows_between(reads, 1, since, until, rows[1], 10)) == [(1, "a", 3)]
        just_after = since + timedelta(microseconds=1)
        assert names(rows_between(reads, 1, just_after, until, None, 10)) == [(1, "a", 3)]


@pytest.mark.parametrize("table", ["Outbox", "OutboxCursors", "Leases"])
def test_both_databases_have_the_same_table_so_that_one_relay_serves_both(table: str) -> None:
    def definition(folder: str) -> str:
        text = "\n".join(path.read_text() for path in sorted((SCHEMA_ROOT / folder).glob("*.sql")))
        found = re.search(rf"CREATE TABLE {table} \(.*?;", re.sub(r"--.*", "", text), re.DOTALL)
        assert found is not None
        return " ".join(found[0].split())

    assert definition("orders") == definition("payments")
