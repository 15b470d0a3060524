"""A sale as a plan sees it: how much, how many, how fast, and paid or not. And the three sales of docs/design.md."""

import math
import re
from dataclasses import dataclass
from enum import StrEnum

from app.domain.errors import InvalidValue
from app.domain.sale import MAX_EXPECTED_CROWD, MAX_STOCK_UNITS, Policy, default_waitlist_limit

_NAME = re.compile(r"[a-z0-9-]{1,63}")
"""It becomes part of a file's name."""


class Arrival(StrEnum):
    """How the crowd comes: all within `burst_seconds` of the opening, or evenly until the sale closes."""

    BURST = "burst"
    EVEN = "even"


class Place(StrEnum):
    """Where the database is: in one region, or in several."""

    REGIONAL = "regional"
    MULTI_REGION = "multi-region"


@dataclass(frozen=True, slots=True)
class SaleShape:
    """What is planned for. `crowd` are customers, each of whom wants one unit; `declined_share` of the cards are declined.

    `requests_per_customer` are orders sent by each, retries included; `looks_per_customer` are reads of the sale's public page,
    which the CDN answers.
    """

    name: str
    stock: int
    crowd: int
    window_seconds: float = 600.0
    arrival: Arrival = Arrival.BURST
    burst_seconds: float = 10.0
    is_free: bool = False
    declined_share: float = 0.0
    policy: Policy = Policy.FCFS
    place: Place = Place.REGIONAL
    requests_per_customer: float = 1.05
    looks_per_customer: float = 3.0

    def __post_init__(self) -> None:
        """Raise InvalidValue for a shape of which no plan can be made."""
        if not _NAME.fullmatch(self.name):
            raise InvalidValue(field="name", rule="must be 1 to 63 small letters, digits and dashes")
        for field, value, low, high in (
            ("stock", self.stock, 1, MAX_STOCK_UNITS),
            ("crowd", self.crowd, 1, MAX_EXPECTED_CROWD),
            ("window_seconds", self.window_seconds, 1, 90 * 86_400),
            ("burst_seconds", self.burst_seconds, 0.1, 90 * 86_400),
            ("declined_share", self.declined_share, 0, 0.99),
            ("requests_per_customer", self.requests_per_customer, 1, 100),
            ("looks_per_customer", self.looks_per_customer, 0, 10_000),
        ):
            if not low <= value <= high:
                raise InvalidValue(field=field, rule=f"must be {low:,} to {high:,}")

    @property
    def arrival_seconds(self) -> float:
        """Within which the whole crowd comes."""
        return self.window_seconds if self.arrival is Arrival.EVEN else min(self.burst_seconds, self.window_seconds)

    @property
    def requests(self) -> float:
        """Orders sent, in all."""
        return self.crowd * self.requests_per_customer

    @property
    def requests_per_second(self) -> float:
        """At the peak."""
        return self.requests / self.arrival_seconds

    @property
    def orders(self) -> int:
        """Orders recorded: the stock and its waitlist, or every entry to a lottery."""
        if self.policy is Policy.LOTTERY:
            return self.crowd
        return min(self.crowd, self.stock + default_waitlist_limit(self.stock))

    @property
    def authorizations(self) -> int:
        """Cards asked: as many as it takes to fill the stock, of the orders that there are."""
        if self.is_free:
            return 0
        # Rounded first: 70 / (1 - 0.3) is a hair more than 100.
        return min(self.orders, math.ceil(round(self.stock / (1 - self.declined_share), 6)))

    @property
    def sold(self) -> int:
        """Units PLACED in the end."""
        if self.is_free:
            return min(self.stock, self.orders)
        return min(self.stock, round(self.authorizations * (1 - self.declined_share)))


PRESETS = {
    "iphone": SaleShape("iphone", stock=1_000, crowd=100_000, window_seconds=600, burst_seconds=10, declined_share=0.3),
    "burgers": SaleShape(
        "burgers", stock=6_000_000, crowd=6_300_000, window_seconds=600, arrival=Arrival.EVEN, is_free=True
    ),
    "phones": SaleShape(
        "phones", stock=100, crowd=100_000_000, window_seconds=600, burst_seconds=60, declined_share=0.1
    ),
}
"""The three sales that must work. A hundred million people do not come within a second: a minute is assumed."""
