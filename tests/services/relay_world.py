"""What the relay's tests share: outbox rows written as transactions of ours would, and a broker in memory that may fail."""

import threading
from collections.abc import Callable, Sequence

from google.cloud.spanner_v1 import COMMIT_TIMESTAMP
from google.cloud.spanner_v1.transaction import Transaction

from app.messaging.broker import BrokerUnavailable
from app.messaging.events import Event
from app.services.leases import LeaseKeeper
from app.services.relay import SLOTS, Relay, order_event_id
from app.settings import Settings
from app.storage.clock import DatabaseClock
from app.storage.database import FairdropDatabase, connect, transact

COLUMNS = ("OutboxShard", "CreatedAt", "OrderId", "EventSeq", "EventType", "Payload")


class Broker:
    """Keeps what was published; fails as often as it is told to, after having taken the page or before."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.failures_before = 0
        self.failures_after = 0
        self.on_publish: Callable[[], None] = lambda: None
        self._lock = threading.Lock()

    def publish(self, events: Sequence[Event]) -> None:
        self.on_publish()
        with self._lock:
            if self.failures_before:
                self.failures_before -= 1
                raise BrokerUnavailable("down")
            self.events.extend(events)
            if self.failures_after:
                self.failures_after -= 1
                raise BrokerUnavailable("no acknowledgement")

    def ids(self) -> list[str]:
        return [event.id for event in self.events]


def _write(transaction: Transaction, shard: int, order: str, seqs: Sequence[int]) -> None:
    rows = [[shard, COMMIT_TIMESTAMP, order, seq, "order.reserved", '{"units":1}'] for seq in seqs]
    transaction.insert("Outbox", COLUMNS, rows)


def write(database: FairdropDatabase, shard: int, order: str, *seqs: int) -> None:
    """One transaction's events of one order."""
    transact(database, "test", _write, shard, order, seqs)


def open_relay(settings: Settings, broker: Broker, lease_seconds: float = 10.0, duplicates: float = 0.0) -> Relay:
    """A relay as a process of its own would have it."""
    database, clock = connect(settings), DatabaseClock()
    leases = LeaseKeeper(database, clock, "relay", SLOTS, lease_seconds)
    return Relay(database, clock, leases, broker, order_event_id, duplicates)


def run_dry(relay: Relay) -> None:
    """Until a look finds nothing."""
    while relay.step():
        pass
