"""Payments in the database: one transaction a batch, rows and events together or not at all."""

import threading
import uuid
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from google.cloud.spanner_v1.transaction import Transaction
from payments_samples import terms

from app.payments.gateways import Approved, Declined
from app.payments.payment import Answer, Wish
from app.payments.states import Operation, State, Wanted
from app.payments.store import SpannerBooks, advance_payments, open_payments
from app.storage.database import FairdropDatabase, snapshot, transact

AUTHORIZED = Answer(Operation.AUTHORIZE, Approved("auth-1"))


def order_ids(count: int) -> list[str]:
    return [str(uuid.uuid4()) for _ in range(count)]


def wishes(wanted: Wanted, ids: Iterable[str]) -> dict[str, Wish]:
    return {order_id: Wish(terms(order_id), wanted) for order_id in ids}


def answers(answer: Answer, ids: Iterable[str]) -> dict[str, Answer]:
    return dict.fromkeys(ids, answer)


def outbox(database: FairdropDatabase, order_id: str) -> list[dict[str, Any]]:
    """The outbox rows of a payment, in the relay's order."""
    query = """SELECT OutboxShard, CreatedAt, EventSeq, EventType, Payload FROM Outbox
               WHERE OrderId = @order ORDER BY OutboxShard, CreatedAt, EventSeq"""
    with snapshot(database) as reads:
        rows = list(reads.execute_sql(query, params={"order": order_id}))
    return [dict(zip(("shard", "at", "seq", "type", "data"), row, strict=True)) for row in rows]


def test_what_was_recorded_is_what_is_found(books: SpannerBooks) -> None:
    ids = order_ids(3)
    books.advance(wishes(Wanted.AUTHORIZE, ids), {})
    recorded = books.advance({}, answers(AUTHORIZED, ids))
    assert books.find(ids).payments == recorded.payments
    assert {p.state for p in recorded.payments.values()} == {State.AUTHORIZED}
    assert books.find([*ids, "not there"]).payments.keys() == set(ids)


def test_the_age_of_an_intent_is_that_of_the_commit_that_wrote_it(books: SpannerBooks) -> None:
    (order_id,) = order_ids(1)
    first = books.advance(wishes(Wanted.AUTHORIZE, [order_id]), {})
    again = books.advance(wishes(Wanted.CAPTURE, [order_id]), {})
    assert again.at > first.at
    for recorded in (first, again, books.find([order_id])):
        assert recorded.payments[order_id].open_since == first.at


def test_an_event_is_in_the_outbox_from_the_commit_that_moved_its_payment(
    books: SpannerBooks, payments_database: FairdropDatabase
) -> None:
    (order_id,) = order_ids(1)
    books.advance(wishes(Wanted.CAPTURE, [order_id]), {})
    assert outbox(payments_database, order_id) == []
    first = books.advance({}, answers(AUTHORIZED, [order_id]))
    second = books.advance({}, answers(Answer(Operation.CAPTURE, Approved("auth-1")), [order_id]))
    known = terms(order_id)
    data = {
        "order_id": order_id,
        "sale_id": known.sale_id,
        "customer_id": known.customer_id,
        "amount_minor": known.amount_minor,
        "currency": known.currency,
        "reason": None,
    }
    rows = outbox(payments_database, order_id)
    assert [(row["seq"], row["type"], row["at"]) for row in rows] == [
        (1, "payment.authorized", first.at),
        (2, "payment.captured", second.at),
    ]
    assert [orjson.loads(row["data"]) for row in rows] == [data, data]
    assert {row["shard"] for row in rows} == {second.payments[order_id].outbox_shard}


def test_a_batch_is_one_transaction_also_when_one_of_its_rows_is_refused(
    books: SpannerBooks, payments_database: FairdropDatabase
) -> None:
    good, bad = order_ids(2)

    def half(transaction: Transaction) -> None:
        advance_payments(transaction, wishes(Wanted.VOID, [good]), {})
        # The same row again: the insert of a row that exists by then is refused with the whole commit.
        transaction._mutations.append(transaction._mutations[0])
        raise_after = wishes(Wanted.VOID, [bad])
        advance_payments(transaction, raise_after, {})

    with pytest.raises(Exception, match=good):
        transact(payments_database, "test", half)
    assert books.find([good, bad]).payments == {}
    assert outbox(payments_database, good) == []


def test_repeating_a_batch_writes_nothing(books: SpannerBooks, payments_database: FairdropDatabase) -> None:
    ids = order_ids(2)
    books.advance(wishes(Wanted.VOID, ids), {})
    written: list[int] = []

    def again(transaction: Transaction) -> None:
        advance_payments(transaction, wishes(Wanted.VOID, ids), answers(AUTHORIZED, ids))
        written.append(len(transaction._mutations))

    transact(payments_database, "test", again)
    assert written[-1] == 0


def test_two_workers_that_record_the_same_answer_write_its_event_once(
    books: SpannerBooks, payments_database: FairdropDatabase
) -> None:
    ids = order_ids(5)
    books.advance(wishes(Wanted.AUTHORIZE, ids), {})
    both_here = threading.Barrier(2)

    def record(_worker: int) -> set[State]:
        both_here.wait(60)
        return {p.state for p in books.advance({}, answers(AUTHORIZED, ids)).payments.values()}

    with ThreadPoolExecutor(2) as workers:
        assert list(workers.map(record, range(2))) == [{State.AUTHORIZED}, {State.AUTHORIZED}]
    for order_id in ids:
        assert [row["seq"] for row in outbox(payments_database, order_id)] == [1]


