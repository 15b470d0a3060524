"""What the console shows of those who checked: the audit's last verdict, the fairness report, and the dead letters."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from http_samples import Shop, problem
from jsonschema import Draft202012Validator

from app.domain.sale import Sale
from app.http.app import create_app
from app.messaging.broker import BrokerUnavailable
from app.messaging.events import ORDERS_SOURCE
from app.messaging.publisher import Publisher
from app.messaging.topics import ORDER_EVENTS, ensure_topics
from app.services import dead_letters, reports, sales
from app.services.audit.report import audit
from app.services.fairness import fairness
from app.services.fairness_page import STYLE, style_digest
from app.services.reports import keep_fairness, keep_verdict
from app.settings import Settings
from emulator import Emulators


def address(sale: Sale, what: str) -> str:
    return f"/v1/admin/sales/{sale.sale_id}/{what}"


@pytest.fixture
def closed(shop: Shop) -> Sale:
    """A sale that is over, with two orders and one who waits."""
    sale = shop.put_up(stock=2, waitlist_limit=1, shard_count=1)
    for _ in range(3):
        assert shop.buyer().order(sale).status_code == 201
    sales.close(shop.database, sale.sale_id, "seller")
    return sale


def test_the_last_verdict_is_shown_with_who_asked_and_what_was_compared(shop: Shop, closed: Sale) -> None:
    assert shop.seller.get(address(closed, "reports")).json == {
        "audit": None,
        "fairness": None,
        "fairness_orders_at_most": reports.ORDERS_AT_MOST,
    }
    first = audit(shop.database, closed.sale_id)
    keep_verdict(shop.database, first, "cli:sam", "fairdrop audit")
    with shop.database.batch() as batch:
        row = (closed.sale_id, 0, 0)
        batch.update("StockShards", ("SaleId", "ShardId", "Waiting"), [row])
    second = audit(shop.database, closed.sale_id)
    keep_verdict(shop.database, second, "cli:eve", "fairdrop audit")
    answer = shop.seller.get(address(closed, "reports")).json
    shown = answer["audit"]
    assert (shown["clean"], shown["verdict"], shown["made_by"]) == (False, second.verdict, "cli:eve")
    assert (shown["orders"], shown["command"], shown["at_rest"], shown["with_payments"]) == (
        3,
        "fairdrop audit",
        False,
        False,
    )
    assert shown["as_of"] < shown["made_at"]
    schema = {
        "$ref": "#/components/schemas/SaleReportsView",
        "components": shop.client.get("/openapi.json").json["components"],
    }
    Draft202012Validator(schema).validate(answer)


def test_a_report_is_made_of_a_sale_that_is_over_and_then_shown_as_a_page(shop: Shop, closed: Sale) -> None:
    problem(shop.seller.get(address(closed, "fairness")), 404, "report-not-made")
    made = shop.seller.post(address(closed, "fairness"))
    assert made.status_code == 200, made.text
    told = made.json["fairness"]
    assert (told["orders"], told["made_by"], told["command"]) == (3, "seller", "console")
    page = shop.seller.get(address(closed, "fairness"))
    assert (page.status_code, page.content_type) == (200, "text/html; charset=utf-8")
    assert page.headers["Cache-Control"] == "no-store"
    assert told["verdict"] in page.text


def test_the_report_that_a_command_has_kept_is_the_one_that_is_shown(shop: Shop, closed: Sale) -> None:
    assert shop.seller.post(address(closed, "fairness")).status_code == 200
    keep_fairness(shop.database, fairness(shop.database, closed.sale_id), "cli:sam", "fairdrop fairness")
    assert shop.seller.get(address(closed, "reports")).json["fairness"]["made_by"] == "cli:sam"


def test_the_console_s_policy_lets_the_report_s_style_through_and_no_other(shop: Shop) -> None:
    policy = shop.client.get("/console").headers["Content-Security-Policy"]
    assert f"style-src 'self' '{style_digest()}';" in policy
    assert "unsafe-inline" not in policy
    assert style_digest() not in shop.client.get("/sales/any").headers["Content-Security-Policy"]
    # The digest is of all that stands between the tags.
    assert "</" not in STYLE


@pytest.mark.parametrize("phase", ["scheduled", "open", "paused"])
def test_before_a_sale_is_over_no_report_is_made_and_why_is_said(shop: Shop, phase: str) -> None:
    later = {"opens_at": datetime.now(UTC) + timedelta(hours=1)} if phase == "scheduled" else {}
    sale = shop.put_up(**later)
    if phase == "paused":
        sales.pause(shop.database, sale.sale_id, "seller")
    with shop.nothing_written():
        said = problem(shop.seller.post(address(sale, "fairness")), 409, "sale-state-refused")
    assert said["detail"] == f"cannot report the fairness of a sale that is {phase}"


def test_a_sale_with_too_many_orders_for_it_names_the_command(
    shop: Shop, closed: Sale, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "ORDERS_AT_MOST", 2)
    with shop.nothing_written():
        said = problem(shop.seller.post(address(closed, "fairness")), 409, "report-too-large")
    assert said["orders_at_most"] == 2
    assert f"fairdrop fairness {closed.sale_id}" in said["detail"]
    monkeypatch.setattr(reports, "ORDERS_AT_MOST", 3)
    assert shop.seller.post(address(closed, "fairness")).status_code == 200


def test_one_report_is_made_at_a_time(shop: Shop, closed: Sale, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = []

    def meanwhile(*arguments: object) -> None:
        answers.append(shop.seller.post(address(closed, "fairness")))

    monkeypatch.setattr(reports, "keep_fairness", meanwhile)
    assert shop.seller.post(address(closed, "fairness")).status_code == 200
    problem(answers[0], 503, "too-many-waiting")
    monkeypatch.undo()
    assert shop.seller.post(address(closed, "fairness")).json["fairness"]["orders"] == 3


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "sales/{sale}/reports"),
        ("GET", "sales/{sale}/fairness"),
        ("POST", "sales/{sale}/fairness"),
        ("GET", "dead-letters"),
    ],
)
def test_the_reports_are_for_sellers_only_and_of_sales_that_there_are(shop: Shop, method: str, path: str) -> None:
    there = f"/v1/admin/{path.format(sale=shop.put_up().sale_id)}"
    problem(shop.passer_by.call(method, there), 401, "unauthenticated")
    problem(shop.buyer().call(method, there), 403, "forbidden")
    if "{sale}" in path:
        nowhere = f"/v1/admin/{path.format(sale='no-such-sale')}"
        problem(shop.seller.call(method, nowhere), 404, "sale-not-found")


def test_nobody_waits_long_for_somebody_else_s_look_at_the_dead_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_letters, "AWAITED_SECONDS", 0.01)
    box, failures = dead_letters.DeadLetterBox("anywhere"), []

    def look_again(_project: str) -> None:
        with pytest.raises(BrokerUnavailable) as failed:
            box.look()
        failures.append(failed.value)
        raise BrokerUnavailable("away")

    monkeypatch.setattr(dead_letters, "ensure_topics", look_again)
    with pytest.raises(BrokerUnavailable, match="away"):
        box.look()
    assert len(failures) == 1


def test_dead_letters_are_counted_by_topic_and_the_newest_told_with_their_reason(
    shop: Shop, settings: Settings, pubsub_emulator: Emulators, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letters, "NEWEST", 2)
    own = settings.model_copy(update={"pubsub_project": f"letters-{uuid.uuid4().hex[:8]}"})
    ensure_topics(own.broker_project)
    publisher = Publisher(own.broker_project, ORDER_EVENTS.dead_topic, ORDERS_SOURCE)
    for number in range(3):
        publisher.publish_raw(b"secret", {"reason": f"unreadable: {number}", "ce-type": "order.reserved"})
    publisher.close()
    there = Shop(create_app(own).test_client(), shop.issuer, shop.database)
    answer = there.seller.get("/v1/admin/dead-letters")
    assert "secret" not in answer.text
    orders, payments = answer.json["topics"]
    assert (orders["topic"], orders["count"], payments["count"]) == ("order-events", 3, 0)
    assert [letter["reason"] for letter in orders["newest"]] == ["unreadable: 2", "unreadable: 1"]
    # For a while what was seen serves all, and Pub/Sub is left alone.
    pubsub = pubsub_emulator.pubsub
    assert pubsub is not None
    assert there.seller.get("/v1/admin/dead-letters").json == answer.json
    with monkeypatch.context() as later:
        later.setattr(dead_letters, "GOOD_FOR_SECONDS", 0.0)
        again = there.seller.get("/v1/admin/dead-letters").json
        assert [topic["count"] for topic in again["topics"]] == [3, 0]
        later.setenv("PUBSUB_EMULATOR_HOST", "127.0.0.1:1")
        problem(there.seller.get("/v1/admin/dead-letters"), 503, "broker-unavailable")
