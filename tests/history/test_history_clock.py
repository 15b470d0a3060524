"""The bounds between two clocks: right however the machine's clock is slewed, and narrow where there was a look."""

from random import Random

import pytest
from history_clock import SLACK_US, SLEW, Clocks, clocks
from history_records import Look

HALF_AN_HOUR_US = 1_800_000_000
EPOCH_US = 1_795_000_000_000_000


def database_us(monotonic_us: int, slew: float) -> int:
    """A clock that is slewed all the time, one way in the first ten minutes and the other way from then on."""
    first = min(monotonic_us, 600_000_000)
    return EPOCH_US + monotonic_us + int(slew * (first - (monotonic_us - first)))


def looks(slew: float, every_us: int, lasts_us: int = 4_000) -> list[Look]:
    dice = Random(every_us)
    return [
        Look(1000 * began, 1000 * (began + lasts_us), database_us(began + dice.randint(0, lasts_us), slew), 0, [], [])
        for began in range(0, HALF_AN_HOUR_US, every_us)
    ]


def of(slew: float, every_us: int) -> Clocks:
    found = clocks(looks(slew, every_us))
    assert found is not None
    return found


@pytest.mark.parametrize("slew", [0.0, 1e-5, -2e-4, SLEW, -SLEW])
@pytest.mark.parametrize("every_us", [1_500_000, 40_000_000])
def test_the_true_time_is_always_within_the_bounds(slew: float, every_us: int) -> None:
    clock, dice = of(slew, every_us), Random(1)
    for _ in range(2_000):
        at = dice.randrange(HALF_AN_HOUR_US)
        assert clock.earliest(1000 * at) <= database_us(at, slew) <= clock.latest(1000 * at)


@pytest.mark.parametrize("slew", [0.0, SLEW])
def test_beside_a_look_the_bounds_are_hardly_further_apart_than_it_lasted(slew: float) -> None:
    assert of(slew, 1_500_000).uncertainty_us <= 4_000 + 2 * SLACK_US + 10


def test_far_from_every_look_they_are_as_far_apart_as_a_slew_may_have_moved_them() -> None:
    clock = of(0.0, HALF_AN_HOUR_US)
    at = HALF_AN_HOUR_US // 2
    assert clock.latest(1000 * at) - clock.earliest(1000 * at) >= 2 * SLEW * at


def test_without_a_look_nothing_is_known() -> None:
    assert clocks([]) is None
