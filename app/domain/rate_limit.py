"""Rate limits: so many requests a second of each key, and a burst at once, in bounded memory. The time comes in as an argument."""

from collections.abc import Hashable

KEYS_PER_GENERATION = 50_000
"""Keys are kept in two generations, each at most so large: some 10 MB when both are full. A key that is seen is in the younger;
when that is full it becomes the older one, which is forgotten, and with it who has not been seen for a whole generation."""

TICKETS_PER_KEY = 16
KEYS_WITH_TICKETS = 10_000
"""Who was refused, and so has a place of their own to come back to: of one key, and in all. Past either, a refusal promises
no place."""

TICKET_SECONDS = 60.0
"""How long after its time a place that nobody has come back for is kept."""

SLACK_SECONDS = 1e-9
"""Times are sums of fractions: what is wrong with their last digits is not a request too many."""


class RateLimiter:
    """A bucket a key, as the theoretical arrival time of the cell rate algorithm (ITU-T I.371): one number, no timer.

    Not thread-safe. Times are seconds of one clock that never goes back.
    """

    def __init__(self, per_second: float, burst: int, generation: int = KEYS_PER_GENERATION) -> None:
        """Let `burst` requests of a key come at once, and `per_second` on the average."""
        self.per_second = per_second
        self.burst = burst
        self._interval = 1.0 / per_second
        self._tolerance = (burst - 1) * self._interval
        self._generation = generation
        self._young: dict[str, float] = {}
        self._old: dict[str, float] = {}
        self._tickets: dict[str, dict[int, float]] = {}

    def admit(self, key: str, now: float, ticket: Hashable = None) -> float:
        """0 when the request is let in; else the seconds after which it may be sent again.

        A refused request has its place in the line of its key: sent again with the same `ticket` no sooner than that, it is let
        in, whatever else has come of the key meanwhile. What comes again too soon keeps its place, and gains nothing.
        """
        if self._tickets and ticket is not None:
            tickets = self._tickets.get(key)
            due = tickets.get(hash(ticket)) if tickets is not None else None
            if tickets is not None and due is not None:
                if now < due:
                    return due - now
                del tickets[hash(ticket)]
                return 0.0
        arrival = self._young.get(key)
        if arrival is None:
            arrival = self._old.get(key, now)
        arrival = max(arrival, now)
        wait = arrival - now - self._tolerance
        if wait <= SLACK_SECONDS or (ticket is not None and self._reserve(key, hash(ticket), now, now + wait)):
            arrival += self._interval
        # Also who is refused is seen, and so not forgotten.
        self._keep(key, arrival)
        return wait if wait > SLACK_SECONDS else 0.0

    def _keep(self, key: str, arrival: float) -> None:
        self._young[key] = arrival
        if len(self._young) >= self._generation:
            self._old, self._young = self._young, {}

    def _reserve(self, key: str, ticket: int, now: float, due: float) -> bool:
        """Whether there was room for a ticket."""
        tickets = self._tickets.get(key)
        if tickets is None:
            if len(self._tickets) >= KEYS_WITH_TICKETS:
                self._forget_tickets(now)
            if len(self._tickets) >= KEYS_WITH_TICKETS:
                return False
            tickets = self._tickets[key] = {}
        elif len(tickets) >= TICKETS_PER_KEY:
            _drop_old(tickets, now)
            if len(tickets) >= TICKETS_PER_KEY:
                return False
        tickets[ticket] = due
        return True

    def _forget_tickets(self, now: float) -> None:
        """Look at the few that have been there for the longest."""
        for key in list(self._tickets)[:TICKETS_PER_KEY]:
            _drop_old(self._tickets[key], now)
            if not self._tickets[key]:
                del self._tickets[key]


def _drop_old(tickets: dict[int, float], now: float) -> None:
    for ticket in [ticket for ticket, due in tickets.items() if due + TICKET_SECONDS < now]:
        del tickets[ticket]
