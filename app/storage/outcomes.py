"""What has changed among orders: reading the log of all changes from a time on, and many orders at once."""

from collections.abc import Iterable
from datetime import datetime

from google.cloud.spanner_v1 import KeyRange, KeySet

from app.domain.orders import Order
from app.storage.database import FairdropDatabase, read_timestamp, snapshot
from app.storage.orders import ORDER_COLUMNS, order_of_row
from app.storage.rows import PrefixKeys, text


def changes_since(
    database: FairdropDatabase, outbox_shards: Iterable[int], after: datetime, at_most: int
) -> tuple[list[tuple[str, int]], datetime]:
    """(order id, event) of up to `at_most` changes after a time, in these shards of the log, and up to when these are all.

    One strong read. Go on from the time it returns: whatever was committed before it is in this read, and whatever is committed
    from now on has a later one, so nothing is skipped. With `at_most` changes there may be more, and only asking otherwise helps.
    """
    ranges = [KeyRange(start_open=[shard, after], end_closed=[shard]) for shard in outbox_shards]
    with snapshot(database) as reads:
        result = reads.read("Outbox", ("OrderId", "EventSeq"), KeySet(ranges=ranges), limit=at_most)
        changes = [(order_id, event_seq) for order_id, event_seq in result]
        return changes, read_timestamp(result)


def orders_by_key(
    database: FairdropDatabase, keys: Iterable[tuple[str, str, str]]
) -> tuple[dict[tuple[str, str, str], Order], datetime]:
    """The orders that there are among (customer, sale, order) ids, by these, and the database's time at which they are so.

    One strong read.
    """
    with snapshot(database) as reads:
        result = reads.read("Orders", ORDER_COLUMNS, PrefixKeys([text(part) for part in key] for key in keys))
        orders = [order_of_row(row) for row in result]
        return {(o.customer_id, o.sale_id, o.order_id): o for o in orders}, read_timestamp(result)
