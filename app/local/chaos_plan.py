"""What a chaos run does to the service, and when: drawn from a seed before it begins, so that a run can be had again. Pure."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """A kind of fault."""

    KILL = "kill -9"
    SUSPEND = "SIGSTOP"
    NO_FILES = "no more file descriptors"
    DISK_FULL = "disk full"
    CLOCK_AHEAD = "clock five minutes ahead"
    CLOCK_BEHIND = "clock five minutes behind"
    SPANNER_AWAY = "Spanner suspended"
    BROKER_AWAY = "Pub/Sub suspended"
    BROKER_LOST = "Pub/Sub killed, with all it held"
    GATEWAY_SLOW = "gateway slow"
    GATEWAY_FAILING = "gateway failing"
    GATEWAY_LYING = "gateway lying"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: when it begins, in seconds after the start, how long it lasts, and which process it is about."""

    at_seconds: float
    lasts_seconds: float
    kind: Kind
    target: str


PROCESSES_A_ROUND = 2
"""Kinds of processes that each fault but a kill is done to in a round: else the other faults would drown in them."""

SPANNER, BROKER, GATEWAY = "spanner", "pubsub", "gateway"

FIRST_SECONDS = 2.0
"""The crowd is there before the first fault."""

GAP_SECONDS = (0.4, 3.0)
"""Between the beginnings of two faults: less than most of them last, so that they overlap."""

LASTS_SECONDS: dict[Kind, tuple[float, float]] = {
    Kind.KILL: (0.0, 3.0),
    Kind.SUSPEND: (0.5, 6.0),
    Kind.NO_FILES: (1.0, 5.0),
    Kind.DISK_FULL: (1.0, 5.0),
    Kind.CLOCK_AHEAD: (2.0, 6.0),
    Kind.CLOCK_BEHIND: (2.0, 6.0),
    Kind.SPANNER_AWAY: (0.5, 4.0),
    Kind.BROKER_AWAY: (1.0, 6.0),
    Kind.BROKER_LOST: (0.5, 2.0),
    Kind.GATEWAY_SLOW: (2.0, 6.0),
    Kind.GATEWAY_FAILING: (2.0, 6.0),
    Kind.GATEWAY_LYING: (2.0, 6.0),
}
"""Longer than a call's deadline and a lease at the most, shorter than a hold: a run that only waits finds nothing."""

_ONE_TARGET = {
    Kind.SPANNER_AWAY: SPANNER,
    Kind.BROKER_AWAY: BROKER,
    Kind.BROKER_LOST: BROKER,
    Kind.GATEWAY_SLOW: GATEWAY,
    Kind.GATEWAY_FAILING: GATEWAY,
    Kind.GATEWAY_LYING: GATEWAY,
}


def plan(seed: int, seconds: float, members: Sequence[str], kinds: Sequence[Kind] = tuple(Kind)) -> list[Fault]:
    """The faults of a run, by their beginning; all of them are over by `seconds`.

    Two faults of one target never overlap.
    """
    dice = random.Random(seed)  # noqa: S311  # what it hides is to be found again
    faults: list[Fault] = []
    free_at: dict[str, float] = {}
    at = FIRST_SECONDS
    for kind, process in _rounds(dice, members, kinds):
        candidates = [name for name in members if name.partition("#")[0] == process] if process else [_ONE_TARGET[kind]]
        target = dice.choice(candidates)
        lasts = dice.uniform(*LASTS_SECONDS[kind])
        begins = max(at, free_at.get(target, 0.0))
        if begins + lasts > seconds:
            return sorted(faults, key=lambda fault: fault.at_seconds)
        faults.append(Fault(round(begins, 3), round(lasts, 3), kind, target))
        # A process that was started again needs a moment to be one that can be hurt.
        free_at[target] = begins + lasts + (4.0 if kind is Kind.KILL else 1.0)
        at += dice.uniform(*GAP_SECONDS)
    raise AssertionError("the rounds never end")


def _rounds(dice: random.Random, members: Sequence[str], kinds: Sequence[Kind]) -> Iterator[tuple[Kind, str | None]]:
    """First each kind once, so that also a short run has every one; then round after round."""
    processes = sorted({name.partition("#")[0] for name in members})
    deck: list[tuple[Kind, str | None]] = [
        (kind, None if kind in _ONE_TARGET else dice.choice(processes)) for kind in kinds
    ]
    while True:
        dice.shuffle(deck)
        yield from deck
        deck = [(kind, None) for kind in kinds if kind in _ONE_TARGET]
        for kind in kinds:
            if kind not in _ONE_TARGET:
                some = (
                    processes if kind is Kind.KILL else dice.sample(processes, min(PROCESSES_A_ROUND, len(processes)))
                )
                deck += [(kind, process) for process in some]
