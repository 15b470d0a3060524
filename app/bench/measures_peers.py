"""Fairdrop beside the same order on PostgreSQL and on Redis, in turns, with the same worker, settings, buyers and answers; and a
handler that stores nothing, which nobody on Flask can beat.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from statistics import median

import psycopg

from app.bench import peer_servers
from app.bench.measures import Figure, Say, bare_round
from app.bench.peer_servers import PeerMissing
from app.bench.peers import ADDRESS_VARIABLE, POSTGRES_SCHEMA
from app.bench.stage import Round, Stage
from app.cores import available

OURS, BARE, POSTGRES, REDIS_ALWAYS, REDIS_EVERYSEC = (
    "Fairdrop",
    "bare Flask handler",
    "PostgreSQL",
    "Redis, fsync always",
    "Redis, fsync each second",
)
WANTED = {(1, POSTGRES): 1.0, (1, REDIS_ALWAYS): 1.0, (2, POSTGRES): 2.0, (2, REDIS_ALWAYS): 0.9}
"""Workers and peer: our orders a second over theirs. "Level" with Redis at two workers is read as nine tenths."""


def peers(stage: Stage, rounds: int, say: Say) -> Iterator[Figure]:
    """Orders a second and p99 of one and two workers. A peer that is not installed is named and left out."""
    with ExitStack() as servers:
        addresses: dict[str, str] = {}
        for name, start in (
            (POSTGRES, peer_servers.postgres),
            (REDIS_ALWAYS, lambda: peer_servers.redis("always")),
            (REDIS_EVERYSEC, lambda: peer_servers.redis("everysec")),
        ):
            try:
                addresses[name] = servers.enter_context(start())
            except PeerMissing as missing:
                say(f"{name} is left out: {missing}")
        if POSTGRES in addresses:
            with psycopg.connect(addresses[POSTGRES], autocommit=True) as connection:
                connection.execute(POSTGRES_SCHEMA)
        for workers in (1, 2):
            yield from _side_by_side(stage, rounds, say, addresses, workers)


def _side_by_side(stage: Stage, rounds: int, say: Say, addresses: dict[str, str], workers: int) -> Iterator[Figure]:
    played: dict[str, list[Round]] = {name: [] for name in (OURS, BARE, *addresses)}
    for number in range(rounds):
        for name, results in played.items():
            say(f"{name}, {workers} worker(s), round {number + 1} of {rounds}")
            results.append(_round(stage, name, addresses.get(name), workers, number))
    ours = played[OURS]
    for name, theirs in played.items():
        yield Figure(f"{name}, {workers} worker(s)", median(r.report.orders_per_second for r in theirs), "orders/s")
        if name != BARE:
            yield Figure(f"{name}, {workers} worker(s), p99", median(map(_p99_ms, theirs)), "ms")
    for name in addresses:
        wanted = WANTED.get((workers, name))
        yield Figure(f"Fairdrop / {name}, {workers} worker(s)", _ratio(ours, played[name]), "x", at_least=wanted)
        yield Figure(f"the limit: bare handler / {name}, {workers} worker(s)", _ratio(played[BARE], played[name]), "x")
    if POSTGRES in addresses:
        late = median(_p99_ms(a) / _p99_ms(b) for a, b in zip(ours, played[POSTGRES], strict=True))
        yield Figure(f"p99, Fairdrop / PostgreSQL, {workers} worker(s)", late, "x", at_most=1.0)


def _ratio(these: list[Round], those: list[Round]) -> float:
    return median(a.report.orders_per_second / b.report.orders_per_second for a, b in zip(these, those, strict=True))


def _round(stage: Stage, name: str, address: str | None, workers: int, seed: int) -> Round:
    # As many workers as cores: each of whichever server keeps to its own.
    pinned = {"FAIRDROP_PIN_WORKERS": "true"} if workers == len(available()) else {}
    if name == BARE:
        return bare_round(stage, workers=workers, environment=pinned, seed=seed)
    if address is None:
        stage.empty_database()
        return stage.round(stage.new_sale(), workers=workers, environment=pinned, seed=seed)
    factory = "postgres" if name == POSTGRES else "redis_lua"
    sale_id = f"peer-{workers}-{seed}"
    return stage.round(
        sale_id,
        factory=f"app.bench.peers:{factory}()",
        ready=f"/v1/sales/{sale_id}",
        workers=workers,
        environment={ADDRESS_VARIABLE: address, **pinned},
        seed=seed,
    )


def _p99_ms(played: Round) -> float:
    return played.report.latency["taken"].p99_ms or 0.0
