"""Where a draw sorts its entries: by id for their digest, by rank for their places. SQLite does it on disk, in bounded memory."""

from collections.abc import Generator, Iterable, Iterator
from itertools import islice
from typing import Any

from app.domain.draw import Allotment, Draw, Entry, Result, rank_of
from app.storage.draw_steps import DrawnEntry
from app.storage.workspace import Workspace


class EntrySort:
    """The entries of one draw, in a workspace."""

    def __init__(self, workspace: Workspace, entries: Iterable[list[Any]]) -> None:
        """Take the entries, (order id, units, customer, shard) each, in whatever order they come."""
        self._workspace = workspace
        workspace.run("CREATE TABLE entries (order_id TEXT, units INT, customer_id TEXT, shard_id INT)")
        workspace.fill("entries", 4, entries)

    def by_id(self) -> Iterator[Entry]:
        """The entries as their digest wants them."""
        return map(Entry._make, self._workspace.rows("SELECT order_id, units FROM entries ORDER BY order_id"))

    def rank(self, seed: bytes, digest: str) -> None:
        """Give every entry its rank and its place."""
        ranked = (
            (rank_of(seed, digest, row[0]), *row)
            for row in self._workspace.rows("SELECT order_id, units, customer_id, shard_id FROM entries")
        )
        self._workspace.run("CREATE TABLE ranked (rank BLOB, order_id TEXT, units INT, customer_id TEXT, shard_id INT)")
        self._workspace.fill("ranked", 5, ranked)
        self._workspace.run(
            "CREATE TABLE placed (place INTEGER PRIMARY KEY, order_id TEXT, units INT, customer_id TEXT, shard_id INT);\n"
            "INSERT INTO placed SELECT ROW_NUMBER() OVER (ORDER BY rank, order_id), order_id, units, customer_id, shard_id "
            "FROM ranked"
        )

    def drawn(self, draw: Draw, first: int) -> Generator[DrawnEntry, None, None]:
        """The ranked entries with their results: winners by place, then those who wait, then the rest; without `first` of them.

        To be closed before the workspace is.
        """
        yield from islice(self._all(draw.stock or 0, draw.waitlist_limit or 0), first, None)

    def _all(self, stock: int, waitlist_limit: int) -> Iterator[DrawnEntry]:
        query = "SELECT place, order_id, units, customer_id, shard_id FROM placed ORDER BY place"
        for wanted in Result:
            allotment = Allotment(stock, waitlist_limit)
            for place, order_id, units, customer_id, shard_id in self._workspace.rows(query):
                if allotment.result(units) is wanted:
                    yield DrawnEntry(place, order_id, units, wanted, customer_id, shard_id)
