"""The transaction that takes a batch of orders: one read and one commit when the home shard has the stock."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from google.cloud.spanner_v1.transaction import Transaction

from app.domain.errors import FairdropError, SaleNotFound
from app.domain.orders import OrderRequest
from app.domain.placement import Decision, OtherShardsNeeded, Refused, decide
from app.domain.sale import Sale
from app.domain.stock import ShardState
from app.storage.orders import insert_orders, orders_of_customers
from app.storage.sales import find_sale
from app.storage.stock import read_shards, write_shards


@dataclass(frozen=True, slots=True)
class HomeView:
    """What a lane remembers: the sale's terms and its home shard, both as of the shard's version.

    Whoever changes either bumps the version, and a commit computed from an old one fails. So memory may be stale, never wrong.
    """

    sale: Sale
    home: ShardState


@dataclass(frozen=True, slots=True)
class Placement:
    """The decision that was written, and what the lane may remember once the commit is known."""

    decision: Decision
    view: HomeView
    hold_until: datetime


def place_batch(
    transaction: Transaction,
    sale_id: str,
    home_id: int,
    view: HomeView | None,
    batch: Sequence[OrderRequest],
    refusal_of: Callable[[Sale], FairdropError | None],
    database_time: datetime,
    writer: str,
) -> Placement:
    """Decide and write a batch. Rerunnable; runs in a read-write transaction. Raises SaleNotFound.

    With a `view` this is one read. The sale and all shards are read too, in the transaction, when there is no view, when the
    home shard is short, and before a batch of nothing but refusals: a no is said only on what this transaction has proven.
    """
    existing = orders_of_customers(transaction, sale_id, {request.customer_id for request in batch})
    if view is not None:
        quick = decide(view.sale, view.home, None, existing, batch, refusal_of(view.sale))
        if isinstance(quick, Decision) and (quick.new_orders or not _refuses(quick)):
            return _write(transaction, quick, view, database_time, writer)
    shards = {shard.shard_id: shard for shard in read_shards(transaction, sale_id)}
    if view is not None and shards.get(home_id) == view.home:
        sale: Sale | None = view.sale
    else:
        sale = find_sale(transaction, sale_id)
    if sale is None or not shards:
        raise SaleNotFound(sale_id=sale_id)
    # A lane may remember more shards than there are: the sale was made anew, in a database that has lost the old one.
    home = shards.pop(home_id if home_id in shards else sorted(shards)[home_id % len(shards)])
    decision = decide(sale, home, list(shards.values()), existing, batch, refusal_of(sale))
    if isinstance(decision, OtherShardsNeeded):
        raise AssertionError("a decision over all shards asked for more")
    return _write(transaction, decision, HomeView(sale, home), database_time, writer)


def _refuses(decision: Decision) -> bool:
    return any(isinstance(outcome, Refused) for outcome in decision.outcomes)


def _write(
    transaction: Transaction, decision: Decision, view: HomeView, database_time: datetime, writer: str
) -> Placement:
    sale, home_id = view.sale, view.home.shard_id
    hold_until = database_time + timedelta(seconds=sale.hold_seconds)
    insert_orders(transaction, sale, home_id, decision.new_orders, hold_until)
    write_shards(transaction, sale.sale_id, decision.shards, decision.cause, writer)
    home = next((shard for shard in decision.shards if shard.shard_id == home_id), view.home)
    return Placement(decision, HomeView(sale, home), hold_until)
