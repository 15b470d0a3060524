"""The auditor over a real database: clean after real orders, and each kind of bad row that the schema lets in is named."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from counter_samples import open_counter, order
from sale_samples import put_up

from app.domain.errors import SaleNotFound
from app.domain.ids import outbox_shard
from app.domain.orders import Order
from app.domain.sale import Sale
from app.services import sales
from app.services.audit.report import AuditReport, audit
from app.settings import Settings
from app.storage.database import FairdropDatabase

SOLD = ("anna", "ben", "cleo")
WAITING = ("dora", "emil")


class Sold:
    """A sale of three units on two shards, all taken by orders of one unit; two more customers wait."""

    def __init__(self, database: FairdropDatabase, settings: Settings) -> None:
        self.database = database
        self.sale: Sale = put_up(
            database, stock=3, shard_count=2, waitlist_limit=5, unit_price_minor=100, limit_per_customer=1
        )
        counter = open_counter(settings)
        self.orders: dict[str, Order] = {
            name: order(counter, self.sale, name, method="tok").order for name in (*SOLD, *WAITING)
        }

    def key(self, customer: str) -> dict[str, Any]:
        return {"CustomerId": customer, "SaleId": self.sale.sale_id, "OrderId": self.orders[customer].order_id}

    def update(self, table: str, **values: Any) -> None:
        """Write columns of one row, as no transaction of the service would."""
        with self.database.batch() as batch:
            batch.update(table, tuple(values), [tuple(values.values())])

    def insert(self, table: str, **values: Any) -> None:
        with self.database.batch() as batch:
            batch.insert(table, tuple(values), [tuple(values.values())])

    def delete(self, statement: str, **values: Any) -> None:
        self.database.execute_partitioned_dml(statement, params=values)

    def audit(self) -> AuditReport:
        return audit(self.database, self.sale.sale_id)

    def broken(self) -> dict[str, list[str]]:
        return {f.name: [f"{v.row}: {v.says}" for v in f.violations] for f in self.audit().broken}

    def name(self, customer: str) -> str:
        return f"order {self.orders[customer].order_id} of customer {customer}"


@pytest.fixture
def sold(database: FairdropDatabase, settings: Settings) -> Sold:
    return Sold(database, settings)


def test_real_orders_a_restock_and_a_pause_leave_a_clean_sale_with_its_figures(sold: Sold) -> None:
    sales.restock(sold.database, sold.sale.sale_id, 1, "more", "seller")
    sales.pause(sold.database, sold.sale.sale_id, "seller")
    report = sold.audit()
    assert report.verdict == "CLEAN"
    assert report.orders == 5
    figures = report.findings[0].figures
    assert figures["orders"] == {"PENDING": 4, "WAITLISTED": 1}
    assert figures["units"] == {"PENDING": 4, "WAITLISTED": 1}
    assert (figures["stock"], figures["allocated"], figures["available"], figures["waiting"]) == (4, 4, 0, 1)


def test_a_sale_is_audited_as_it_was_at_the_time_asked_for(sold: Sold) -> None:
    before = sold.audit().as_of
    sold.update("Orders", **sold.key("anna"), Units=9)
    assert sold.broken()
    earlier = audit(sold.database, sold.sale.sale_id, as_of=before)
    assert (earlier.verdict, earlier.as_of) == ("CLEAN", before)


def test_another_sale_s_rows_are_nobody_s_business(sold: Sold, database: FairdropDatabase, settings: Settings) -> None:
    other = Sold(database, settings)
    other.update("Orders", **other.key("anna"), Units=9)
    assert sold.audit().verdict == "CLEAN"
    assert other.broken()


def test_a_sale_that_is_not_there_cannot_be_audited(database: FairdropDatabase) -> None:
    with pytest.raises(SaleNotFound):
        audit(database, "no-such-sale")


def _more_units(sold: Sold) -> str:
    sold.update("Orders", **sold.key("anna"), Units=3)
    return f"shard {sold.orders['anna'].shard_id}: "


def _more_stock(sold: Sold) -> str:
    sold.update("Sales", SaleId=sold.sale.sale_id, Stock=4)
    return "the sale: its shards have 3 units allocated, its stock is 4"


def _free_units(sold: Sold) -> str:
    shard_id = sold.orders["anna"].shard_id
    sold.update("StockShards", SaleId=sold.sale.sale_id, ShardId=shard_id, Available=1)
    return f"{sold.name('dora')}: waits for 1 units, 1 are available"


def _lost_version(sold: Sold) -> str:
    shard_id = sold.orders["anna"].shard_id
    sold.delete(
        "DELETE FROM StockLedger WHERE SaleId = @sale AND ShardId = @shard AND Version = 2",
        sale=sold.sale.sale_id,
        shard=shard_id,
    )
    return f"ledger of shard {shard_id}, version 3: follows version 1: what is between is missing"


def _waited_beside_stock(sold: Sold) -> str:
    shard_id = sold.orders["dora"].shard_id
    sold.delete(
        "UPDATE StockLedger SET Available = 2 WHERE SaleId = @sale AND ShardId = @shard AND Available = 0",
        sale=sold.sale.sale_id,
        shard=shard_id,
    )
    return f"{sold.name('dora')}: was waitlisted at "


def _same_position(sold: Sold) -> str:
    ben = sold.orders["ben"]
    sold.update("Orders", **sold.key("anna"), PlacedAt=ben.placed_at, ShardId=ben.shard_id, Seq=ben.seq)
    return "position "


def _same_id(sold: Sold) -> str:
    name = sold.orders["anna"].order_id
    columns = "Status, Units, UnitPriceMinor, Currency, ShardId, ReceivedAt, Fingerprint, EventSeq, UpdatedAt, PlacedAt"
    with sold.database.snapshot() as reads:
        query = f"SELECT {columns} FROM Orders WHERE OrderId = @id"
        row = next(iter(reads.execute_sql(query, params={"id": name})))
    twin = dict(zip(columns.split(", "), row, strict=True))
    sold.insert("Orders", CustomerId="thief", SaleId=sold.sale.sale_id, OrderId=name, Seq=77, **twin)
    return f"order {name}: is of 2 customers: anna, thief"


def _jumped_status(sold: Sold) -> str:
    sold.update("Orders", **sold.key("anna"), Status="AUTHORIZED")
    return f"{sold.name('anna')}: is AUTHORIZED, its events end in PENDING"


def _illegal_transition(sold: Sold) -> str:
    now = datetime.now(UTC)
    event = {"Status": "PLACED", "Trigger": "capture", "Actor": "nobody", "CommittedAt": now}
    sold.insert("OrderEvents", **sold.key("anna"), EventSeq=2, **event)
    return f"{sold.name('anna')}: event 2: an order that is PENDING cannot capture"


def _lost_event(sold: Sold) -> str:
    sold.delete("DELETE FROM OrderEvents WHERE OrderId = @id", id=sold.orders["anna"].order_id)
    return f"{sold.name('anna')}: has no events"


def _lost_outbox_row(sold: Sold) -> str:
    sold.delete("DELETE FROM Outbox WHERE OrderId = @id", id=sold.orders["anna"].order_id)
    return f"{sold.name('anna')}: event 1: has no outbox row"


def _stray_outbox_row(sold: Sold) -> str:
    sold.insert(
        "Outbox",
        OutboxShard=outbox_shard(sold.sale.sale_id, 0),
        CreatedAt=datetime.now(UTC),
        OrderId="stray",
        EventSeq=1,
        EventType="order.placed",
        Payload=f'{{"sale_id": "{sold.sale.sale_id}"}}',
    )
    return "outbox row of order stray, event 1: there is no such event in this sale"


def _lost_place_in_the_waitlist(sold: Sold) -> str:
    sold.update("Orders", **sold.key("dora"), WaitlistedAt=None)
    return f"{sold.name('dora')}: waits, and stands in the waitlist as of never"


def _second_order(sold: Sold) -> str:
    sold.update("Orders", **sold.key("emil"), Units=2)
    return "customer emil: has 2 units in 1 live orders, the limit is 1"


def _too_early(sold: Sold) -> str:
    opens_at = sold.orders["anna"].placed_at + timedelta(microseconds=1)
    sold.update("Sales", SaleId=sold.sale.sale_id, OpensAt=opens_at)
    return f"{sold.name('anna')}: was placed at "


@pytest.mark.parametrize(
    ("check", "plant"),
    [
        ("never oversold", _more_units),
        ("never oversold", _more_stock),
        ("the stock ledger adds up", _lost_version),
        ("never undersold", _free_units),
        ("first come, first served", _waited_beside_stock),
        ("one line in the ledger a request", _same_position),
        ("one line in the ledger a request", _same_id),
        ("every history is whole", _jumped_status),
        ("every history is whole", _illegal_transition),
        ("every history is whole", _lost_event),
        ("every history is whole", _lost_outbox_row),
        ("every history is whole", _stray_outbox_row),
        ("every history is whole", _lost_place_in_the_waitlist),
        ("the limit per customer", _second_order),
        ("no order before the opening", _too_early),
    ],
    ids=lambda value: value.__name__.strip("_") if callable(value) else None,
)
def test_a_bad_row_in_the_database_is_named_by_the_check_it_breaks(
    sold: Sold, check: str, plant: Callable[[Sold], str]
) -> None:
    says = plant(sold)
    found = sold.broken()
    assert any(line.startswith(says) for line in found.get(check, [])), found
