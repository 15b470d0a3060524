"""What the console asks for: a sale live from one look for all, orders with their history, and all of them as a table."""

import csv
import io
import time
from typing import Any

import orjson
import pytest
from http_samples import CARD, Shop, broken_rule, problem
from jsonschema import Draft202012Validator

from app.http.console import live_body
from app.services import console, order_search, sales
from app.services.concurrency import Threads
from app.services.console import ConsoleFeed, SaleSight, Watcher
from app.services.draw import draw
from app.services.placement import Placement
from app.services.shared_figures import SharedFigures
from app.settings import Settings
from app.storage.database import FairdropDatabase

PATIENCE_SECONDS = 30.0


@pytest.fixture
def feed(settings: Settings, database: FairdropDatabase) -> ConsoleFeed:
    return ConsoleFeed(database, Threads(), SharedFigures(Placement(database, settings), None))


def counted(watcher: Watcher, orders: int) -> SaleSight:
    """The first sight that has so many orders."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while True:
        sight = watcher.next(PATIENCE_SECONDS)
        assert sight is not None
        if sight.counts.orders == orders:
            return sight
        assert time.monotonic() < give_up


def test_a_sale_is_counted_from_its_events_and_then_on_from_there(shop: Shop, feed: ConsoleFeed) -> None:
    sale = shop.put_up(stock=2, waitlist_limit=5, unit_price_minor=500, limit_per_customer=1)
    for _ in range(3):
        assert shop.buyer().order(sale, payment_method=CARD).status_code == 201
    other = shop.put_up()
    shop.buyer().order(other)
    watcher = feed.watch(sale.sale_id)
    sight = counted(watcher, 3)
    assert sight.counts.by_status == {"PENDING": 2, "WAITLISTED": 1}
    assert (sum(shard.available for shard in sight.shards), sight.overdue) == (0, 0)
    shop.buyer().order(sale, payment_method=CARD)
    assert counted(watcher, 4).counts.by_status == {"PENDING": 2, "WAITLISTED": 2}
    give_up = time.monotonic() + PATIENCE_SECONDS
    # No relay runs here; the outbox is looked at every few looks.
    while sight.unpublished < 5 and time.monotonic() < give_up:
        sight = watcher.next(PATIENCE_SECONDS) or sight
    assert sight.unpublished >= 5
    assert sight.oldest_unpublished_at is not None
    watcher.close()


def test_a_lottery_is_watched_from_its_entries_to_its_draw(shop: Shop, feed: ConsoleFeed) -> None:
    sale = shop.put_up(policy="lottery", stock=1, waitlist_limit=1)
    watcher = feed.watch(sale.sale_id)
    for _ in range(3):
        shop.buyer().order(sale)
    body = live_body(counted(watcher, 3))
    assert body["counts"]["by_status"] == {"ENTERED": 3}
    assert (body["draw"]["state"], body["draw"]["seed"]) == ("COMMITTED", None)
    sales.close(shop.database, sale.sale_id, "seller")
    draw(shop.database, sale.sale_id, "drawer")
    give_up = time.monotonic() + PATIENCE_SECONDS
    while body["draw"]["state"] != "DRAWN" and time.monotonic() < give_up:
        sight = watcher.next(PATIENCE_SECONDS)
        body = live_body(sight) if sight is not None else body
    told = {name: number for name, number in body["counts"]["by_status"].items() if number}
    assert told == {"PLACED": 1, "WAITLISTED": 1, "LAPSED": 1}
    assert (body["draw"]["won_orders"], body["draw"]["entries"]) == (1, 3)
    watcher.close()


def test_many_who_watch_cost_one_look_and_nobody_costs_none(shop: Shop, feed: ConsoleFeed) -> None:
    sale = shop.put_up()
    watchers = [feed.watch(sale.sale_id) for _ in range(20)]
    first = [watcher.next(PATIENCE_SECONDS) for watcher in watchers]
    assert first[0] is not None
    assert len({id(sight) for sight in first}) <= 2
    assert feed.looks <= 3
    for watcher in watchers:
        watcher.close()
    time.sleep(1.5 * console.TICK_SECONDS)
    looks = feed.looks
    time.sleep(1.5 * console.TICK_SECONDS)
    assert feed.looks == looks


def test_only_so_many_may_watch_and_one_that_leaves_makes_room(
    shop: Shop, feed: ConsoleFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "MAX_WATCHERS", 2)
    sale = shop.put_up()
    watchers = [feed.watch(sale.sale_id) for _ in range(2)]
    with pytest.raises(console.TooManyWaiting):
        feed.watch(sale.sale_id)
    watchers[0].close()
    watchers[0].close()
    feed.watch(sale.sale_id).close()
    watchers[1].close()


def test_a_sale_that_nobody_watches_makes_room_for_another(
    shop: Shop, feed: ConsoleFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "MAX_SALES", 1)
    one, other = shop.put_up(), shop.put_up()
    watcher = feed.watch(one.sale_id)
    with pytest.raises(console.TooManyWaiting):
        feed.watch(other.sale_id)
    watcher.close()
    feed.watch(other.sale_id).close()


def test_the_stream_tells_the_sale_as_the_document_describes_it(shop: Shop) -> None:
    sale = shop.put_up()
    shop.buyer().order(sale)
    response = shop.seller.get(f"/v1/admin/sales/{sale.sale_id}/live", buffered=False)
    assert (response.status_code, response.mimetype) == (200, "text/event-stream")
    frames = iter(response.response)
    event = next(frame for frame in frames if b"event: sale" in frame)
    response.close()
    told: dict[str, Any] = orjson.loads(event.split(b"data: ")[1])
    assert (told["sale_id"], told["stock"]) == (sale.sale_id, 100)
    document = shop.client.get("/openapi.json").json
    schema = {"$ref": "#/components/schemas/SaleLive", "components": document["components"]}
    Draft202012Validator(schema).validate(told)


def test_a_customer_s_orders_are_found_with_their_history(shop: Shop) -> None:
    sale = shop.put_up(stock=1, waitlist_limit=5, shard_count=1)
    shop.buyer("fia").order(sale)
    waiting = shop.buyer("gus").order(sale).json
    sales.restock(shop.database, sale.sale_id, 1, "key", "seller")
    for query in ("customer_id=gus", f"order_id={waiting['order_id']}"):
        (found,) = shop.seller.get(f"/v1/admin/sales/{sale.sale_id}/orders?{query}").json["orders"]
        assert (found["customer_id"], found["status"]) == ("gus", "PLACED")
        events = [(event["event_seq"], event["status"], event["trigger"]) for event in found["events"]]
        assert events == [(1, "WAITLISTED", "waitlist"), (2, "PLACED", "promote_free")]
        assert (
            found["events"][0]["committed_at"] == waiting["position"]["placed_at"] < found["events"][1]["committed_at"]
        )
    for query in ("customer_id=nobody", "order_id=nothing", "order_id=00000000-0000-5000-8000-000000000000"):
        assert shop.seller.get(f"/v1/admin/sales/{sale.sale_id}/orders?{query}").json == {"orders": []}
    for query in ("", "?customer_id=gus&order_id=x", "?customer_id=a%00b"):
        assert broken_rule(shop.seller.get(f"/v1/admin/sales/{sale.sale_id}/orders{query}"))[0] == "customer_id"


def test_the_table_has_every_order_once_as_of_one_moment(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order_search, "ORDERS_PER_PAGE", 3)
    sale = shop.put_up(shard_count=2, unit_price_minor=500)
    made = {shop.buyer(f"=cmd|{number}").order(sale, payment_method=CARD).json["order_id"] for number in range(10)}
    response = shop.seller.get(f"/v1/admin/sales/{sale.sale_id}/orders.csv", buffered=False)
    assert response.content_type == "text/csv; charset=utf-8"
    assert "attachment" in response.headers["Content-Disposition"]
    parts = iter(response.response)
    head = next(parts)
    late = shop.buyer().order(sale, payment_method=CARD).json["order_id"]
    rows = list(csv.DictReader(io.StringIO((head + b"".join(parts)).decode())))
    assert sorted(row["order_id"] for row in rows) == sorted(made)
    assert late not in {row["order_id"] for row in rows}
    assert all(row["customer_id"].startswith("'=cmd|") and row["status"] == "PENDING" for row in rows)
    places = [(row["shard_id"], row["placed_at"], int(row["seq"])) for row in rows]
    assert places == sorted(places)


@pytest.mark.parametrize("path", ["live", "orders?customer_id=ann", "orders.csv"])
def test_the_console_is_for_sellers_only(shop: Shop, path: str) -> None:
    sale = shop.put_up()
    problem(shop.passer_by.get(f"/v1/admin/sales/{sale.sale_id}/{path}"), 401, "unauthenticated")
    problem(shop.buyer().get(f"/v1/admin/sales/{sale.sale_id}/{path}"), 403, "forbidden")


@pytest.mark.parametrize("path", ["live", "orders.csv"])
def test_a_sale_that_is_not_there_is_said_so(shop: Shop, path: str) -> None:
    problem(shop.seller.get(f"/v1/admin/sales/no-such-sale/{path}"), 404, "sale-not-found")
