"""Doing the faults of a plan to a running crew and its emulators, and undoing them."""

import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import orjson
import psutil

from app.local.chaos_plan import Fault, Kind
from app.local.crew import Crew
from app.local.wrong_clock import clocks_can_be_wrong
from emulator import Emulators

Undo = Callable[[], None]

CLOCK_SHIFTS_SECONDS: Mapping[Kind, float] = {Kind.CLOCK_AHEAD: 300.0, Kind.CLOCK_BEHIND: -300.0}

CALL_SECONDS = 5.0

BEHAVIOURS: Mapping[Kind, Mapping[str, float]] = {
    Kind.GATEWAY_SLOW: {"delay_ms": 1_500, "timeout_rate": 0.2, "hold_seconds": 4.0},
    Kind.GATEWAY_FAILING: {"error_rate": 0.5, "lost_rate": 0.3},
    Kind.GATEWAY_LYING: {"garbled_rate": 0.5, "lost_rate": 0.2, "delay_ms": 50},
}
"""What the gateway is told: slower than the service waits, answers of which most are errors or none, answers that are nonsense."""

LIMITS = hasattr(psutil, "RLIMIT_NOFILE")
"""Whether this system can change the limits of a process that runs; where it cannot, these faults are left out."""


STARTING_SECONDS = 20.0
"""A process this young may still be reading its own code, and without a descriptor it can only end: it keeps its limits."""


def possible_kinds() -> tuple[Kind, ...]:
    """The kinds of faults that can be done on this system."""
    left_out = set() if LIMITS else {Kind.NO_FILES, Kind.DISK_FULL}
    if not clocks_can_be_wrong():
        left_out |= set(CLOCK_SHIFTS_SECONDS)
    return tuple(kind for kind in Kind if kind not in left_out)


@dataclass
class Mischief:
    """The one that does it. `broker_losses` counts how often what the broker held was lost; a replay makes good for it."""

    crew: Crew
    emulators: Emulators
    broker_losses: int = 0
    died: list[str] = field(default_factory=list)

    def begin(self, fault: Fault) -> Undo:
        """Do it; the returned call undoes it."""
        name = fault.target
        if fault.kind is Kind.KILL:
            self.crew.kill(name)
            return lambda: self._start(name)
        if fault.kind is Kind.SUSPEND:
            self.crew.suspend(name)
            return lambda: self.crew.resume(name)
        if fault.kind in BEHAVIOURS:
            self._tell_gateway(BEHAVIOURS[fault.kind])
            return lambda: self._tell_gateway({})
        if fault.kind in CLOCK_SHIFTS_SECONDS:
            self.crew.clocks[name].set(CLOCK_SHIFTS_SECONDS[fault.kind])
            return lambda: self.crew.clocks[name].set(0.0)
        if fault.kind in (Kind.NO_FILES, Kind.DISK_FULL):
            return self._limit(name, fault.kind)
        return self._emulator(fault.kind)

    def _emulator(self, kind: Kind) -> Undo:
        emulator = self.emulators.spanner if kind is Kind.SPANNER_AWAY else self.emulators.pubsub
        if emulator is None:
            raise AssertionError("a chaos run has emulators of its own")
        if kind is Kind.BROKER_LOST:
            self.broker_losses += 1
            emulator.kill()
            return emulator.restart
        emulator.suspend()
        return emulator.resume

    def _start(self, name: str) -> None:
        self.crew.start(name)

    def _tell_gateway(self, behaviour: Mapping[str, float]) -> None:
        """A gateway that does not answer (it was just started again) behaves as it was started, which is well enough."""
        request = urllib.request.Request(  # noqa: S310  # an address of ours
            f"{self.crew.addresses.gateway}/behaviour", orjson.dumps(behaviour), method="PUT"
        )
        with suppress(urllib.error.URLError, OSError):
            urllib.request.urlopen(request, timeout=CALL_SECONDS).close()  # noqa: S310  # an address of ours

    def _limit(self, name: str, kind: Kind) -> Undo:
        """Take from every process of the group what it has not yet: further descriptors, or further bytes in files."""
        before: list[tuple[psutil.Process, int, tuple[int, int]]] = []
        for process in self._processes(name):
            with suppress(psutil.Error, OSError):
                if time.time() - process.create_time() < STARTING_SECONDS:
                    continue
                resource = psutil.RLIMIT_NOFILE if kind is Kind.NO_FILES else psutil.RLIMIT_FSIZE
                soft, hard = process.rlimit(resource)
                process.rlimit(resource, (process.num_fds() if kind is Kind.NO_FILES else 0, hard))
                before.append((process, resource, (soft, hard)))

        def give_back() -> None:
            for process, resource, limits in before:
                with suppress(psutil.Error, OSError):
                    process.rlimit(resource, limits)

        return give_back

    def _processes(self, name: str) -> list[psutil.Process]:
        try:
            first = psutil.Process(self.crew.members[name].pid)
            return [first, *first.children(recursive=True)]
        except psutil.Error:
            return []

    def revive(self) -> list[str]:
        """Start again, as a supervisor would, whoever has ended by itself; their names, which are noted in `died`."""
        gone = [name for name, child in self.crew.members.items() if child.exit_code is not None]
        for name in gone:
            self.crew.members.pop(name).kill()
            self._start(name)
        self.died += gone
        return gone


def play(faults: list[Fault], mischief: Mischief, seconds: float, say: Callable[[str], None]) -> None:
    """Do the faults at their times, undo each when it is over; returns after `seconds`, or when all is undone if that is later.

    A fault that comes while its target still suffers another, since the machine is behind the plan, waits for the other's end.
    Whatever happens, what was done is undone.
    """
    began = time.monotonic()
    waiting = list(faults)
    running: list[tuple[float, Fault, Undo]] = []

    def now() -> float:
        return time.monotonic() - began

    try:
        while waiting or running or now() < seconds:
            for item in [item for item in running if item[0] <= now()]:
                running.remove(item)
                item[2]()
                say(f"over: {item[1].kind} ({item[1].target})")
            suffering = {fault.target for _, fault, _ in running}
            for fault in [fault for fault in waiting if fault.at_seconds <= now()]:
                if fault.target in suffering:
                    continue
                suffering.add(fault.target)
                waiting.remove(fault)
                say(f"{fault.kind}: {fault.target}, for {fault.lasts_seconds:.1f} s")
                running.append((now() + fault.lasts_seconds, fault, mischief.begin(fault)))
            for name in mischief.revive():
                say(f"{name} had ended by itself, and was started again")
            time.sleep(0.05)
    finally:
        for _, _, undo in running:
            undo()
