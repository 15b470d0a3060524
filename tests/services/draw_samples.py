"""Lotteries in a real database: entries in them, their draw, and what came of it."""

from collections.abc import Sequence
from typing import Any

from settlement_samples import Stage

from app.domain.draw import Draw, Entry, Result, allot, digest_of, rank_of
from app.domain.states import Status
from app.services import sales
from app.services.audit.report import audit
from app.services.draw import draw
from app.settings import Settings
from app.storage.database import FairdropDatabase, snapshot


class Lottery(Stage):
    """One lottery, priced unless the terms say otherwise, with 4 units and room for 1,000 to wait."""

    def __init__(self, database: FairdropDatabase, settings: Settings, **terms: Any) -> None:
        super().__init__(database, settings, **{"policy": "lottery", "limit_per_customer": 5, **terms})

    def enter(self, *units: int) -> None:
        """Customers c0, c1, … with so many units each."""
        for number, count in enumerate(units):
            self.order(f"c{number}", count)

    def close(self) -> None:
        sales.close(self.database, self.sale.sale_id, "seller")

    def draw(self, **options: Any) -> Draw:
        return draw(self.database, self.sale.sale_id, "drawer:1", **options)

    def drawn(self) -> list[tuple[int, str, int, str, str]]:
        """(place, customer, units, result, status) of all that were drawn, by place."""
        query = (
            "SELECT DrawPlace, CustomerId, Units, DrawResult, Status FROM Orders "
            "WHERE SaleId = @sale AND DrawPlace IS NOT NULL ORDER BY DrawPlace"
        )
        with snapshot(self.database) as reads:
            return [tuple(row) for row in reads.execute_sql(query, params={"sale": self.sale.sale_id})]

    def expected(self, record: Draw) -> list[tuple[int, str, int, Result]]:
        """(place, customer, units, result) by the rule, worked out from the revealed seed alone."""
        assert record.seed is not None
        assert record.digest is not None
        customers = {key.order_id: customer for customer, key in self.keys.items()}
        entered = [
            Entry(row["OrderId"], row["Units"]) for row in self.books().rows if row["Status"] != Status.CANCELLED
        ]
        assert digest_of(sorted(entered)).hex == record.digest
        seed = bytes.fromhex(record.seed)
        ranked = sorted(entered, key=lambda entry: rank_of(seed, record.digest or "", entry.order_id))
        results = allot(ranked, record.stock or 0, record.waitlist_limit or 0)
        return [(one.place, customers[one.order_id], one.units, one.result) for one in results]

    def broken(self) -> dict[str, Sequence[Any]]:
        """What the audit finds."""
        report = audit(self.database, self.sale.sale_id)
        return {finding.name: finding.violations for finding in report.broken}
