"""The simulator's book: once a key, amounts checked, states kept, and nothing forgotten."""

import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.gateway_simulator.book import PAGE_ROWS, Book, Instruction, Reply

MONEY = {"amount_minor": 49_900, "currency": "EUR"}


def never(_payment_method: str) -> str | None:
    return None


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(str(tmp_path / "book.sqlite"))


def authorize(book: Book, order_id: str = "order-1", reason: str | None = None) -> Reply:
    fields = {"order_id": order_id, "payment_method": "tok_visa", **MONEY}
    return book.perform(f"{order_id}:authorize", Instruction("authorize", "", fields), lambda _: reason)


def operate(book: Book, operation: str, authorization_id: str, key: str | None = None, **changes: object) -> Reply:
    instruction = Instruction(operation, authorization_id, {**MONEY, **changes})
    return book.perform(key or f"{authorization_id}:{operation}", instruction, never)


def authorized(book: Book, order_id: str = "order-1") -> str:
    reply = authorize(book, order_id)
    assert reply.status == 201
    return str(reply.body["authorization_id"])


def entry(book: Book) -> dict[str, object]:
    (only,) = book.entries()
    return only


def test_an_authorization_sets_aside_and_takes_nothing(book: Book) -> None:
    name = authorized(book)
    assert entry(book) == {
        "authorization_id": name,
        "order_id": "order-1",
        "payment_method": "tok_visa",
        "state": "authorized",
        **MONEY,
        "captured_minor": 0,
        "refunded_minor": 0,
        "reason": None,
    }


def test_the_same_key_does_a_thing_once_and_answers_the_same_for_ever(book: Book) -> None:
    first = authorize(book)
    assert authorize(book) == first
    assert authorize(book, reason="card_declined") == first
    assert len(list(book.entries())) == 1


def test_a_key_that_belongs_to_another_request_is_refused_and_nothing_done(book: Book) -> None:
    name = authorized(book)
    fields = {"order_id": "order-1", "payment_method": "tok_visa", **MONEY, "amount_minor": 1}
    reused = book.perform("order-1:authorize", Instruction("authorize", "", fields), never)
    assert (reused.status, reused.body) == (409, {"reason": "key_reused"})
    assert operate(book, "capture", name, key="order-1:authorize").status == 409
    assert entry(book)["state"] == "authorized"


def test_a_decline_is_kept_with_its_reason_and_sets_nothing_aside(book: Book) -> None:
    assert authorize(book, reason="expired_card") == Reply(402, {"reason": "expired_card"})
    assert authorize(book) == Reply(402, {"reason": "expired_card"})
    assert (entry(book)["state"], entry(book)["reason"]) == ("declined", "expired_card")


@pytest.mark.parametrize(
    ("steps", "state", "captured", "refunded"),
    [
        (["capture"], "captured", 49_900, 0),
        (["void"], "voided", 0, 0),
        (["capture", "refund"], "refunded", 49_900, 49_900),
    ],
)
def test_money_is_taken_let_go_and_given_back(
    book: Book, steps: list[str], state: str, captured: int, refunded: int
) -> None:
    name = authorized(book)
    for step in steps:
        assert operate(book, step, name) == Reply(201, {"authorization_id": name})
        assert operate(book, step, name, key=f"{step} again, by another key").status == 201
    seen = entry(book)
    assert (seen["state"], seen["captured_minor"], seen["refunded_minor"]) == (state, captured, refunded)


@pytest.mark.parametrize(
    ("steps", "refused", "reason"),
    [
        ([], "refund", "is_authorized"),
        (["capture"], "void", "is_captured"),
        (["void"], "capture", "is_voided"),
        (["void"], "refund", "is_voided"),
        (["capture", "refund"], "capture", "is_refunded"),
        (["capture", "refund"], "void", "is_refunded"),
    ],
)
def test_what_the_state_does_not_take_is_declined_and_changes_nothing(
    book: Book, steps: list[str], refused: str, reason: str
) -> None:
    name = authorized(book)
    for step in steps:
        operate(book, step, name)
    before = entry(book)
    assert operate(book, refused, name, key="a fresh key") == Reply(402, {"reason": reason})
    assert entry(book) == before


@pytest.mark.parametrize("changes", [{"amount_minor": 49_899}, {"amount_minor": 49_901}, {"currency": "USD"}])
def test_another_amount_than_the_authorized_one_is_refused(book: Book, changes: dict[str, object]) -> None:
    name = authorized(book)
    assert operate(book, "capture", name, **changes) == Reply(422, {"reason": "amount_differs"})
    assert entry(book)["captured_minor"] == 0


def test_an_authorization_that_is_not_there_is_not_found(book: Book) -> None:
    assert operate(book, "capture", "auth_nothing").status == 404


def test_the_file_itself_refuses_to_capture_more_than_was_authorized(book: Book, tmp_path: Path) -> None:
    authorized(book)
    with sqlite3.connect(tmp_path / "book.sqlite") as raw, pytest.raises(sqlite3.IntegrityError):
        raw.execute("UPDATE authorizations SET captured_minor = 49901")


def test_many_threads_with_the_same_keys_charge_each_order_once(book: Book) -> None:
    with ThreadPoolExecutor(16) as threads:
        replies = list(threads.map(lambda n: authorize(book, f"order-{n % 20}"), range(400)))
    assert {reply.status for reply in replies} == {201}
    assert len({json.dumps(reply.body) for reply in replies}) == len(list(book.entries())) == 20


def test_the_book_is_read_whole_over_its_pages_in_order(book: Book) -> None:
    for number in range(PAGE_ROWS + 3):
        authorize(book, f"order-{number}")
    names = [str(one["authorization_id"]) for one in book.entries()]
    assert len(names) == len(set(names)) == PAGE_ROWS + 3
    assert names == sorted(names)


def test_tries_are_counted_by_key_also_over_a_new_opening_of_the_file(book: Book, tmp_path: Path) -> None:
    assert [book.count_try("a"), book.count_try("a"), book.count_try("b")] == [1, 2, 1]
    assert Book(str(tmp_path / "book.sqlite")).count_try("a") == 3
