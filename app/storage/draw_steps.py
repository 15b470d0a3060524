"""The transactions of a draw: seal the entries, write down what it is of, and draw them batch by batch.

Each reads the record under lock and does only what the record says is next. So a draw may be interrupted anywhere, begun again, or
be done by two at once: all of them come to the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple

from google.cloud.spanner_v1 import COMMIT_TIMESTAMP as NOW
from google.cloud.spanner_v1 import KeySet
from google.cloud.spanner_v1.transaction import Transaction

from app.domain.draw import Draw, DrawBroken, DrawState, Result, draw_step
from app.domain.errors import NotALottery, SaleNotFound, SaleStateRefused
from app.domain.ids import outbox_shard
from app.domain.sale import Phase, Sale, SaleState
from app.domain.settlement import due_at
from app.domain.states import HOLDING, Status, Transition, Trigger, transition
from app.domain.stock import Cause, StockBook
from app.storage.draw import find_draw, read_seed, write_draw
from app.storage.orders import EVENTS, payload
from app.storage.outbox import OUTBOX
from app.storage.rows import COMMIT_TIMESTAMP, NULL, insert, moment, number, text, update
from app.storage.sales import change_sale, find_sale
from app.storage.stock import read_shards, write_shards

ACTOR = "draw"

_STORED = ("CustomerId", "OrderId", "Status", "EventSeq", "PaymentMethod", "UnitPriceMinor", "PlacedAt")
_CHANGED = (
    "CustomerId",
    "SaleId",
    "OrderId",
    "Status",
    "EventSeq",
    "DrawPlace",
    "DrawResult",
    "UpdatedAt",
)
"""Of every entry. DueAt and WaitlistedAt, which are NULL before, are written only to those who get one: each costs an index."""


class DrawnEntry(NamedTuple):
    """An entry with its result, and where its order lies."""

    place: int
    order_id: str
    units: int
    result: Result
    customer_id: str
    shard_id: int


def seal(transaction: Transaction, sale_id: str, proven_time: datetime, writer: str) -> Draw:
    """Close the lottery's entries for good: from this commit on none comes or goes. Sealed already: nothing is written.

    `proven_time` is a timestamp that the database has given out. Raises SaleNotFound, NotALottery, and SaleStateRefused while the
    sale is not over.
    """
    sale, draw = _sale_and_draw(transaction, sale_id)
    if draw.state is not DrawState.COMMITTED:
        return draw
    phase = sale.phase(proven_time)
    if phase is not Phase.CLOSED:
        raise SaleStateRefused(action="draw", phase=phase.value)
    stock = sum(shard.available for shard in read_shards(transaction, sale_id))
    # With new versions of all shards, or no lane could be kept from committing entries on what it knew before.
    change_sale(transaction, sale_id, lambda stored, _shards: replace(stored, state=SaleState.CLOSED), writer)
    sealed = replace(draw, state=DrawState.SEALED, stock=stock, waitlist_limit=sale.waitlist_limit)
    terms = {"Stock": stock, "WaitlistLimit": sale.waitlist_limit}
    write_draw(transaction, sale_id, State=sealed.state.value, SealedAt=NOW, **terms)
    return sealed


def begin(transaction: Transaction, sale_id: str, digest: str, entries: int) -> Draw:
    """Write down the digest of all entries, before the first is drawn; begun already: nothing is written, but they must agree.

    Raises SaleNotFound, NotALottery or DrawBroken.
    """
    _, draw = _sale_and_draw(transaction, sale_id)
    if draw.digest is not None:
        if (draw.digest, draw.entries) != (digest, entries):
            raise DrawBroken(sale_id, f"{entries} entries are stored now, and {draw.entries} (or others) were sealed")
        return draw
    write_draw(transaction, sale_id, State=DrawState.DRAWING.value, Digest=digest, Entries=entries)
    return replace(draw, state=DrawState.DRAWING, digest=digest, entries=entries)


def _sale_and_draw(transaction: Transaction, sale_id: str) -> tuple[Sale, Draw]:
    sale = find_sale(transaction, sale_id)
    if sale is None:
        raise SaleNotFound(sale_id=sale_id)
    draw = find_draw(transaction, sale_id)
    if draw is None:
        raise NotALottery(sale_id=sale_id)
    return sale, draw


@dataclass(slots=True)
class _Rows:
    """What a batch writes, besides the shards and the record. Orders by the columns that are written further."""

    orders: dict[tuple[str, ...], list[Sequence[Any]]] = field(default_factory=dict)
    events: list[Sequence[Any]] = field(default_factory=list)
    outbox: list[Sequence[Any]] = field(default_factory=list)


def draw_batch(
    transaction: Transaction,
    sale_id: str,
    first: int,
    batch: Sequence[DrawnEntry],
    database_time: datetime,
    writer: str,
) -> Draw:
    """Draw the entries that come after the first `first` ones; the record as it then is. With the last, the seed is revealed.

    If the record says that other ones are next, nothing is written. Units that came free since the draw began go to the first in
    the line whom they fit, in the very transaction that puts him there. Raises SaleNotFound, NotALottery or DrawBroken.
    """
    sale, draw = _sale_and_draw(transaction, sale_id)
    if draw.is_drawn or draw.done_entries != first:
        return draw
    book, rows, stored = StockBook(read_shards(transaction, sale_id)), _Rows(), _stored(transaction, sale, batch)
    for entry in batch:
        row = stored.get(entry.order_id)
        if row is None or row[2] != Status.ENTERED:
            raise DrawBroken(sale_id, f"entry {entry.order_id} is {row[2] if row else 'gone'} before it is drawn")
        _draw(sale, book, rows, entry, row, database_time)
    if batch:
        for columns, orders in rows.orders.items():
            update(transaction, "Orders", (*_CHANGED, *columns), orders)
        insert(transaction, "OrderEvents", EVENTS, rows.events)
        insert(transaction, "Outbox", OUTBOX, rows.outbox)
    write_shards(transaction, sale_id, book.changes(), Cause.DRAWN, writer)
    return _advance(transaction, draw, batch)


def _stored(transaction: Transaction, sale: Sale, batch: Sequence[DrawnEntry]) -> dict[str, Sequence[Any]]:
    if not batch:
        return {}
    keys = KeySet(keys=[[entry.customer_id, sale.sale_id, entry.order_id] for entry in batch])
    return {row[1]: row for row in transaction.read("Orders", _STORED, keys)}


def _draw(
    sale: Sale, book: StockBook, rows: _Rows, entry: DrawnEntry, stored: Sequence[Any], database_time: datetime
) -> None:
    """One entry: its units or its place in the line, and its rows."""
    steps = [draw_step(sale, entry.result)]
    if entry.result is Result.WON and not _hold(book, entry):
        raise DrawBroken(sale.sale_id, f"no stock is left for entry {entry.order_id}, which has won")
    if entry.result is Result.WAITLISTED:
        if _hold(book, entry):
            promote = Trigger.PROMOTE_FREE if sale.is_free else Trigger.PROMOTE
            steps.append((promote, transition(Status.WAITLISTED, promote)))
        else:
            book.wait(entry.shard_id, 1)
    _write(sale, rows, entry, stored, steps, database_time)


def _hold(book: StockBook, entry: DrawnEntry) -> bool:
    if book.available(entry.shard_id) < entry.units and not book.gather(entry.shard_id, entry.units):
        return False
    book.hold(entry.shard_id, entry.units)
    return True


def _write(
    sale: Sale,
    rows: _Rows,
    entry: DrawnEntry,
    stored: Sequence[Any],
    steps: Sequence[tuple[Trigger, Transition]],
    database_time: datetime,
) -> None:
    """The order as it now is, and an event and an outbox row a step."""
    customer_id, order_id, _, event_seq, method, price, placed_at = stored
    customer, sale_id, name = text(customer_id), text(sale.sale_id), text(order_id)
    shard = number(outbox_shard(sale.sale_id, entry.shard_id))
    for seq, (trigger, outcome) in enumerate(steps, start=event_seq + 1):
        status, by = text(outcome.status.value), text(ACTOR)
        rows.events.append(
            (customer, sale_id, name, number(seq), status, text(trigger.value), by, NULL, COMMIT_TIMESTAMP)
        )
        body = text(payload(entry, sale, outcome.status, price, method))
        rows.outbox.append((shard, COMMIT_TIMESTAMP, name, number(seq), text(outcome.event), body))
    trigger, last = steps[-1]
    further: dict[str, Any] = {}
    if last.status in HOLDING:
        further["DueAt"] = moment(due_at(sale, last.status, trigger, database_time))
    if last.status is Status.WAITLISTED:
        further["WaitlistedAt"] = moment(placed_at)
    rows.orders.setdefault(tuple(further), []).append(
        (
            customer,
            sale_id,
            name,
            text(last.status.value),
            number(event_seq + len(steps)),
            number(entry.place),
            text(entry.result.value),
            COMMIT_TIMESTAMP,
            *further.values(),
        )
    )


def _advance(transaction: Transaction, draw: Draw, batch: Sequence[DrawnEntry]) -> Draw:
    won = [entry.units for entry in batch if entry.result is Result.WON]
    after = replace(
        draw,
        done_entries=draw.done_entries + len(batch),
        won_orders=draw.won_orders + len(won),
        won_units=draw.won_units + sum(won),
    )
    columns: dict[str, Any] = {
        "DoneEntries": after.done_entries,
        "WonOrders": after.won_orders,
        "WonUnits": after.won_units,
    }
    if after.done_entries == draw.entries:
        after = replace(after, state=DrawState.DRAWN, seed=read_seed(transaction, draw).hex())
        columns |= {"State": after.state.value, "Seed": after.seed, "DrawnAt": NOW}
    write_draw(transaction, draw.sale_id, **columns)
    return after
