"""What a rush is asked to be."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from app.rush.plan import Shares
from app.rush.tokens import TokenSource

Arrivals = Literal["closed", "open"]


NO_SHARES = Shares()
"""Everybody asks once, for one unit."""


@dataclass(frozen=True, slots=True)
class RushOptions:
    """One rush. Raises ValueError for numbers that cannot be. Must be picklable: every process gets a copy.

    `connections` is the sum over the processes; the second requests of double buyers have others beside them, twice as
    many at most. `rate_per_second` is the sum over the processes too, and needed for open arrivals only. `limit` None
    means the sale's limit per customer; `payment_method` None means `tok_visa` if the sale has a price, and no payment
    method otherwise. `tries_limit` bounds how often one request is sent while it is answered with 503 or not at all, or with
    "not open yet" when the buyers wait for the opening.
    """

    sale_id: str
    tokens: TokenSource
    answers: Path
    url: str = "http://127.0.0.1:8080"
    buyers: int = 100_000
    processes: int = 2
    connections: int = 256
    arrivals: Arrivals = "closed"
    rate_per_second: float | None = None
    shares: Shares = NO_SHARES
    limit: int | None = None
    payment_method: str | None = None
    seed: int = 1
    tries_limit: int = 20
    timeout_seconds: float = 30.0
    waits_for_opening: bool = False

    def __post_init__(self) -> None:
        for name in ("buyers", "processes", "tries_limit", "timeout_seconds"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be more than 0")
        if self.connections < self.processes:
            raise ValueError("every process needs a connection: connections must not be fewer than processes")
        if self.limit is not None and self.limit < 1:
            raise ValueError("limit must be at least 1")
        if self.arrivals == "open" and not (self.rate_per_second and self.rate_per_second > 0):
            raise ValueError("open arrivals need a rate above 0")

    def connections_of(self, process: int) -> int:
        """How many of the connections belong to this process."""
        return self.connections // self.processes + (process < self.connections % self.processes)
