"""From a sale's shape to what it needs: shards, Spanner, API, messages, traffic, latency, cost, and what gives way first.

What is measured here and what is assumed of Google Cloud stand apart, in `Figures`. A plan, not a promise: nothing of this has run
on Google Cloud (docs/capacity.md).
"""

import math
from dataclasses import dataclass

from app.domain.planning import prices
from app.domain.planning.rows import capturing, placing, settling
from app.domain.planning.shape import Place, SaleShape
from app.domain.sale import default_shard_count
from app.domain.spanner_capacity import (
    BYTES_PER_WRITE,
    CORE_LOAD_SHARE,
    MICROSECONDS,
    MULTI_REGION_SSD,
    REGIONAL_SSD,
    processing_units,
)

LEAST_SECONDS = 1.0
"""A wave of orders is spread over at least a second: whoever is answered within one was answered at once."""

HOUR_SECONDS = 3_600.0


ORDER_US = 290.0
"""Of the API's processor an order, as `scripts/bench budget` printed it on 2026-11-27."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What the plan builds on.

    Measured on two noisy cores, 2026-11-27: `order_us` of the API's processor an order (ORDER_US); `refusal_us` a
    refusal from memory (5,737 a second by one worker, `scripts/bench sold-out`); `relay_events_per_second` of a relay
    (`scripts/bench money`, the lower end of many runs).
    The service's own, and a test holds them equal: `interval_ms`, `batch_limit`, `crowd_orders` (a smaller batch waits for
    nobody), `crowd_batch` (so many orders wait no longer).
    Assumed, to be measured on Google Cloud: how long a read and a commit take. Sized as the production environment in terraform/:
    `cores_per_instance`, `max_instances`, `max_nodes`, `max_relays`. Bytes are of a token, an order, an answer and an event.
    """

    order_us: float = ORDER_US
    refusal_us: float = 175.0
    relay_events_per_second: float = 3_900.0
    interval_ms: float = 50.0
    batch_limit: int = 256
    crowd_orders: int = 8
    crowd_batch: int = 64
    regional_read_ms: float = 5.0
    regional_commit_ms: float = 12.0
    multi_region_read_ms: float = 10.0
    multi_region_commit_ms: float = 80.0
    cores_per_instance: int = 4
    gib_per_instance: float = 4.0
    max_instances: int = 100
    max_nodes: int = 20
    max_relays: int = 16
    settle_seconds: float = 60.0
    request_bytes: float = 1_300.0
    answer_bytes: float = 700.0
    page_bytes: float = 900.0
    event_bytes: float = 1_000.0


@dataclass(frozen=True, slots=True)
class Need:
    """One thing that the sale needs, beside what is there: the largest share gives way first."""

    name: str
    needed: float
    limit: float
    unit: str

    @property
    def share(self) -> float:
        """Of the limit; above 1 it does not suffice."""
        return self.needed / self.limit


@dataclass(frozen=True, slots=True)
class Plan:
    """What a sale needs and costs. Rates are of the peak; dollars of the hour; times in seconds, latency in milliseconds.

    `sell_out_seconds` is None when the crowd is smaller than the stock. `answer_seconds` is when the last of the crowd has its
    answer, with no more instances than the limit.
    """

    shape: SaleShape
    requests_per_second: float
    orders: int
    orders_per_second: float
    batch_orders: float
    commits_per_second: float
    shards: int
    api_cores: int
    api_instances: int
    nodes_by_writes: float
    nodes_by_reads: float
    nodes_by_storage: float
    nodes: float
    processing_units: int
    stored_bytes: float
    messages: float
    messages_per_second: float
    message_bytes_per_second: float
    relays: int
    balancer_bytes_per_second: float
    cdn_requests_per_second: float
    cdn_bytes_per_second: float
    lone_order_ms: float
    order_ms: float
    answer_seconds: float
    sell_out_seconds: float | None
    costs: dict[str, float]
    needs: tuple[Need, ...]

    @property
    def cost(self) -> float:
        """Dollars of the hour."""
        return sum(self.costs.values())

    @property
    def bottleneck(self) -> Need:
        """What gives way first."""
        return max(self.needs, key=lambda need: need.share)


