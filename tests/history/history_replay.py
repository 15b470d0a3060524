"""The sale commit by commit, from its events and its ledger: what was held, on offer and waited for after each of them.

The table of states is written here a second time, from the documents, so that a fault in the service's own is seen.
"""

from bisect import bisect_left, insort
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from history_records import History, Position, Violation

STOCK_CONSERVED = "the stock is conserved"
LEDGER_GAPLESS = "the ledger has every version"
TRANSITION_ALLOWED = "an order moves only as its state allows"
EVENTS_WHOLE = "an order's events are whole"
OUTBOX_ROW = "each transition has its outbox row"
NONE_WAITS_BESIDE_STOCK = "nobody waits while a unit that fits is left"
QUEUE_ORDER = "the waitlist moves up in queue order"
LIMIT = "the limit per customer holds"
OPENING = "no order before the opening"

HOLDING = frozenset({"PENDING", "AUTHORIZED", "PLACED"})
LIVE = HOLDING | {"WAITLISTED"}
_ENDED = ("PAYMENT_FAILED", "EXPIRED", "CANCELLED")

MOVES: dict[tuple[str | None, str], tuple[str, str]] = {
    (None, "reserve"): ("PENDING", "order.reserved"),
    (None, "claim"): ("PLACED", "order.placed"),
    (None, "waitlist"): ("WAITLISTED", "order.waitlisted"),
    ("WAITLISTED", "promote"): ("PENDING", "order.reserved"),
    ("WAITLISTED", "promote_free"): ("PLACED", "order.placed"),
    ("WAITLISTED", "cancel"): ("CANCELLED", "order.cancelled"),
    ("WAITLISTED", "lapse"): ("LAPSED", "order.lapsed"),
    ("PENDING", "authorize"): ("AUTHORIZED", "order.authorized"),
    ("PENDING", "decline"): ("PAYMENT_FAILED", "order.released"),
    ("PENDING", "expire"): ("EXPIRED", "order.released"),
    ("PENDING", "cancel"): ("CANCELLED", "order.released"),
    ("AUTHORIZED", "confirm"): ("AUTHORIZED", "order.confirmed"),
    ("AUTHORIZED", "capture"): ("PLACED", "order.placed"),
    ("AUTHORIZED", "capture_fail"): ("PAYMENT_FAILED", "order.released"),
    ("AUTHORIZED", "cancel"): ("CANCELLED", "order.released"),
    # Money that came too late: the order stays ended, and says again that it is to be given back.
    **{(ended, late): (ended, "order.released") for ended in _ENDED for late in ("authorize", "capture")},
}


@dataclass(slots=True)
class Line:
    """One order on its way through the events."""

    row: dict[str, Any]
    status: str | None = None
    seq: int = 0
    confirmed: bool = False
    history: list[tuple[int, str]] = field(default_factory=list)

    @property
    def units(self) -> int:
        """Of the order."""
        units: int = self.row["Units"]
        return units

    @property
    def position(self) -> Position:
        """In the queue."""
        return (self.row["PlacedAt"], self.row["ShardId"], self.row["Seq"])

    def __str__(self) -> str:
        return f"order {self.row['OrderId']} of {self.row['CustomerId']}"


@dataclass(frozen=True, slots=True)
class Moment:
    """The stock from a commit on, until the next."""

    at: int
    available: int
    waiting: int


@dataclass(slots=True)
class Replay:
    """What the replay found, and what other rules ask of it. `live_units` by customer: (from when, units)."""

    violations: list[Violation] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)
    orders: dict[str, Line] = field(default_factory=dict)
    live_units: dict[str, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))


