"""Restocking, step by step: each transaction adds what it can give away or spread, and writes down how far it came."""

from dataclasses import dataclass
from datetime import datetime

from google.cloud.spanner_v1 import COMMIT_TIMESTAMP as NOW
from google.cloud.spanner_v1 import KeySet
from google.cloud.spanner_v1.transaction import Transaction

from app.domain.errors import InvalidValue, RestockReused, SaleNotFound
from app.domain.promotion import promote, spread_over
from app.domain.sale import MAX_STOCK_UNITS
from app.domain.stock import Cause, StockBook
from app.storage.promotion import StoredWaitlist, write_promotion
from app.storage.sales import find_sale
from app.storage.stock import read_shards, write_shards

PROMOTIONS_PER_STEP = 300
"""Some 40 mutations each, far below Spanner's 80,000 a commit."""


@dataclass(frozen=True, slots=True)
class RestockStep:
    """How far a restock is. Units."""

    units: int
    done_units: int
    promoted_orders: int


def restock_step(
    transaction: Transaction, sale_id: str, restock_id: str, units: int, database_time: datetime, writer: str
) -> RestockStep:
    """One bounded step of a restock, in a read-write transaction: waiting orders are served first, by queue position.

    The last step puts what nobody waits for on offer. Rerunning a finished restock changes nothing. Raises SaleNotFound,
    RestockReused, and InvalidValue when the stock would pass its bound.
    """
    sale = find_sale(transaction, sale_id)
    if sale is None:
        raise SaleNotFound(sale_id=sale_id)
    done = _done_units(transaction, sale_id, restock_id, units)
    if done == units:
        return RestockStep(units, units, 0)
    left = units - (done or 0)
    if sale.stock + left > MAX_STOCK_UNITS:
        raise InvalidValue(field="units", rule=f"must keep the stock within {MAX_STOCK_UNITS}")
    shards = read_shards(transaction, sale_id)
    book = StockBook(shards)
    waiting = StoredWaitlist(transaction, sale, shards, left + book.total_available)
    promotion, used = promote(sale, book, waiting, left, PROMOTIONS_PER_STEP, waiting.behind)
    if len(promotion.orders) < PROMOTIONS_PER_STEP:
        spread_over(book, [shard.shard_id for shard in shards], left - used)
        used = left
    write_promotion(transaction, sale, promotion, database_time, "restock")
    transaction.update("Sales", ("SaleId", "Stock", "UpdatedAt"), [[sale_id, sale.stock + used, NOW]])
    write_shards(transaction, sale_id, book.changes(), Cause.RESTOCKED, writer)
    row = [sale_id, restock_id, units, (done or 0) + used, NOW]
    columns = ["SaleId", "RestockId", "Units", "DoneUnits", "UpdatedAt"]
    if done is None:
        transaction.insert("Restocks", [*columns, "CreatedAt"], [[*row, NOW]])
    else:
        transaction.update("Restocks", columns, [row])
    return RestockStep(units, (done or 0) + used, len(promotion.orders))


def _done_units(transaction: Transaction, sale_id: str, restock_id: str, units: int) -> int | None:
    rows = list(transaction.read("Restocks", ("Units", "DoneUnits"), KeySet(keys=[[sale_id, restock_id]])))
    if not rows:
        return None
    if rows[0][0] != units:
        raise RestockReused(restock_id=restock_id)
    done: int = rows[0][1]
    return done
