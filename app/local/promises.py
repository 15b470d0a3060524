"""What a scenario promises, and whether it was kept; and what its answers file says of refusals. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

NOT_OPEN, SOLD_OUT = "sale-not-open", "sold-out"


@dataclass(frozen=True, slots=True)
class Promise:
    """One promise: what was promised, what was found, and whether it was kept."""

    name: str
    found: str
    is_kept: bool


@dataclass(frozen=True, slots=True)
class Refusals:
    """Refusals by where they came from.

    `early_buyers` were told at least once that the sale was not open. A sold-out with an age was said from what the process had
    seen last; without one, by a transaction that had read every shard.
    """

    not_open: int
    early_buyers: int
    sold_out_from_memory: int
    sold_out_by_transaction: int

    @property
    def memory_share(self) -> float | None:
        """The share of sold-out answers said without a transaction; None of none."""
        sold_out = self.sold_out_from_memory + self.sold_out_by_transaction
        return self.sold_out_from_memory / sold_out if sold_out else None


def refusals_of(lines: Iterable[bytes]) -> Refusals:
    """Counted over the lines of an answers file, its header included."""
    not_open, remembered, by_transaction = 0, 0, 0
    early: set[str] = set()
    for text in lines:
        line: dict[str, Any] = orjson.loads(text)
        problem = line.get("problem")
        if problem == NOT_OPEN:
            not_open += 1
            early.add(line["buyer"])
        elif problem == SOLD_OUT and line["age_ms"]:
            remembered += 1
        elif problem == SOLD_OUT:
            by_transaction += 1
    return Refusals(not_open, len(early), remembered, by_transaction)
