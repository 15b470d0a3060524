"""A lottery's record and its seed."""

from typing import Any

from google.cloud.spanner_v1 import COMMIT_TIMESTAMP, KeySet
from google.cloud.spanner_v1.transaction import Transaction

from app.domain.draw import Draw, DrawBroken, DrawState, commitment_of

_COLUMNS = (
    "SaleId",
    "State",
    "Commitment",
    "SealedAt",
    "Stock",
    "WaitlistLimit",
    "Digest",
    "Entries",
    "DoneEntries",
    "WonOrders",
    "WonUnits",
    "Seed",
    "DrawnAt",
)
"""In the order of Draw's fields."""


def insert_draw(transaction: Transaction, sale_id: str, seed: bytes) -> None:
    """Commit a new lottery to its seed."""
    columns = ("SaleId", "State", "Commitment", "CreatedAt", "DoneEntries", "WonOrders", "WonUnits")
    row = [sale_id, DrawState.COMMITTED.value, commitment_of(seed), COMMIT_TIMESTAMP, 0, 0, 0]
    transaction.insert("Draws", columns, [row])
    transaction.insert("DrawSeeds", ("SaleId", "Seed"), [[sale_id, seed.hex()]])


def find_draw(reads: Any, sale_id: str) -> Draw | None:
    """The lottery's record, or None; `reads` is a transaction or a snapshot. One read."""
    rows = list(reads.read("Draws", _COLUMNS, KeySet(keys=[[sale_id]])))
    if not rows:
        return None
    name, state, *rest = rows[0]
    return Draw(name, DrawState(state), *rest)


def is_drawn(reads: Any, sale_id: str) -> bool:
    """Whether the lottery's draw has come to its end. One read."""
    draw = find_draw(reads, sale_id)
    return draw is not None and draw.is_drawn


def write_draw(transaction: Transaction, sale_id: str, **columns: Any) -> None:
    """Change columns of the record."""
    transaction.update("Draws", ("SaleId", *columns), [[sale_id, *columns.values()]])


def read_seed(reads: Any, draw: Draw) -> bytes:
    """The seed, which must be the one that the lottery committed itself to. Raises DrawBroken."""
    rows = list(reads.read("DrawSeeds", ("Seed",), KeySet(keys=[[draw.sale_id]])))
    if not rows:
        raise DrawBroken(draw.sale_id, "its seed is gone")
    seed = bytes.fromhex(rows[0][0])
    if commitment_of(seed) != draw.commitment:
        raise DrawBroken(draw.sale_id, "its seed is not the one that was committed to")
    return seed
