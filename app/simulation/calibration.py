"""How far the simulation is from runs on the emulator: predicted from costs that were measured apart, beside what a run gave.

The emulator takes one writer at a time. Its commit of n orders: 2.27 + 0.0984 n ms, from the two library runs of docs/design.md
(one client alone 423 orders/s; transactions of 100 orders, 8,262/s). The worker's processor: `scripts/bench budget`. Neither is
fitted to what is predicted.
"""

from dataclasses import dataclass, replace

from app.domain.planning.plan import ORDER_US
from app.simulation.group_commit import simulate
from app.simulation.setting import Setting

EMULATOR_COMMIT_MS = 2.27
EMULATOR_COMMIT_ORDER_MS = 0.0984


@dataclass(frozen=True, slots=True)
class Comparison:
    """A rate in orders a second, as simulated and as measured by `command`."""

    name: str
    predicted: float
    measured: float
    command: str

    @property
    def error(self) -> float:
        """As a share of what was measured; above 0, the simulation promises too much."""
        return self.predicted / self.measured - 1


def calibrate(requests: int = 4_000) -> list[Comparison]:
    """The runs that were measured, simulated."""
    emulator = Setting(
        requests=requests,
        per_second=20_000,
        stock=requests,
        lanes=1,
        shards=4,
        cpu_us=ORDER_US,
        commit_ms=EMULATOR_COMMIT_MS,
        commit_order_ms=EMULATOR_COMMIT_ORDER_MS,
        single_writer=True,
    )
    grouped = simulate(emulator)
    # One at a time, the worker's processor and the emulator's take turns: nothing overlaps.
    serial = EMULATOR_COMMIT_MS + ORDER_US / 1_000
    alone = simulate(
        replace(emulator, requests=requests // 4, batch_limit=1, interval_ms=0.0, cpu_us=0.0, commit_ms=serial)
    )
    command = "scripts/bench orders budget, 2026-11-27"
    return [
        Comparison("group commit, one worker", grouped.sold_per_second, 3_293, command),
        Comparison("a transaction an order, one at a time", alone.sold_per_second, 352, command),
    ]
