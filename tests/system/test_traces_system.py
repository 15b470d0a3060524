"""One trace leads from a buyer's request to the settled payment, through every process; and traces never hold anything up."""

import re
import secrets
from collections.abc import Sequence
from pathlib import Path

from crowd_samples import PRICE_MINOR
from sale_samples import put_up
from shop import OpenShop
from system_service import Service, service, until

from app.http.local_issuer import LocalIssuer
from app.local.children import free_port
from app.local.collector import SeenSpan, collecting
from app.settings import Settings
from app.storage.database import FairdropDatabase
from emulator import Emulators

WORKERS = ("relay", "payments-relay", "payments", "settlement", "deadlines")
CUSTOMER, KEY, CARD = "anna-of-the-seventh-floor", "key-that-nobody-may-read", "tok_visa"
NEVER_TOLD = (CUSTOMER, KEY, CARD, "eyJ", "Bearer")
CALLER_SPAN = "00f067aa0ba902b7"

THE_WAY = (
    "POST /v1/sales/<sale_id>/orders",
    "take order",
    "publish order.reserved",
    "process order.reserved",
    "gateway authorize",
    "publish payment.authorized",
    "process payment.authorized",
    "publish order.authorized",
    "process order.authorized",
    "publish order.confirmed",
    "process order.confirmed",
    "gateway capture",
    "publish payment.captured",
    "process payment.captured",
    "publish order.placed",
    "process order.placed",
)
PARENTS = {
    "take order": "POST /v1/sales/<sale_id>/orders",
    "publish order.reserved": "take order",
    "process order.reserved": "publish order.reserved",
    "gateway authorize": "process order.reserved",
    "publish payment.authorized": "process order.reserved",
    "process payment.authorized": "publish payment.authorized",
    "publish order.authorized": "process payment.authorized",
    "process order.authorized": "publish order.authorized",
    "publish order.confirmed": "take order",
    "process order.confirmed": "publish order.confirmed",
    "gateway capture": "process order.confirmed",
    "publish payment.captured": "process order.confirmed",
    "process payment.captured": "publish payment.captured",
    "publish order.placed": "process payment.captured",
    "process order.placed": "publish order.placed",
}
"""The capture is asked for by the clock, so what it continues is the order itself."""

KINDS = {"POST": "server", "take": "internal", "publish": "producer", "process": "consumer", "gateway": "client"}


def one(spans: Sequence[SeenSpan], name: str) -> SeenSpan:
    (found,) = [span for span in spans if span.name == name]
    return found


def test_one_trace_leads_from_the_request_through_its_batch_to_the_settled_payment(open_shop: OpenShop) -> None:
    trace_id = secrets.token_hex(16)
    with collecting() as collector:
        variables = {
            "FAIRDROP_TRACES": "otlp",
            "FAIRDROP_TRACES_SAMPLE": "0",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        }
        with open_shop(
            "api", "gateway", *WORKERS, gateway_options="", duplicate_share=0.0, variables=variables
        ) as shop:
            sale = put_up(
                shop.database, unit_price_minor=PRICE_MINOR, hold_seconds=90, cancel_window_seconds=1, waitlist_limit=1
            )
            buyer = Service(shop.team.addresses.api, shop.team.members["api"], shop.settings, {})
            path, body = f"/v1/sales/{sale.sale_id}/orders", {"units": 1, "payment_method": CARD}
            headers = {"Authorization": f"Bearer {LocalIssuer.load(shop.settings).token(CUSTOMER)}"}
            assert buyer.call("POST", path, body, **headers, **{"Idempotency-Key": "untraced"}).status == 201
            headers |= {"Idempotency-Key": KEY, "traceparent": f"00-{trace_id}-{CALLER_SPAN}-01"}
            order = buyer.call("POST", path, body, **headers).body

            def came() -> set[str]:
                return {span.name for span in collector.spans if span.trace_id == trace_id}

            until(lambda: set(THE_WAY) <= came())
        spans = collector.spans
    own = [span for span in spans if span.trace_id == trace_id]
    assert {span.name for span in own} == set(THE_WAY)
    by_id = {span.span_id: span for span in own}
    assert one(own, THE_WAY[0]).parent_id == CALLER_SPAN
    for name, parent in PARENTS.items():
        assert by_id[one(own, name).parent_id].name == parent, name
    assert {span.name: span.kind for span in own} == {name: KINDS[name.partition(" ")[0]] for name in THE_WAY}
    assert not [span for span in spans if span.is_failed]

    taken, batch = one(own, "take order"), one(spans, "place batch")
    assert batch.links == ((trace_id, taken.span_id),)
    assert taken.links == ((batch.trace_id, batch.span_id),)
    assert batch.trace_id != trace_id
    assert (batch.attributes["fairdrop.batch.orders"], batch.attributes["fairdrop.batch.taken"]) == (1, 1)
    assert batch.attributes["fairdrop.committed_at"] == order["position"]["placed_at"]
    under = [span.name for span in spans if span.parent_id == batch.span_id]
    assert sorted(under) == ["commit", "read and decide"]
    # The order without a caller's trace, at a share of 0, has none; nor has any other call of any process.
    assert {span.trace_id for span in spans} == {trace_id, batch.trace_id}
    assert not [secret for secret in NEVER_TOLD if secret in repr(spans)]
    assert {span.attributes.get("fairdrop.order.id", order["order_id"]) for span in own} == {order["order_id"]}


def test_a_collector_that_is_away_holds_up_no_order_and_is_told_of_once(
    emulators: Emulators, settings: Settings, database: FairdropDatabase, tmp_path: Path
) -> None:
    sale = put_up(database, stock=1_000)
    nobody = f"http://127.0.0.1:{free_port()}"
    log_path = tmp_path / "service.log"
    variables = {
        "FAIRDROP_TRACES": "otlp",
        "FAIRDROP_TRACES_SAMPLE": "1",
        "FAIRDROP_TRACES_PER_SECOND": "1000",
        "FAIRDROP_LOG_FORMAT": "json",
        "OTEL_EXPORTER_OTLP_ENDPOINT": nobody,
    }
    with service(settings, emulators.environment, log_path, **variables) as shop:
        report = shop.rush(sale, tmp_path / "rush.jsonl", 300)
        assert report.latency["errors"].count == 0
        until(lambda: "nobody takes our traces" in shop.log())
        assert shop.rush(sale, tmp_path / "again.jsonl", 300).latency["errors"].count == 0
        shop.server.stop()
        assert shop.server.exit_code == 0
    assert len(re.findall("nobody takes our traces", shop.log())) == 1
    assert not re.search("Queue full|Failed to export|Traceback", shop.log())
