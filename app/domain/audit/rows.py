"""Rows as an audit reads them, in the order of the columns. Times are microseconds since the epoch, of the database's clock.

Statuses, triggers and causes are text as stored: an audit must be able to hold what should not be there.
"""

from typing import NamedTuple

Position = tuple[int, int, int]
"""(placed_at, shard_id, seq)"""


class StoredOrder(NamedTuple):
    """A row of Orders."""

    customer_id: str
    order_id: str
    status: str
    units: int
    shard_id: int
    seq: int
    placed_at: int
    waitlisted_at: int | None
    due_at: int | None
    event_seq: int
    unit_price_minor: int
    currency: str
    draw_place: int | None = None
    draw_result: str | None = None

    @property
    def position(self) -> Position:
        """The queue position."""
        return (self.placed_at, self.shard_id, self.seq)


class StoredEvent(NamedTuple):
    """A row of OrderEvents, without the order's key."""

    event_seq: int
    status: str
    trigger: str
    committed_at: int


class OutboxRow(NamedTuple):
    """A row of Outbox, without the order's id. `status` is the payload's."""

    event_seq: int
    event_type: str
    outbox_shard: int
    created_at: int
    status: str | None


class History(NamedTuple):
    """An order with its events, by EventSeq, and its outbox rows."""

    order: StoredOrder
    events: list[StoredEvent]
    outbox: list[OutboxRow]


class LedgerRow(NamedTuple):
    """A row of StockLedger, and what the orders of its shard did in its commit by their events.

    `held_change` is in units, `waiting_change` in orders.
    """

    shard_id: int
    version: int
    allocated: int
    available: int
    waiting: int
    cause: str
    committed_at: int
    held_change: int
    waiting_change: int


class Moment(NamedTuple):
    """The sale's totals from a commit on."""

    committed_at: int
    available: int
    waiting: int


class Start(NamedTuple):
    """An order as it came in: the status is that of its first event."""

    placed_at: int
    shard_id: int
    seq: int
    units: int
    status: str
    customer_id: str
    order_id: str


class Waiter(NamedTuple):
    """An order that was waitlisted, when it came or by a draw; `left_at` is when it left the waitlist, None while it waits.

    Of an order that a draw waitlisted, `placed_at` is when that was, and `seq` the place that it gave.
    """

    placed_at: int
    shard_id: int
    seq: int
    units: int
    left_at: int | None
    customer_id: str
    order_id: str

    @property
    def position(self) -> Position:
        """The queue position."""
        return (self.placed_at, self.shard_id, self.seq)


class Promoted(NamedTuple):
    """An order that a commit took from the waitlist; the columns are a Waiter's."""

    committed_at: int
    placed_at: int
    shard_id: int
    seq: int
    units: int

    @property
    def position(self) -> Position:
        """The queue position."""
        return (self.placed_at, self.shard_id, self.seq)


class Usage(NamedTuple):
    """What the orders of one shard and status add up to."""

    shard_id: int
    status: str
    orders: int
    units: int


class Redeemed(NamedTuple):
    """A row of Redemptions with what its order says; None without one."""

    order_id: str
    units: int
    till_id: str
    redeemed_at: int
    order_status: str | None
    order_units: int | None
    unit_price_minor: int | None
    placed_at: int | None
