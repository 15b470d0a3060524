"""The draw of a lottery, from the closing to the last entry; how it is decided is in `app/domain/draw.py`.

It may be interrupted at any point and begun again, by another process too, or be done by several at once: the record in the
database says what is next, and every one of them works out the same.
"""

import time
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from functools import partial
from itertools import islice

from app.domain.draw import Draw, DrawBroken, digest_of
from app.domain.errors import NotALottery, SaleNotFound, StorageUnavailable
from app.storage.clock import DatabaseClock
from app.storage.database import RETRY_AFTER_SECONDS, Conflict, FairdropDatabase, snapshot, transact
from app.storage.draw import find_draw, read_seed
from app.storage.draw_entries import read_entries
from app.storage.draw_sort import EntrySort
from app.storage.draw_steps import DrawnEntry, begin, draw_batch
from app.storage.draw_steps import seal as seal_step
from app.storage.sales import sale_as_of
from app.storage.workspace import Workspace

ENTRIES_PER_STEP = 250
"""In one transaction: some 35 mutations each, far below the 80,000 that Spanner allows. The emulator takes updates in larger
ones ever slower (3,000 entries in 12 to 27 s by 1,000, in 3.5 to 7 s by 250, side by side)."""

TRIES = 10
"""Of one transaction: payments and cancels change the same shards while winners are drawn, and an unknown outcome is run again."""

RETRY_PAUSE_SECONDS = 0.05

Say = Callable[[Draw], None]


def show(database: FairdropDatabase, sale_id: str) -> Draw:
    """The lottery's record as it now stands. Raises SaleNotFound or NotALottery."""
    return look(database, sale_id)[0]


def look(database: FairdropDatabase, sale_id: str) -> tuple[Draw, datetime]:
    """The lottery's record, and the database's time at which it is so. Raises SaleNotFound or NotALottery."""
    with snapshot(database) as reads:
        sale, as_of = sale_as_of(reads, sale_id)
        if sale is None:
            raise SaleNotFound(sale_id=sale_id)
        draw = find_draw(reads, sale_id)
    if draw is None:
        raise NotALottery(sale_id=sale_id)
    return draw, as_of


def seal(database: FairdropDatabase, sale_id: str, writer: str) -> Draw:
    """Close the entries of a lottery that is over, for its draw; the record as it then is. Repeating it changes nothing.

    Raises SaleNotFound, NotALottery, SaleStateRefused (it is not over, by the database's clock) or StorageUnavailable.
    """
    _, as_of = look(database, sale_id)
    _run(partial(transact, database, "seal-draw", seal_step, sale_id, as_of, writer))
    return show(database, sale_id)


def draw(database: FairdropDatabase, sale_id: str, writer: str, say: Say = lambda _draw: None) -> Draw:
    """Draw a lottery that is over, to the end; the record as it then is. Drawn already: nothing is done.

    `say` is told the record as it goes on. Raises SaleNotFound, NotALottery, SaleStateRefused, DrawBroken, and StorageUnavailable,
    after which the same call goes on where this one stopped.
    """
    record = seal(database, sale_id, writer)
    if record.is_drawn:
        return record
    say(record)
    _, as_of = look(database, sale_id)
    clock = DatabaseClock()
    clock.observe(as_of)
    with snapshot(database) as reads:
        seed = read_seed(reads, record)
    with Workspace() as workspace:
        entries = EntrySort(workspace, read_entries(database, sale_id, as_of))
        digest = digest_of(entries.by_id())
        begun, _ = _run(partial(transact, database, "begin-draw", begin, sale_id, digest.hex, digest.entries))
        say(begun)
        entries.rank(seed, digest.hex)
        _draw_on(database, clock, begun, entries, writer, say)
    return show(database, sale_id)


def _draw_on(
    database: FairdropDatabase, clock: DatabaseClock, record: Draw, entries: EntrySort, writer: str, say: Say
) -> Draw:
    """Batch by batch from where the record stands, which somebody else may move on, too."""
    while not record.is_drawn:
        with closing(entries.drawn(record, record.done_entries)) as rest:
            is_next = True
            while is_next and not record.is_drawn:
                batch, first = tuple(islice(rest, ENTRIES_PER_STEP)), record.done_entries
                record = _draw_batch(database, clock, record, batch, writer)
                say(record)
                is_next = record.done_entries == first + len(batch)
                if is_next and not (batch or record.is_drawn):
                    raise DrawBroken(record.sale_id, f"{record.entries} entries were sealed, and {first} are there")
    return record


def _draw_batch(
    database: FairdropDatabase, clock: DatabaseClock, record: Draw, batch: tuple[DrawnEntry, ...], writer: str
) -> Draw:
    def once() -> tuple[Draw, datetime]:
        return transact(
            database, "draw", draw_batch, record.sale_id, record.done_entries, batch, clock.estimate, writer
        )

    after, committed = _run(once)
    clock.observe(committed)
    return after


def _run(transaction: Callable[[], tuple[Draw, datetime]]) -> tuple[Draw, datetime]:
    """One transaction, until its outcome is known; each reads under lock what was done before. Raises StorageUnavailable."""
    last = StorageUnavailable("the stock changes too fast", RETRY_AFTER_SECONDS)
    for number in range(TRIES):
        try:
            return transaction()
        except Conflict:
            pass
        except StorageUnavailable as error:
            last = error
        time.sleep(RETRY_PAUSE_SECONDS * (number + 1))
    raise last