class _Replayer:
    def __init__(self, history: History) -> None:
        self.final = history.final
        self.limit = history.sale["LimitPerCustomer"]
        self.opens_at = history.sale["OpensAt"]
        self.found = Replay()
        self.found.orders = {row["OrderId"]: Line(row) for row in self.final["orders"]}
        self.shards: dict[int, tuple[int, int, int]] = {}
        self.versions: dict[int, int] = {}
        self.live: Counter[str] = Counter()
        self.waiting: list[tuple[Position, int, str]] = []
        self.waiting_units: Counter[int] = Counter()
        self.outbox: dict[tuple[str, int], dict[str, Any]] = {}
        for row in self.final["outbox"]:
            self.outbox[row["OrderId"], row["EventSeq"]] = row

    def say(self, rule: str, says: str) -> None:
        self.found.violations.append(Violation(rule, says))

    def run(self) -> Replay:
        events, ledger = defaultdict(list), defaultdict(list)
        for event in self.final["events"]:
            events[event["CommittedAt"]].append(event)
        for row in self.final["ledger"]:
            ledger[row["CommittedAt"]].append(row)
        for at in sorted(events.keys() | ledger.keys()):
            self.commit(at, sorted(events[at], key=lambda e: (e["OrderId"], e["EventSeq"])), ledger[at])
        self.end()
        return self.found

    def commit(self, at: int, events: list[dict[str, Any]], ledger: list[dict[str, Any]]) -> None:
        held: Counter[int] = Counter()
        queued: Counter[int] = Counter()
        promoted: list[Line] = []
        for event in events:
            line = self.found.orders.get(event["OrderId"])
            if line is None:
                self.say(EVENTS_WHOLE, f"an event of order {event['OrderId']}, which is not stored")
                continue
            before = line.status
            self.move(line, event, at)
            self.count(line, before, line.status, held, queued, at)
            if event["Trigger"] in ("promote", "promote_free"):
                promoted.append(line)
        self.check_ledger(at, ledger, held, queued)
        for line in promoted:
            self.check_turn(line, at)
        available = sum(shard[1] for shard in self.shards.values())
        smallest = min((units for units, orders in self.waiting_units.items() if orders > 0), default=None)
        if smallest is not None and smallest <= available:
            self.say(
                NONE_WAITS_BESIDE_STOCK, f"after {at}, {available} units were left and an order of {smallest} waited"
            )
        self.found.moments.append(Moment(at, available, sum(shard[2] for shard in self.shards.values())))

    def move(self, line: Line, event: dict[str, Any], at: int) -> None:
        """One event of one order."""
        trigger, seq = event["Trigger"], event["EventSeq"]
        outcome = MOVES.get((line.status, trigger))
        if seq != line.seq + 1:
            self.say(EVENTS_WHOLE, f"{line}: event {seq} follows {line.seq}")
        if outcome is None or outcome[0] != event["Status"]:
            self.say(TRANSITION_ALLOWED, f"{line}: {trigger} made {line.status} into {event['Status']}")
        elif trigger == "cancel" and line.confirmed:
            self.say(TRANSITION_ALLOWED, f"{line} was cancelled after its capture had been asked for")
        if seq == 1 and at != line.row["PlacedAt"]:
            self.say(EVENTS_WHOLE, f"{line} began at {at}, and says that it was placed at {line.row['PlacedAt']}")
        row = self.outbox.pop((event["OrderId"], seq), None)
        if row is None or row["CreatedAt"] != at:
            self.say(OUTBOX_ROW, f"{line}: event {seq} ({trigger}) has no outbox row of its commit")
        elif outcome is not None and row["EventType"] != outcome[1]:
            self.say(OUTBOX_ROW, f"{line}: event {seq} ({trigger}) was published as {row['EventType']}")
        line.status, line.seq = event["Status"], seq
        line.confirmed = line.confirmed or trigger == "confirm"
        line.history.append((at, line.status))

    def count(
        self, line: Line, before: str | None, after: str | None, held: Counter[int], queued: Counter[int], at: int
    ) -> None:
        """What the move does to shard, waitlist and limit."""
        shard, customer = line.row["ShardId"], line.row["CustomerId"]
        held[shard] += line.units * ((after in HOLDING) - (before in HOLDING))
        waits = (after == "WAITLISTED") - (before == "WAITLISTED")
        queued[shard] += waits
        self.waiting_units[line.units] += waits
        entry = (line.position, line.units, line.row["OrderId"])
        if waits > 0:
            insort(self.waiting, entry)
        elif waits < 0:
            self.waiting.remove(entry)
        self.live[customer] += line.units * ((after in LIVE) - (before in LIVE))
        self.found.live_units[customer].append((at, self.live[customer]))
        if self.live[customer] > self.limit and after in LIVE:
            self.say(LIMIT, f"after {at}, {customer} had {self.live[customer]} live units; the limit is {self.limit}")
        if before is None and line.row["PlacedAt"] < self.opens_at:
            self.say(OPENING, f"{line} was placed {self.opens_at - line.row['PlacedAt']} µs before the opening")

    def check_ledger(self, at: int, ledger: list[dict[str, Any]], held: Counter[int], queued: Counter[int]) -> None:
        """Each shard changed by what the orders did, and by nothing else; all shards together kept what they had."""
        before = sum(shard[0] for shard in self.shards.values())
        is_moving = any(row["Cause"] in ("created", "restocked", "sale_changed") for row in ledger)
        for row in ledger:
            shard = row["ShardId"]
            allocated, available, waiting = row["Allocated"], row["Available"], row["Waiting"]
            old = self.shards.get(shard, (0, 0, 0))
            if row["Version"] != self.versions.get(shard, 0) + 1:
                self.say(
                    LEDGER_GAPLESS,
                    f"shard {shard}: version {row['Version']} follows {self.versions.get(shard, 0)}",
                )
            if not 0 <= available <= allocated:
                self.say(STOCK_CONSERVED, f"after {at}, shard {shard} had {available} of {allocated} units on offer")
            taken = (allocated - available) - (old[0] - old[1])
            if taken != held[shard]:
                self.say(STOCK_CONSERVED, f"at {at}, shard {shard} gave {taken} units, its orders took {held[shard]}")
            if waiting - old[2] != queued[shard]:
                self.say(
                    STOCK_CONSERVED,
                    f"at {at}, shard {shard} counted {waiting - old[2]} more waiting, its orders {queued[shard]}",
                )
            self.versions[shard], self.shards[shard] = row["Version"], (allocated, available, waiting)
            held[shard] = queued[shard] = 0
        for shard, units in [*held.items(), *queued.items()]:
            if units:
                self.say(STOCK_CONSERVED, f"at {at}, orders changed shard {shard} by {units}, and its counter did not")
        after = sum(shard[0] for shard in self.shards.values())
        if after != before and not is_moving:
            self.say(STOCK_CONSERVED, f"at {at}, the shards' units went from {before} to {after}")

    def check_turn(self, promoted: Line, at: int) -> None:
        """Nobody who stood before a promoted order, and wanted no more, still waits."""
        ahead = self.waiting[: bisect_left(self.waiting, (promoted.position, 0, ""))]
        for _, units, order_id in ahead:
            if units <= promoted.units:
                self.say(QUEUE_ORDER, f"at {at}, {promoted} was promoted before order {order_id} of {units} units")
                return

    def end(self) -> None:
        """The rows at the end are what the commits came to."""
        for line in self.found.orders.values():
            if (line.status, line.seq) != (line.row["Status"], line.row["EventSeq"]):
                self.say(
                    EVENTS_WHOLE,
                    f"{line} is {line.row['Status']} ({line.row['EventSeq']}), its events end in {line.status} ({line.seq})",
                )
        for (order_id, seq), row in self.outbox.items():
            self.say(OUTBOX_ROW, f"order {order_id}: outbox row {seq} ({row['EventType']}) is of no event")
        for row in self.final["shards"]:
            shard = row["ShardId"]
            stored = (row["Allocated"], row["Available"], row["Waiting"])
            if stored != self.shards.get(shard) or row["Version"] != self.versions.get(shard):
                self.say(LEDGER_GAPLESS, f"shard {shard} is {stored}, and its ledger ends in {self.shards.get(shard)}")
        allocated = sum(row["Allocated"] for row in self.final["shards"])
        if allocated != self.final["sale"]["Stock"]:
            self.say(STOCK_CONSERVED, f"{allocated} units are in the shards, {self.final['sale']['Stock']} in the sale")


def replay(history: History) -> Replay:
    """The sale commit by commit."""
    return _Replayer(history).run()


def look_violations(history: History) -> Iterator[Violation]:
    """The stock in every look that was taken meanwhile: each adds up by itself."""
    for look in history.looks:
        held: Counter[int] = Counter()
        queued: Counter[int] = Counter()
        for shard, status, orders, units in look.orders:
            if status in HOLDING:
                held[shard] += units
            else:
                queued[shard] += orders
        if sum(shard[2] for shard in look.shards) != look.stock:
            yield Violation(
                STOCK_CONSERVED, f"as of {look.read_at}, the shards do not have the sale's {look.stock} units"
            )
        for shard, _version, allocated, available, waiting in look.shards:
            if not 0 <= available <= allocated or allocated - available != held[shard] or waiting != queued[shard]:
                yield Violation(
                    STOCK_CONSERVED,
                    f"as of {look.read_at}, shard {shard}: {available} of {allocated} on offer, {held[shard]} held, "
                    f"{waiting} counted waiting, {queued[shard]} waiting",
                )
