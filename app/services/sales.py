"""The seller's use cases: create, list, show, change, open, pause, close, restock. Each is safe to repeat."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from app.domain.draw import SEED_BYTES, Draw
from app.domain.errors import SaleNotFound, SaleStateRefused, StorageUnavailable
from app.domain.ids import restock_id
from app.domain.sale import (
    Phase,
    Policy,
    Sale,
    SaleState,
    changed,
    check_terms,
    default_expected_crowd,
    default_shard_count,
    default_waitlist_limit,
)
from app.domain.stock import ShardState
from app.storage.database import RETRY_AFTER_SECONDS, Conflict, FairdropDatabase, snapshot, transact
from app.storage.draw import find_draw
from app.storage.restock import restock_step
from app.storage.sales import change_sale, create_sale, list_sales, sale_as_of
from app.storage.stock import read_shards

RESTOCK_STEPS = 5_000
"""A million waiting orders are promoted in fewer."""


@dataclass(frozen=True, slots=True)
class SaleView:
    """A sale and its stock at one database timestamp; a lottery with its draw."""

    sale: Sale
    phase: Phase
    as_of: datetime
    shards: list[ShardState]
    draw: Draw | None = None


def new_sale(
    *,
    stock: int,
    policy: str,
    waitlist_limit: int | None,
    expected_crowd: int | None,
    shard_count: int | None,
    opens_at: datetime,
    closes_at: datetime,
    **terms: Any,
) -> Sale:
    """A scheduled sale from what a seller gives, with defaults computed from the stock for what is None."""
    crowd = expected_crowd if expected_crowd is not None else default_expected_crowd(stock)
    return Sale(
        state=SaleState.SCHEDULED,
        policy=Policy(policy),
        stock=stock,
        expected_crowd=crowd,
        waitlist_limit=waitlist_limit if waitlist_limit is not None else default_waitlist_limit(stock),
        shard_count=shard_count if shard_count is not None else default_shard_count(stock, crowd),
        opens_at=opens_at.astimezone(UTC),
        closes_at=closes_at.astimezone(UTC),
        **terms,
    )


def show(database: FairdropDatabase, sale_id: str) -> SaleView:
    """The sale as it now stands. Raises SaleNotFound."""
    with snapshot(database) as reads:
        sale, as_of = sale_as_of(reads, sale_id)
        if sale is None:
            raise SaleNotFound(sale_id=sale_id)
        draw = find_draw(reads, sale_id) if sale.is_lottery else None
        return SaleView(sale, sale.phase(as_of), as_of, read_shards(reads, sale_id), draw)


def page_of_sales(database: FairdropDatabase, after: str, page_size: int) -> tuple[list[Sale], str | None]:
    """A page of sales by id, and the id after which the next page begins (None: there is none)."""
    with snapshot(database) as reads:
        sales = list_sales(reads, after, page_size + 1)
    page = sales[:page_size]
    return page, (page[-1].sale_id if len(sales) > page_size else None)


def create(database: FairdropDatabase, sale: Sale, writer: str) -> tuple[SaleView, bool]:
    """Create a sale, a lottery with a seed of its own; True when it is new, False when the very same one was there.

    Raises InvalidValue or SaleExists.
    """
    check_terms(sale)
    seed = secrets.token_bytes(SEED_BYTES) if sale.is_lottery else None
    for _ in range(2):
        try:
            is_new, _committed = transact(database, "create-sale", create_sale, sale, writer, seed)
        except Conflict:
            # Somebody created it between our read and our commit: read again, and compare.
            continue
        return show(database, sale.sale_id), is_new
    raise StorageUnavailable("the sale is being created by somebody else", RETRY_AFTER_SECONDS)


def change(database: FairdropDatabase, sale_id: str, changes: Mapping[str, object], writer: str) -> SaleView:
    """Change terms while the sale is not open. Raises SaleNotFound, SaleStateRefused or InvalidValue."""
    return _apply(database, sale_id, partial(_with_changes, changes), writer)


def open_now(database: FairdropDatabase, sale_id: str, writer: str) -> SaleView:
    """Open a scheduled sale at once, or resume a paused one. Raises SaleNotFound or SaleStateRefused."""
    return _apply(database, sale_id, _opened, writer)


def pause(database: FairdropDatabase, sale_id: str, writer: str) -> SaleView:
    """Take no orders until the sale is opened again. Raises SaleNotFound or SaleStateRefused."""
    return _apply(database, sale_id, _paused, writer)


def close(database: FairdropDatabase, sale_id: str, writer: str) -> SaleView:
    """End the sale for good. Raises SaleNotFound."""
    return _apply(database, sale_id, _closed, writer)


def restock(
    database: FairdropDatabase, sale_id: str, units: int, idempotency_key: str, writer: str
) -> tuple[SaleView, int]:
    """Add units, the waitlist first; returns the sale and how many orders this call promoted.

    The same key goes on where an interrupted call stopped, and never adds twice. Raises SaleNotFound, SaleStateRefused,
    RestockReused or InvalidValue.
    """
    view = show(database, sale_id)
    if view.phase is Phase.CLOSED:
        raise SaleStateRefused(action="restock", phase=view.phase.value)
    name, promoted, now = restock_id(sale_id, idempotency_key), 0, view.as_of
    for _ in range(RESTOCK_STEPS):
        try:
            # The holds of each step last from then on: a long waitlist takes longer than a hold.
            step, now = transact(database, "restock", restock_step, sale_id, name, units, now, writer)
        except Conflict:
            continue
        promoted += step.promoted_orders
        if step.done_units == units:
            return show(database, sale_id), promoted
    raise StorageUnavailable("the restock is not finished: repeat it with the same key", RETRY_AFTER_SECONDS)


_Action = Callable[[datetime, Sale, Sequence[ShardState]], Sale]
"""The sale after an action, from a time before the transaction, and the sale and its shards as the transaction read them."""


def _apply(database: FairdropDatabase, sale_id: str, action: _Action, writer: str) -> SaleView:
    view = show(database, sale_id)
    for _ in range(3):
        try:
            transact(database, "change-sale", change_sale, sale_id, partial(action, view.as_of), writer)
        except Conflict:
            continue
        return show(database, sale_id)
    raise StorageUnavailable("the sale is being changed by somebody else", RETRY_AFTER_SECONDS)


def _with_changes(changes: Mapping[str, object], now: datetime, sale: Sale, shards: Sequence[ShardState]) -> Sale:
    phase = sale.phase(now)
    if phase is Phase.SCHEDULED and any(shard.is_touched for shard in shards):
        # It opened after `now`: these shards are locked, and what they show is later.
        phase = Phase.OPEN
    if phase in (Phase.OPEN, Phase.CLOSED):
        raise SaleStateRefused(action="change", phase=phase.value)
    return changed(sale, dict(changes), phase)


def _opened(now: datetime, sale: Sale, _shards: Sequence[ShardState]) -> Sale:
    phase = sale.phase(now)
    if phase is Phase.CLOSED:
        raise SaleStateRefused(action="open", phase=phase.value)
    return replace(sale, state=SaleState.SCHEDULED, opens_at=min(sale.opens_at, now))


def _paused(now: datetime, sale: Sale, _shards: Sequence[ShardState]) -> Sale:
    phase = sale.phase(now)
    if phase is Phase.CLOSED:
        raise SaleStateRefused(action="pause", phase=phase.value)
    return replace(sale, state=SaleState.PAUSED)


def _closed(_now: datetime, sale: Sale, _shards: Sequence[ShardState]) -> Sale:
    return replace(sale, state=SaleState.CLOSED)
