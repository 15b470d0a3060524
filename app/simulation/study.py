"""What a plan asks of the simulation: its sale, other numbers of shards, no taking over, and other designs."""

import math
from dataclasses import dataclass, replace

from app.domain.planning.plan import Figures, Plan
from app.domain.planning.shape import Place
from app.domain.sale import default_waitlist_limit
from app.simulation.calibration import Comparison, calibrate
from app.simulation.designs import DESIGNS, Assumed
from app.simulation.group_commit import simulate
from app.simulation.setting import Result, Setting

STUDY_REQUESTS = 100_000
SHARD_COUNTS = (1, 4, 16, 64, 256)


@dataclass(frozen=True, slots=True)
class Study:
    """All runs, with the setting that they share."""

    setting: Setting
    designs: list[Result]
    by_shards: dict[int, Result]
    calibration: list[Comparison]
    assumed: Assumed


def setting_of(made: Plan, figures: Figures, requests: int = STUDY_REQUESTS, seed: int = 1) -> Setting:
    """The plan's sale, or its first so many requests, on as many processes as the plan has, one lane each.

    A stock above half of the requests is scaled down with the crowd, for the tail to show.
    """
    shape = made.shape
    count = min(requests, math.ceil(shape.requests))
    stock = shape.stock if shape.stock <= count / 2 else max(1, math.ceil(shape.stock * count / shape.requests))
    many = shape.place is Place.MULTI_REGION
    return Setting(
        requests=count,
        per_second=shape.requests_per_second,
        stock=stock,
        lanes=min(made.api_instances, figures.max_instances) * figures.cores_per_instance,
        shards=made.shards,
        waitlist=default_waitlist_limit(stock),
        interval_ms=figures.interval_ms,
        batch_limit=figures.batch_limit,
        cpu_us=figures.order_us,
        read_ms=figures.multi_region_read_ms if many else figures.regional_read_ms,
        commit_ms=figures.multi_region_commit_ms if many else figures.regional_commit_ms,
        seed=seed,
    )


def study(setting: Setting) -> Study:
    """Run it all; some seconds."""
    assumed = Assumed()
    # Who waits is told so, and stands in line; without taking over, and in the other designs, there is no line.
    bare = replace(setting, waitlist=0)
    return Study(
        setting=setting,
        designs=[
            simulate(setting),
            simulate(replace(bare, take_over=False)),
            *(design(bare, assumed) for design in DESIGNS),
        ],
        by_shards={shards: simulate(replace(setting, shards=shards)) for shards in SHARD_COUNTS},
        calibration=calibrate(),
        assumed=assumed,
    )
