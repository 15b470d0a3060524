"""Pub/Sub as the emulator shows it: ordering keys, pages, and a broker that is away or comes back empty."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from google.api_core.exceptions import ServiceUnavailable
from google.pubsub_v1 import PublisherClient

from app.local.children import free_port
from app.messaging.broker import EMULATOR_VARIABLE, BrokerUnavailable, publisher_client
from app.messaging.consumer import Consumer, Done
from app.messaging.events import ORDERS_SOURCE, Event
from app.messaging.publisher import CALLS_AT_ONCE, KEYS_ON_EMULATOR, MAX_MESSAGES, Publisher, ordering_key
from app.messaging.topics import ORDER_EVENTS, ensure_topics, topic_path

MOMENT = datetime(2026, 11, 27, 12, tzinfo=UTC)


def event(order: str, number: int = 1) -> Event:
    return Event("order.reserved", order, f"{order}:{number}", MOMENT, {"n": number})


def test_the_ordering_key_is_the_order_and_on_an_emulator_one_of_a_few_that_stays_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    orders = [str(uuid.UUID(int=number)) for number in range(20_000)]
    monkeypatch.delenv(EMULATOR_VARIABLE, raising=False)
    assert [ordering_key(order) for order in orders] == orders
    monkeypatch.setenv(EMULATOR_VARIABLE, "127.0.0.1:1")
    keys = [ordering_key(order) for order in orders]
    assert keys == [ordering_key(order) for order in orders]
    assert KEYS_ON_EMULATOR / 2 < len(set(keys)) <= KEYS_ON_EMULATOR


def test_more_than_a_call_may_carry_is_published_in_several(project: str) -> None:
    consumer = Consumer(project, ORDER_EVENTS)
    Publisher(project, ORDER_EVENTS.topic, ORDERS_SOURCE).publish(
        [event(f"o-{number}") for number in range(2 * MAX_MESSAGES + 1)]
    )
    seen: set[str] = set()
    while consumer.handled < 2 * MAX_MESSAGES + 1:
        consumer.step(lambda batch: seen.update(e.order_id for e in batch) or [Done()] * len(batch))
    assert len(seen) == 2 * MAX_MESSAGES + 1


def test_a_request_has_one_ordering_key_as_the_real_broker_demands_and_an_orders_events_stay_in_order(
    project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests: list[list[str]] = []
    real = PublisherClient.publish

    def recorded(client: PublisherClient, request: dict[str, Any], **options: Any) -> Any:
        requests.append([message.ordering_key for message in request["messages"]])
        return real(client, request=request, **options)

    monkeypatch.setattr(PublisherClient, "publish", recorded)
    publisher = Publisher(project, ORDER_EVENTS.topic, ORDERS_SOURCE, one_key_a_request=True)
    publisher.publish([event(f"o-{order}", number) for number in (1, 2, 3) for order in range(40)])
    publisher.close()
    assert len(requests) > 1
    assert all(len(set(keys)) == 1 for keys in requests)
    consumer, seen = Consumer(project, ORDER_EVENTS), [0] * 40

    def in_order(batch: Sequence[Event]) -> list[Done]:
        for one in batch:
            order = int(one.order_id.removeprefix("o-"))
            assert one.data["n"] <= seen[order] + 1
            seen[order] = max(seen[order], one.data["n"])
        return [Done()] * len(batch)

    while consumer.handled < 120:
        consumer.step(in_order)
    assert seen == [3] * 40


def test_after_a_request_that_fails_no_other_is_begun(project: str, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []

    def refused(_client: PublisherClient, request: dict[str, Any], **_options: Any) -> Any:
        begun.append(request["messages"][0].ordering_key)
        raise ServiceUnavailable("away")  # type: ignore[no-untyped-call]

    monkeypatch.setattr(PublisherClient, "publish", refused)
    publisher = Publisher(project, ORDER_EVENTS.topic, ORDERS_SOURCE, one_key_a_request=True)
    with pytest.raises(BrokerUnavailable):
        publisher.publish([event(f"o-{order}") for order in range(1_000)])
    publisher.close()
    assert len(begun) <= CALLS_AT_ONCE


def test_without_a_broker_every_call_says_so_and_none_waits_for_it_to_come_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(EMULATOR_VARIABLE, f"127.0.0.1:{free_port()}")
    calls = (
        lambda: ensure_topics("nobody"),
        lambda: Publisher("nobody", ORDER_EVENTS.topic, ORDERS_SOURCE).publish([event("o-1")]),
        lambda: Consumer("nobody", ORDER_EVENTS).step(lambda batch: [Done()] * len(batch)),
    )
    for call in calls:
        with pytest.raises(BrokerUnavailable):
            call()


def test_topics_that_are_gone_are_made_again_by_whoever_publishes(pubsub_emulator: object) -> None:
    project = f"test-{uuid.uuid4().hex[:10]}"
    Publisher(project, ORDER_EVENTS.topic, ORDERS_SOURCE).publish([event("o-1")])
    consumer = Consumer(project, ORDER_EVENTS)
    while not consumer.handled:
        consumer.step(lambda batch: [Done()] * len(batch))


def test_subscriptions_that_are_gone_are_made_again_by_whoever_misses_them(pubsub_emulator: object) -> None:
    project = f"test-{uuid.uuid4().hex[:10]}"
    consumer = Consumer(project, ORDER_EVENTS)
    with pytest.raises(BrokerUnavailable):
        consumer.step(lambda batch: [Done()] * len(batch))
    Publisher(project, ORDER_EVENTS.topic, ORDERS_SOURCE).publish([event("o-1")])
    while not consumer.handled:
        consumer.step(lambda batch: [Done()] * len(batch))


def test_nothing_is_published_to_a_topic_that_nobody_listens_to_yet(pubsub_emulator: object) -> None:
    project = f"test-{uuid.uuid4().hex[:10]}"
    with publisher_client() as other:
        # As far as another process may have come that makes what an emulator has lost.
        other.create_topic(request={"name": topic_path(project, ORDER_EVENTS.topic)})
    publisher = Publisher(project, ORDER_EVENTS.topic, ORDERS_SOURCE)
    publisher.publish([event("o-1")])
    consumer, tries = Consumer(project, ORDER_EVENTS), 0
    while not consumer.handled and tries < 5:
        consumer.step(lambda batch: [Done()] * len(batch))
        tries += 1
    assert consumer.handled == 1
