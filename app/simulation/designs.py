"""Other designs under the same crowd, each as simple as its kind allows. Their costs are assumptions, named here.

They speak of shape (what oversells, what turns people away, what queues), not of any product at its best.
"""

import random
from dataclasses import dataclass

from app.domain.sale import spread as spread_stock
from app.simulation.setting import Outcome, Result, Setting, result


@dataclass(frozen=True, slots=True)
class Assumed:
    """Milliseconds and numbers of the other designs. A lock on a row is held for the whole of its transaction.

    `log_*`: an append is acknowledged, and a consumer for each partition takes up to `log_batch` tasks a transaction.
    `crdt_*`: each region sells by its own view, and hears of the others' sales so often.
    `postgres_*`: one row a database, no transaction over two; a commit by fsync and one hop.
    """

    log_append_ms: float = 5.0
    log_batch: int = 100
    log_partitions: int = 16
    crdt_replicas: int = 3
    crdt_merge_ms: float = 100.0
    crdt_local_ms: float = 1.0
    postgres_databases: int = 16
    postgres_commit_ms: float = 2.0


def transaction_per_order(setting: Setting, _assumed: Assumed) -> Result:
    """Each order its own transaction on one of the shards, chosen at random; who finds it empty is refused."""
    return _rows(
        "a transaction an order", setting, setting.shards, setting.read_ms + setting.commit_ms + setting.commit_order_ms
    )


def sharded_postgres(setting: Setting, assumed: Assumed) -> Result:
    """As above over independent databases: the stock is dealt out, and no transaction sees two of them."""
    return _rows("sharded PostgreSQL", setting, assumed.postgres_databases, assumed.postgres_commit_ms)


def _rows(design: str, setting: Setting, rows: int, hold_ms: float) -> Result:
    dice = random.Random(setting.seed + 3)  # noqa: S311  # a simulation's dice
    available, free = spread_stock(setting.stock, rows), [0.0] * rows
    decided: list[tuple[float, float, int]] = []
    for came in setting.arrivals():
        row = dice.randrange(rows)
        free[row] = max(came, free[row]) + hold_ms * dice.lognormvariate(0, setting.spread)
        decided.append((free[row], came, row))
    outcomes = []
    for answered, came, row in sorted(decided):
        sold = available[row] > 0 and answered - came <= setting.deadline_ms
        available[row] -= sold
        outcomes.append(Outcome(came, answered, sold, stock_left=sum(available) > 0))
    return result(design, setting, outcomes, len(outcomes))


def log_with_tasks(setting: Setting, assumed: Assumed) -> Result:
    """A partitioned log and a task runner: everybody is acknowledged; the outcome comes when a consumer gets there."""
    dice = random.Random(setting.seed + 4)  # noqa: S311  # a simulation's dice
    count = assumed.log_partitions
    queues: list[list[float]] = [[] for _ in range(count)]
    for came in setting.arrivals():
        queues[dice.randrange(count)].append(came)
    decided: list[tuple[float, float, int]] = []
    commits = 0
    for partition, queue in enumerate(queues):
        done, now = 0, 0.0
        while done < len(queue):
            now = max(now, queue[done] + assumed.log_append_ms)
            batch = [c for c in queue[done : done + assumed.log_batch] if c + assumed.log_append_ms <= now]
            spent = setting.read_ms + setting.commit_ms + setting.commit_order_ms * len(batch)
            now += spent * dice.lognormvariate(0, setting.spread)
            decided.extend((now, came, partition) for came in batch)
            done += len(batch)
            commits += 1
    available, outcomes = spread_stock(setting.stock, count), []
    for answered, came, partition in sorted(decided):
        sold = available[partition] > 0
        available[partition] -= sold
        outcomes.append(Outcome(came, answered, sold, stock_left=sum(available) > 0))
    return result("a log and tasks", setting, outcomes, commits)


def crdt_counter(setting: Setting, assumed: Assumed) -> Result:
    """Each replica sells while its own view of the counter is above zero; views meet at every merge."""
    dice = random.Random(setting.seed + 5)  # noqa: S311  # a simulation's dice
    merged, own = setting.stock, [0] * assumed.crdt_replicas
    next_merge, outcomes = assumed.crdt_merge_ms, []
    for came in setting.arrivals():
        while came >= next_merge:
            merged, own = merged - sum(own), [0] * assumed.crdt_replicas
            next_merge += assumed.crdt_merge_ms
        replica = dice.randrange(assumed.crdt_replicas)
        sold = merged > own[replica]
        own[replica] += sold
        outcomes.append(Outcome(came, came + assumed.crdt_local_ms, sold))
    return result("a CRDT counter", setting, outcomes, len(outcomes))


DESIGNS = (transaction_per_order, log_with_tasks, crdt_counter, sharded_postgres)
"""What the crowd is tried on besides the service's own."""
