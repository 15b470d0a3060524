"""Whether the process can take orders."""

from app.storage.database import FairdropDatabase, snapshot
from app.storage.sales import list_sales


def check_database(database: FairdropDatabase) -> None:
    """One read of the schema's tables; raises StorageUnavailable when the database does not answer or lacks them."""
    with snapshot(database) as reads:
        list_sales(reads, after="", page_size=1)
