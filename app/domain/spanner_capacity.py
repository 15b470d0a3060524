"""How many Spanner nodes a rate of orders needs, by what Google publishes of a node and by what an order was measured to cost.

Pure arithmetic over inputs: the figures of a node are published peaks for single rows of 1 KB, the cost of an order comes from a
run. It plans; it does not promise. Contention, splits that are not there yet and a load test on the real thing come after it.

Sources, as read in 2026:
- throughput: "Performance overview", cloud.google.com/spanner/docs/performance, section "Performance for typical workloads": at
  100 % CPU a node (1,000 processing units) of a regional instance on SSD serves up to 22,500 reads *or* 3,500 writes a second, of
  a dual- or multi-region one 15,000 reads per region or 2,700 writes; single rows of 1 KB; linear in nodes. Throughput-optimized
  writes reach 22,500 with a batching delay of 100 ms, which is more than an order's answer should wait: they are not counted on.
- storage: same page, section "More storage": 10 TiB a node.
- load: "CPU utilization metrics", cloud.google.com/spanner/docs/cpu-utilization: high-priority CPU at most 65 % in a regional
  instance, 45 % in each region of a dual- or multi-region one.
"""

import math
from dataclasses import dataclass

BYTES_PER_WRITE = 1_024
"""Of the published write; a smaller row counts as one write all the same."""

PROCESSING_UNITS_PER_NODE = 1_000
SMALL_STEP_UNITS = 100
"""Below one node an instance grows in steps of 100 processing units, above it in whole nodes."""

CORE_LOAD_SHARE = 0.6
"""Of a core that serves requests: the rest is for the second in which more come than on average."""

MICROSECONDS = 1e6


@dataclass(frozen=True, slots=True)
class NodeFigures:
    """What is published of one node (1,000 processing units): peaks at 100 % CPU, and the CPU share not to be passed."""

    name: str
    reads_per_second: float
    writes_per_second: float
    cpu_share: float
    storage_bytes: float


REGIONAL_SSD = NodeFigures("regional, SSD", 22_500, 3_500, 0.65, 10 * 2**40)
MULTI_REGION_SSD = NodeFigures("dual- or multi-region, SSD", 15_000, 2_700, 0.45, 10 * 2**40)


@dataclass(frozen=True, slots=True)
class OrderCost:
    """What one order costs, on average: rows written (index entries are rows), bytes of their values, rows or ranges read."""

    rows_written: float
    bytes_written: float
    rows_read: float
    cpu_us: float


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a rate of orders needs. `node_load` is in nodes at 100 % CPU; `nodes` keeps below the CPU share."""

    orders_per_second: float
    writes_per_second: float
    reads_per_second: float
    node_load: float
    nodes: float
    processing_units: int
    api_cores: int
    stored_bytes: float


def capacity(cost: OrderCost, orders: int, seconds: float, node: NodeFigures = REGIONAL_SSD) -> Capacity:
    """What so many orders within so many seconds, evenly, need.

    Reads and writes share a node: the published figures are for one *or* the other, so their shares add up. A write is a row of up
    to 1 KB: what is larger counts by its bytes.
    """
    if orders < 0 or seconds <= 0:
        raise ValueError("a plan needs orders, and time for them")
    rate = orders / seconds
    writes = rate * max(cost.rows_written, cost.bytes_written / BYTES_PER_WRITE)
    reads = rate * cost.rows_read
    load = writes / node.writes_per_second + reads / node.reads_per_second
    stored = orders * cost.bytes_written
    nodes = max(load / node.cpu_share, stored / node.storage_bytes)
    return Capacity(
        orders_per_second=rate,
        writes_per_second=writes,
        reads_per_second=reads,
        node_load=load,
        nodes=nodes,
        processing_units=processing_units(nodes),
        api_cores=math.ceil(rate * cost.cpu_us / MICROSECONDS / CORE_LOAD_SHARE),
        stored_bytes=stored,
    )


def processing_units(nodes: float) -> int:
    """The smallest instance that has so many nodes' worth: in steps of 100 units up to a node, and then whole nodes."""
    units = nodes * PROCESSING_UNITS_PER_NODE
    step = SMALL_STEP_UNITS if units <= PROCESSING_UNITS_PER_NODE else PROCESSING_UNITS_PER_NODE
    return max(SMALL_STEP_UNITS, step * math.ceil(round(units / step, 9)))