def plan(shape: SaleShape, figures: Figures | None = None) -> Plan:
    """The plan of a sale; pure."""
    given = figures or Figures()
    many = shape.place is Place.MULTI_REGION
    node = MULTI_REGION_SSD if many else REGIONAL_SSD
    read_ms = given.multi_region_read_ms if many else given.regional_read_ms
    commit_ms = given.multi_region_commit_ms if many else given.regional_commit_ms

    rate = shape.requests_per_second
    taking_seconds = max(LEAST_SECONDS, shape.arrival_seconds * shape.orders / shape.crowd)
    order_rate = shape.orders / taking_seconds
    refusal_rate = max(0.0, rate - order_rate)
    # An order's second and later tries cost a refusal's time: they meet their order, or are refused from memory.
    cpu = order_rate * given.order_us + refusal_rate * given.refusal_us
    cores = max(1, math.ceil(cpu / MICROSECONDS / CORE_LOAD_SHARE))
    instances = math.ceil(cores / given.cores_per_instance)
    processes = min(instances, given.max_instances) * given.cores_per_instance

    filling_ms = min(given.interval_ms, 1_000 * given.crowd_batch * processes / order_rate if order_rate else math.inf)
    lane_seconds = max(filling_ms, read_ms + commit_ms) / 1_000
    batch = min(given.batch_limit, max(1.0, order_rate * lane_seconds / processes))
    commits = shape.orders / batch
    placed, settled, captured = placing(shape, commits), settling(shape), capturing(shape)
    writes = (
        _writes(placed.rows_written, placed.stored_bytes) / taking_seconds + settled.rows_written / given.settle_seconds
    )
    reads = placed.rows_read / taking_seconds + settled.rows_read / given.settle_seconds
    stored = placed.stored_bytes + settled.stored_bytes + captured.stored_bytes
    by_writes = writes / node.writes_per_second / node.cpu_share
    by_reads = reads / node.reads_per_second / node.cpu_share
    by_storage = stored / node.storage_bytes
    nodes = max(by_writes + by_reads, by_storage)

    messages = placed.events + settled.events + captured.events
    message_rate = placed.events / max(taking_seconds, given.settle_seconds) + settled.events / given.settle_seconds
    relays = max(1, math.ceil(message_rate / given.relay_events_per_second))
    looks = shape.crowd * shape.looks_per_customer
    balancer_bytes = shape.requests * (given.request_bytes + given.answer_bytes)

    lanes_rate = processes * given.batch_limit / (read_ms + commit_ms) * 1_000
    queued_ms = 1_000 * max(0.0, shape.orders / lanes_rate - taking_seconds) / 2
    gathering_ms = lane_seconds * 500 if batch >= given.crowd_orders else 0.0
    order_ms = read_ms + commit_ms + gathering_ms + queued_ms
    served_share = processes / (instances * given.cores_per_instance)
    node_price = prices.SPANNER_MULTI_REGION if many else prices.SPANNER_REGIONAL
    units = processing_units(nodes)
    run_second = given.cores_per_instance * prices.RUN_CPU.dollars + given.gib_per_instance * prices.RUN_MEMORY.dollars
    costs = {
        "spanner": units / 1_000 * node_price.dollars,
        "spanner_storage": stored / prices.GIB * prices.SPANNER_STORAGE.dollars / prices.HOURS_PER_MONTH,
        "api": instances * HOUR_SECONDS * run_second,
        "pubsub": 2 * messages * given.event_bytes / prices.TIB * prices.PUBSUB.dollars,
        "balancer": prices.BALANCER_HOUR.dollars + balancer_bytes / prices.GIB * prices.BALANCER_TRAFFIC.dollars,
        "cdn": looks * (prices.CDN_LOOKUPS.dollars + given.page_bytes / prices.GIB * prices.CDN_TRAFFIC.dollars),
        "internet": shape.requests * given.answer_bytes / prices.GIB * prices.INTERNET.dollars,
    }
    shards = default_shard_count(shape.stock, shape.crowd)
    return Plan(
        shape=shape,
        requests_per_second=rate,
        orders=shape.orders,
        orders_per_second=order_rate,
        batch_orders=batch,
        commits_per_second=order_rate / batch,
        shards=shards,
        api_cores=cores,
        api_instances=instances,
        nodes_by_writes=by_writes,
        nodes_by_reads=by_reads,
        nodes_by_storage=by_storage,
        nodes=nodes,
        processing_units=units,
        stored_bytes=stored,
        messages=messages,
        messages_per_second=message_rate,
        message_bytes_per_second=2 * message_rate * given.event_bytes,
        relays=relays,
        balancer_bytes_per_second=balancer_bytes / shape.arrival_seconds,
        cdn_requests_per_second=looks / shape.arrival_seconds,
        cdn_bytes_per_second=looks * given.page_bytes / shape.arrival_seconds,
        lone_order_ms=read_ms + commit_ms,
        order_ms=order_ms,
        answer_seconds=shape.arrival_seconds / served_share,
        sell_out_seconds=_sell_out(shape, order_ms, served_share),
        costs=costs,
        needs=(
            Need("API instances", instances, given.max_instances, "instances"),
            Need("Spanner nodes", nodes, given.max_nodes, "nodes"),
            Need("orders a second that the lanes take", order_rate, lanes_rate, "orders/s"),
            Need(
                "commits a second of the counter's shards",
                order_rate / batch,
                shards / (commit_ms / 1_000),
                "commits/s",
            ),
            Need("relays", relays, given.max_relays, "relays"),
        ),
    )


def _writes(rows: float, stored_bytes: float) -> float:
    """A row above 1 KB counts by its bytes."""
    return max(rows, stored_bytes / BYTES_PER_WRITE)


def _sell_out(shape: SaleShape, order_ms: float, served_share: float) -> float | None:
    """When the last unit has been taken: as fast as the crowd comes and is served, and the last order's own time."""
    if shape.orders < shape.stock or shape.crowd < shape.stock:
        return None
    return shape.arrival_seconds * shape.stock / shape.crowd / served_share + order_ms / 1_000
