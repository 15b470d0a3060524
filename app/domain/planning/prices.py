"""List prices in US dollars, without discounts and free tiers: inputs of a plan, to be checked before anybody relies on them.

`as_read` says where a figure comes from: the vendor's page, as stored copies of it said in November 2026; or UNCHECKED: the page
was not at hand (its tables are filled in by a script), and the figure is one that others quote.
"""

from dataclasses import dataclass

HOURS_PER_MONTH = 730.0
GIB = float(2**30)
TIB = float(2**40)


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars a unit, and where that was read."""

    dollars: float
    unit: str
    source: str
    as_read: str


READ = "vendor's page, stored copy, 2026-11"
UNCHECKED = "unchecked: quoted by others, 2026-11"

SPANNER_REGIONAL = Price(0.90, "node hour", "cloud.google.com/spanner/pricing", UNCHECKED)
SPANNER_MULTI_REGION = Price(3.00, "node hour", "cloud.google.com/spanner/pricing", UNCHECKED)
SPANNER_STORAGE = Price(0.30, "GiB month", "cloud.google.com/spanner/pricing", UNCHECKED)
RUN_CPU = Price(0.000018, "vCPU second", "cloud.google.com/run/pricing", READ)
"""CPU always allocated, tier 1: lanes and watches work between requests."""
RUN_MEMORY = Price(0.000002, "GiB second", "cloud.google.com/run/pricing", UNCHECKED)
PUBSUB = Price(40.0, "TiB published or delivered", "cloud.google.com/pubsub/pricing", READ)
BALANCER_HOUR = Price(0.025, "hour, up to five rules", "cloud.google.com/load-balancing/pricing", READ)
BALANCER_TRAFFIC = Price(0.008, "GiB in or out", "cloud.google.com/load-balancing/pricing", READ)
CDN_LOOKUPS = Price(0.75e-6, "look-up", "cloud.google.com/cdn/pricing", READ)
CDN_TRAFFIC = Price(0.08, "GiB out, Europe or North America, first 10 TiB", "cloud.google.com/cdn/pricing", READ)
INTERNET = Price(0.12, "GiB out, premium tier", "cloud.google.com/vpc/network-pricing", UNCHECKED)

PRICES = {
    "spanner_regional": SPANNER_REGIONAL,
    "spanner_multi_region": SPANNER_MULTI_REGION,
    "spanner_storage": SPANNER_STORAGE,
    "run_cpu": RUN_CPU,
    "run_memory": RUN_MEMORY,
    "pubsub": PUBSUB,
    "balancer_hour": BALANCER_HOUR,
    "balancer_traffic": BALANCER_TRAFFIC,
    "cdn_lookups": CDN_LOOKUPS,
    "cdn_traffic": CDN_TRAFFIC,
    "internet": INTERNET,
}
