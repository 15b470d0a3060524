"""How far a sale's line agrees with the order of arrival: inverted pairs, places lost, and who was overtaken by how much.

Pure functions over orders that come in queue order. The arrival is the servers' clock's; here it is compared, never believed.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple


class Arrival(NamedTuple):
    """An order of the line: `place` counts from 1 in queue order, `arrival_place` by the servers' clock (ties in queue order).

    `received_at` is in microseconds of the clock of the server that took it; `writer` is the process that committed it, or None
    when the ledger no longer tells.
    """

    place: int
    arrival_place: int
    shard_id: int
    writer: str | None
    received_at: int


@dataclass(slots=True)
class Displacement:
    """How a group of orders stands in the line, against its arrival. Places and milliseconds are the largest of any order.

    `inverted_pairs` are those within the group; `overtaken_ms` is how much later somebody before the order in the line (of
    whatever group) arrived.
    """

    orders: int = 0
    inverted_pairs: int = 0
    places_back: int = 0
    places_forward: int = 0
    overtaken_orders: int = 0
    overtaken_ms: float = 0.0

    @property
    def pairs(self) -> int:
        """Pairs of orders in the group."""
        return self.orders * (self.orders - 1) // 2

    @property
    def inverted_share(self) -> float:
        """The share of pairs that stand in the line the other way round than they arrived; 0 for no pairs."""
        return self.inverted_pairs / self.pairs if self.pairs else 0.0

    def take(self, moved_back: int, overtaken_us: int) -> None:
        """Count one order."""
        self.orders += 1
        self.places_back = max(self.places_back, moved_back)
        self.places_forward = max(self.places_forward, -moved_back)
        self.overtaken_orders += overtaken_us > 0
        self.overtaken_ms = max(self.overtaken_ms, overtaken_us / 1000)


@dataclass(slots=True)
class LineFigures:
    """The whole line, and each shard's and each process's part in it."""

    whole: Displacement = field(default_factory=Displacement)
    by_shard: dict[int, Displacement] = field(default_factory=dict)
    by_writer: dict[str | None, Displacement] = field(default_factory=dict)

    @property
    def inverted_within_writers(self) -> int:
        """Inverted pairs of which one process took both, and one clock saw both arrive."""
        return sum(part.inverted_pairs for part in self.by_writer.values())


def measure_line(line: Iterable[Arrival]) -> LineFigures:
    """The figures of a line, which comes in queue order. Keeps three times eight bytes an order."""
    figures = LineFigures()
    times = array("q")
    times_of_shard: dict[int, array[int]] = {}
    times_of_writer: dict[str | None, array[int]] = {}
    latest: int | None = None
    for order in line:
        latest = order.received_at if latest is None else max(latest, order.received_at)
        moved_back, overtaken_us = order.place - order.arrival_place, latest - order.received_at
        figures.whole.take(moved_back, overtaken_us)
        figures.by_shard.setdefault(order.shard_id, Displacement()).take(moved_back, overtaken_us)
        figures.by_writer.setdefault(order.writer, Displacement()).take(moved_back, overtaken_us)
        times.append(order.received_at)
        times_of_shard.setdefault(order.shard_id, array("q")).append(order.received_at)
        times_of_writer.setdefault(order.writer, array("q")).append(order.received_at)
    figures.whole.inverted_pairs = inversions(times)
    for shard_id, its_times in times_of_shard.items():
        figures.by_shard[shard_id].inverted_pairs = inversions(its_times)
    for writer, its_times in times_of_writer.items():
        figures.by_writer[writer].inverted_pairs = inversions(its_times)
    return figures


def inversions(values: Iterable[int]) -> int:
    """How many pairs come with the larger value first (equal ones are in order): Kendall's count, by merge sort.

    O(n log n) at worst; a line that is nearly in order is merged at its seams only.
    """
    line = array("q", values)
    count, width = 0, 1
    while width < len(line):
        for start in range(0, len(line) - width, 2 * width):
            count += _merge(line, start, start + width, min(start + 2 * width, len(line)))
        width *= 2
    return count


def _merge(line: "array[int]", start: int, middle: int, end: int) -> int:
    """Sort line[start:end], whose two halves are sorted, and count the pairs that were inverted between them."""
    if line[middle - 1] <= line[middle]:
        return 0
    # Whoever stands before the right half's least, or behind the left half's greatest, is where they belong.
    low = bisect_right(line, line[middle], start, middle)
    high = bisect_left(line, line[middle - 1], middle, end)
    left, right = line[low:middle], line[middle:high]
    count = passed = 0
    for value in right:
        # Ends within the left half, whose last value is greater than all of these.
        while left[passed] <= value:
            passed += 1
        count += len(left) - passed
    # Two runs that ascend: the library's sort merges them in one pass.
    line[low:high] = array("q", sorted(left + right))
    return count
