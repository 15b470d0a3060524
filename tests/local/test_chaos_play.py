"""Faults done by the plan, also on a machine that is behind it."""

from collections.abc import Callable

import pytest

from app.local import chaos_faults
from app.local.chaos_faults import play
from app.local.chaos_plan import Fault, Kind


class SlowMachine:
    """A clock that only sleep and slow faults move on, and a mischief that notes whom it has in hand."""

    def __init__(self, seconds_to_begin: float) -> None:
        self.now = 0.0
        self.seconds_to_begin = seconds_to_begin
        self.in_hand: list[str] = []
        self.done: list[str] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def begin(self, fault: Fault) -> Callable[[], None]:
        assert fault.target not in self.in_hand
        self.in_hand.append(fault.target)
        self.done.append(fault.target)
        self.now += self.seconds_to_begin
        return lambda: self.in_hand.remove(fault.target)

    def revive(self) -> list[str]:
        return []


@pytest.mark.parametrize("seconds_to_begin", [0.0, 3.0, 30.0])
def test_a_fault_waits_for_the_end_of_the_one_before_on_its_target(
    monkeypatch: pytest.MonkeyPatch, seconds_to_begin: float
) -> None:
    machine = SlowMachine(seconds_to_begin)
    monkeypatch.setattr(chaos_faults, "time", machine)
    faults = [
        Fault(1.0, 1.5, Kind.SUSPEND, "relay"),
        Fault(2.0, 1.0, Kind.KILL, "api"),
        Fault(7.0, 1.0, Kind.KILL, "api"),
        Fault(7.5, 1.0, Kind.KILL, "relay"),
    ]
    play(faults, machine, 10.0, lambda _: None)  # type: ignore[arg-type]
    assert sorted(machine.done) == ["api", "api", "relay", "relay"]
    assert not machine.in_hand
    assert machine.now >= 10.0
