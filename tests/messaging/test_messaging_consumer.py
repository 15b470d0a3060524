"""A consumer acknowledges only what is done, buries what is poison, and gets the rest again."""

import contextlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from app.cli.main import fairdrop
from app.domain.errors import StorageUnavailable
from app.messaging.broker import BrokerUnavailable
from app.messaging.consumer import Consumer, Done, Poison, Retry, Verdict
from app.messaging.dead_letters import read_dead_letters
from app.messaging.events import ORDERS_SOURCE, Event
from app.messaging.publisher import Publisher
from app.messaging.topics import ORDER_EVENTS, ensure_topics

MOMENT = datetime(2026, 11, 27, 12, tzinfo=UTC)


def events(count: int, orders: int) -> list[Event]:
    return [Event("order.reserved", f"o-{i % orders}", f"o-{i % orders}:{i}", MOMENT, {"n": i}) for i in range(count)]


def drain(consumer: Consumer, handle: Callable[[Sequence[Event]], Sequence[Verdict]], wanted: int) -> None:
    while consumer.handled < wanted:
        consumer.step(handle)


def test_every_event_is_handed_over_and_those_of_one_order_in_their_order(project: str) -> None:
    sent = events(2_500, orders=40)
    Publisher(project, ORDER_EVENTS.topic, ORDERS_SOURCE).publish(sent)
    seen: list[Event] = []

    def handle(batch: Sequence[Event]) -> Sequence[Verdict]:
        seen.extend(batch)
        return [Done()] * len(batch)

    drain(Consumer(project, ORDER_EVENTS), handle, len(sent))
    for order in {event.order_id for event in sent}:
        assert [e for e in seen if e.order_id == order] == [e for e in sent if e.order_id == order]


def test_what_is_not_done_comes_again_and_what_is_done_does_not(project: str) -> None:
    Publisher(project, ORDER_EVENTS.topic, ORDERS_SOURCE).publish(events(4, orders=4))
    seen: list[str] = []

    def handle(batch: Sequence[Event]) -> Sequence[Verdict]:
        verdicts = [Retry() if e.order_id == "o-1" and e.id not in seen else Done() for e in batch]
        seen.extend(e.id for e in batch)
        return verdicts

    drain(Consumer(project, ORDER_EVENTS), handle, 4)
    assert sorted(seen) == ["o-0:0", "o-1:1", "o-1:1", "o-2:2", "o-3:3"]


def test_a_batch_whose_handling_fails_comes_again_whole(project: str) -> None:
    Publisher(project, ORDER_EVENTS.topic, ORDERS_SOURCE).publish(events(3, orders=3))
    consumer = Consumer(project, ORDER_EVENTS)

    def fail(_batch: Sequence[Event]) -> Sequence[Verdict]:
        raise StorageUnavailable("no database", 1)

    with pytest.raises(StorageUnavailable):
        consumer.step(fail)
    seen: list[str] = []

    def handle(batch: Sequence[Event]) -> Sequence[Verdict]:
        seen.extend(e.id for e in batch)
        return [Done()] * len(batch)

    drain(consumer, handle, 3)
    assert sorted(seen) == ["o-0:0", "o-1:1", "o-2:2"]


def test_poison_becomes_a_dead_letter_with_its_reason_and_holds_up_nobody(
    project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher = Publisher(project, ORDER_EVENTS.topic, ORDERS_SOURCE)
    publisher.publish_raw(b"\xff not json", {})
    publisher.publish(events(2, orders=2))
    consumer = Consumer(project, ORDER_EVENTS)

    def handle(batch: Sequence[Event]) -> Sequence[Verdict]:
        return [Poison("terms differ") if e.order_id == "o-1" else Done() for e in batch]

    drain(consumer, handle, 3)
    assert consumer.poisoned == 2
    letters = list(read_dead_letters(project, ORDER_EVENTS, 10, take=False))
    assert sorted(letter.reason for letter in letters) == ["terms differ", "unreadable: not JSON"]
    monkeypatch.setenv("FAIRDROP_PUBSUB_PROJECT", project)
    shown = CliRunner().invoke(fairdrop, ["dead-letters"])
    assert shown.exit_code == 1
    assert "terms differ" in shown.output
    assert CliRunner().invoke(fairdrop, ["dead-letters", "--take", "--json"]).exit_code == 1
    assert CliRunner().invoke(fairdrop, ["dead-letters"]).output == "0 dead letters\n"


def test_a_dead_letter_that_cannot_be_published_keeps_nobody_else_from_being_done(
    project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Publisher(project, ORDER_EVENTS.topic, ORDERS_SOURCE).publish(events(3, orders=3))
    consumer = Consumer(project, ORDER_EVENTS)
    seen: list[str] = []

    def handle(batch: Sequence[Event]) -> Sequence[Verdict]:
        seen.extend(e.id for e in batch)
        return [Poison("terms differ") if e.order_id == "o-0" else Done() for e in batch]

    def refuse(*_: object) -> None:
        raise BrokerUnavailable("the dead-letter topic is full")

    with monkeypatch.context() as broken:
        broken.setattr(Publisher, "publish_raw", refuse)
        while consumer.handled < 2:
            with contextlib.suppress(BrokerUnavailable):
                consumer.step(handle)
    assert consumer.poisoned == 0
    drain(consumer, handle, 3)
    assert consumer.poisoned == 1
    assert [seen.count(event) for event in ("o-1:1", "o-2:2")] == [1, 1]


def test_making_the_topics_twice_changes_nothing(project: str) -> None:
    Publisher(project, ORDER_EVENTS.topic, ORDERS_SOURCE).publish(events(1, orders=1))
    ensure_topics(project)
    consumer = Consumer(project, ORDER_EVENTS)
    drain(consumer, lambda batch: [Done()] * len(batch), 1)


def test_whoever_looks_at_dead_letters_while_another_does_is_not_told_that_there_are_none(project: str) -> None:
    letters = Publisher(project, ORDER_EVENTS.dead_topic, "")
    for number in range(3):
        letters.publish_raw(b"unreadable", {"reason": f"letter {number}"})
    first = read_dead_letters(project, ORDER_EVENTS, 100, take=False)
    next(first)
    with ThreadPoolExecutor(1) as other:
        second = other.submit(lambda: list(read_dead_letters(project, ORDER_EVENTS, 100, take=False)))
        assert len(list(first)) == 2
        assert {letter.reason for letter in second.result()} == {"letter 0", "letter 1", "letter 2"}
