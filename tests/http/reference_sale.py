"""What a sale must do, as docs/design.md and docs/states.md say it, in the plainest way: one list of orders, no shards.

Written without a look at how the service does it. Each method does what the service is about to be asked, and returns what it
must answer. A policy other than first come adds its own way into `place`, and its draw beside `restock`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

HOLDING = {"PENDING", "AUTHORIZED", "PLACED"}
LIVE = HOLDING | {"WAITLISTED"}
OVER = {"PAYMENT_FAILED", "EXPIRED", "CANCELLED"}
CAPTURE_OVERDUE_SECONDS = 900

PAYMENTS = {
    ("PENDING", "authorized"): "AUTHORIZED",
    ("PENDING", "declined"): "PAYMENT_FAILED",
    ("AUTHORIZED", "captured"): "PLACED",
    ("AUTHORIZED", "capture_failed"): "PAYMENT_FAILED",
    # Money that comes too late changes nothing, but is told of once more.
    **{(status, late): status for status in OVER for late in ("authorized", "captured")},
}


@dataclass
class Line:
    """One order. `due` and all times are in seconds of the test's clock."""

    customer: str
    key: str
    units: int
    method: str | None
    status: str
    seq: int = 1
    due: int | None = None
    is_confirmed: bool = False

    def move(self, status: str) -> None:
        self.status = status
        self.seq += 1


@dataclass
class Sale:
    """The whole sale; `lines` stand in the order in which they were taken."""

    is_free: bool
    stock: int
    limit: int
    waitlist_limit: int
    hold_seconds: int
    window_seconds: int
    now: int = 0
    phase: str = "open"
    lines: list[Line] = field(default_factory=list)
    restocks: dict[str, int] = field(default_factory=dict)

    @property
    def free(self) -> int:
        return self.stock - sum(line.units for line in self.lines if line.status in HOLDING)

    @property
    def waiting(self) -> int:
        return sum(line.status == "WAITLISTED" for line in self.lines)

    def find(self, customer: str, key: str) -> Line | None:
        return next((line for line in self.lines if (line.customer, line.key) == (customer, key)), None)

    def refusals(self, customer: str, units: int, method: str | None) -> set[str]:
        """Every reason for which a new order must be refused; none: it must be taken."""
        live = sum(line.units for line in self.lines if line.customer == customer and line.status in LIVE)
        reasons = {
            "sale-paused": self.phase == "paused",
            "sale-closed": self.phase == "closed",
            "limit-exceeded": live + units > self.limit,
            "payment-method-required": not self.is_free and method is None,
            "sold-out": units > self.free and self.waiting >= self.waitlist_limit,
        }
        return {reason for reason, holds in reasons.items() if holds}

    def place(self, customer: str, key: str, units: int, method: str | None) -> Line:
        """A new order that nothing speaks against."""
        line = Line(customer, key, units, method, "WAITLISTED")
        if units <= self.free:
            self._hold(line)
        self.lines.append(line)
        return line

    def cancel(self, line: Line) -> str | None:
        """Why the order cannot be cancelled, or None: it is."""
        if line.status == "CANCELLED":
            return None
        if line.status == "AUTHORIZED" and (line.is_confirmed or self._is_due(line)):
            return "cancel-window-closed"
        if line.status not in ("PENDING", "AUTHORIZED", "WAITLISTED"):
            return "transition-refused"
        line.move("CANCELLED")
        line.due = None
        self._promote()
        return None

    def payments(self, events: Iterable[tuple[Line, str]]) -> None:
        """A batch of payment events, in their order."""
        for line, event in events:
            status = PAYMENTS.get((line.status, event))
            if status is None:
                continue
            line.move(status)
            line.due = self.now + self.window_seconds if status == "AUTHORIZED" else None
        self._promote()

    def deadlines(self) -> None:
        """All that is due, and then the end of a waitlist that nothing can serve any more."""
        for line in self.lines:
            if not self._is_due(line):
                continue
            if line.status == "PENDING":
                line.move("EXPIRED")
                line.due = None
            else:
                line.move("AUTHORIZED")
                line.is_confirmed = True
                line.due = self.now + CAPTURE_OVERDUE_SECONDS
        self._promote()
        if self.phase == "closed" and all(line.due is None for line in self.lines):
            for line in self.lines:
                if line.status == "WAITLISTED":
                    line.move("LAPSED")

    def restock(self, key: str, units: int) -> str | None:
        """Why it is refused, or None."""
        if self.phase == "closed":
            return "sale-state-refused"
        if key in self.restocks:
            return None if self.restocks[key] == units else "restock-key-reused"
        self.restocks[key] = units
        self.stock += units
        self._promote()
        return None

    def turn(self, action: str) -> str | None:
        """The seller opens, pauses or closes: why it is refused, or None."""
        if self.phase == "closed" and action != "close":
            return "sale-state-refused"
        self.phase = {"open": "open", "pause": "paused", "close": "closed"}[action]
        return None

    def check(self) -> None:
        """The invariants, of the reference itself."""
        assert 0 <= self.free <= self.stock
        assert all(line.units > self.free for line in self.lines if line.status == "WAITLISTED")

    def _is_due(self, line: Line) -> bool:
        return line.due is not None and line.due <= self.now

    def _hold(self, line: Line) -> None:
        line.status = "PLACED" if self.is_free else "PENDING"
        line.due = None if self.is_free else self.now + self.hold_seconds

    def _promote(self) -> None:
        """From the head on; an order that is too large lets others pass."""
        for line in self.lines:
            if line.status == "WAITLISTED" and line.units <= self.free:
                self._hold(line)
                line.seq += 1