def test_two_workers_that_hear_first_of_the_same_order_at_once_make_one_payment(books: SpannerBooks) -> None:
    ids = order_ids(5)
    both_here = threading.Barrier(2)

    def hear(wanted: Wanted) -> None:
        both_here.wait(60)
        books.advance(wishes(wanted, ids), {})

    with ThreadPoolExecutor(2) as workers:
        list(workers.map(hear, (Wanted.AUTHORIZE, Wanted.VOID)))
    states = {(p.wanted, p.state) for p in books.find(ids).payments.values()}
    # Whichever came first: either nothing was ever asked, or the answer is awaited and then voided.
    assert states in ({(Wanted.VOID, State.VOIDED)}, {(Wanted.VOID, State.AUTHORIZING)})


def test_open_payments_are_those_that_wait_since_before_a_time_and_those_for_a_person(
    books: SpannerBooks, payments_database: FairdropDatabase
) -> None:
    asked, settled, refused, later = order_ids(4)
    books.advance(wishes(Wanted.AUTHORIZE, [asked, settled, refused]), {})
    books.advance({}, answers(AUTHORIZED, [settled, refused]))
    books.advance(wishes(Wanted.VOID, [refused]), {})
    refusal = books.advance({}, answers(Answer(Operation.VOID, Declined("is_captured")), [refused]))
    books.advance(wishes(Wanted.AUTHORIZE, [later]), {})
    with snapshot(payments_database) as reads:
        found = {p.terms.order_id: p.state for p in open_payments(reads, refusal.at + timedelta(microseconds=1), 1_000)}
        everything = {p.terms.order_id for p in open_payments(reads, datetime.now(UTC) + timedelta(days=1), 1_000)}
        assert len(open_payments(reads, datetime.now(UTC) + timedelta(days=1), 2)) == 2
    assert (found.get(asked), found.get(refused)) == (State.AUTHORIZING, State.VOID_FAILED)
    assert not {settled, later} & found.keys()
    assert later in everything
    assert settled not in everything


def test_overdue_payments_are_those_open_for_longer_than_that_by_the_database_s_clock(books: SpannerBooks) -> None:
    (order_id,) = order_ids(1)
    asked = books.advance(wishes(Wanted.AUTHORIZE, [order_id]), {})
    now = books.find([order_id]).at
    age_seconds = (now - asked.at).total_seconds()
    assert order_id in books.overdue(age_seconds / 2, 1_000).payments
    assert order_id not in books.overdue(3_600, 1_000).payments
    assert books.overdue(0, 1_000).at > now


def test_when_there_are_too_many_the_longest_open_come_first_whatever_their_shard(
    books: SpannerBooks, payments_database: FairdropDatabase
) -> None:
    for order_id in order_ids(8):
        books.advance(wishes(Wanted.AUTHORIZE, [order_id]), {})
    with snapshot(payments_database) as reads:
        later = datetime.now(UTC) + timedelta(days=1)
        everything = open_payments(reads, later, 1_000)
        assert len({payment.outbox_shard for payment in everything}) > 1
        first = open_payments(reads, later, 5)
    assert [p.open_since for p in everything] == sorted(p.open_since for p in everything if p.open_since is not None)
    assert first == everything[:5]


def test_page_by_page_every_open_payment_comes_once_though_one_commit_opened_more_than_a_page(
    books: SpannerBooks, payments_database: FairdropDatabase
) -> None:
    together = order_ids(7)
    books.advance(wishes(Wanted.AUTHORIZE, together), {})
    books.advance(wishes(Wanted.AUTHORIZE, order_ids(3)), {})
    later, pages = datetime.now(UTC) + timedelta(days=1), []
    with snapshot(payments_database) as reads:
        everything = [p.terms.order_id for p in open_payments(reads, later, 1_000)]
        after = None
        while page := open_payments(reads, later, 3, after):
            pages.append([p.terms.order_id for p in page])
            assert page[-1].open_since is not None
            after = (page[-1].open_since, page[-1].terms.order_id)
    assert [len(page) for page in pages[:-1]] == [3] * (len(pages) - 1)
    in_order = [order_id for page in pages for order_id in page]
    assert (len(in_order), set(in_order)) == (len(everything), set(everything))
    assert [o for o in in_order if o in together] == sorted(together)


def test_a_payment_is_no_longer_open_once_it_rests(books: SpannerBooks) -> None:
    (order_id,) = order_ids(1)
    books.advance(wishes(Wanted.AUTHORIZE, [order_id]), {})
    books.advance({}, answers(AUTHORIZED, [order_id]))
    assert books.find([order_id]).payments[order_id].open_since is None


def test_the_largest_batch_fits_in_one_transaction(books: SpannerBooks) -> None:
    ids = order_ids(500)
    assert len(books.advance(wishes(Wanted.VOID, ids), {}).payments) == 500
