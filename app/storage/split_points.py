"""Pre-splitting for a sale: where Spanner should part its tables before the crowd comes, and asking it to.

Spanner splits a range by load, which takes minutes that a flash sale has not. Rows of one sale lie together wherever the key
begins with the sale, so those ranges are parted between stock shards, and the outbox between its shards. Orders begin with
the customer, so that range is parted by customer ids: evenly over an alphabet, or evenly over a sample of real ids.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import islice
from typing import Any

from google.api_core import exceptions as google_errors
from google.cloud.spanner_admin_database_v1 import AddSplitPointsRequest, SplitPoints
from google.protobuf.struct_pb2 import ListValue, Value
from google.protobuf.timestamp_pb2 import Timestamp

from app.domain.ids import OUTBOX_SHARD_COUNT
from app.domain.sale import Sale
from app.storage.database import FairdropDatabase
from app.storage.schema_errors import SchemaError, SpannerRefused

MAX_POINTS = 100
"""For each table and index. Google advises ten for each node of the instance, over all."""

POINTS_A_REQUEST = 100
"""Spanner's limit."""

LONGEST_LIFE = timedelta(days=30)
"""Spanner's limit."""

KEPT_AFTER_SALE = timedelta(days=1)
"""The waitlist, payments and captures go on after the closing."""

MARGIN = timedelta(minutes=5)
"""Our clock and Spanner's may differ when the longest life is asked for."""

CALL_TIMEOUT_SECONDS = 60.0
EARLIEST = "0001-01-01T00:00:00Z"


class Alphabet(StrEnum):
    """What customer ids are spelt with: `base62` as Identity Platform's, `hex` as UUIDs."""

    BASE62 = "base62"
    HEX = "hex"


_LETTERS = {
    Alphabet.BASE62: "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
    Alphabet.HEX: "0123456789abcdef",
}
"""In the order in which Spanner sorts them."""


@dataclass(frozen=True, slots=True)
class Split:
    """One split point: a whole key of a table, or of an index of it, before which a range begins."""

    table: str
    index: str | None
    key: tuple[str, ...]


class SplitPointsUnsupported(SchemaError):
    """The server has no split points: the emulator, which has one range for everything."""


class SplitTooEarly(SchemaError):
    """The split points would be gone before the sale opens."""

    def __str__(self) -> str:
        return f"split points last {LONGEST_LIFE.days} days at most, and the sale opens later: come back then"


def even_prefixes(alphabet: Alphabet, count: int) -> list[str]:
    """`count` two-letter prefixes that part ids spelt evenly with the alphabet into `count + 1` equal ranges."""
    letters = _LETTERS[alphabet]
    pairs = len(letters) ** 2
    places = (pairs * number // (count + 1) for number in range(1, count + 1))
    return [letters[place // len(letters)] + letters[place % len(letters)] for place in places]


def sampled_prefixes(customer_ids: Iterable[str], count: int) -> list[str]:
    """At most `count` ids that part the sample into equal ranges, in Spanner's order (that of the UTF-8 bytes)."""
    ids = sorted(set(customer_ids), key=lambda name: name.encode())
    places = {len(ids) * number // (count + 1) for number in range(1, count + 1)}
    return [ids[place] for place in sorted(places - {0})]


def plan(sale: Sale, customer_prefixes: Sequence[str], points: int) -> list[Split]:
    """Split points for a sale: at most `points` a table and index, and one for each customer prefix."""
    shards = [str(shard) for shard in _steps(sale.shard_count, points)]
    outbox = [str(shard) for shard in _steps(OUTBOX_SHARD_COUNT, points)]
    no_order = "00000000-0000-0000-0000-000000000000"
    return [
        *(Split("Orders", None, (prefix, "", "")) for prefix in customer_prefixes),
        *(Split("StockShards", None, (sale.sale_id, shard)) for shard in shards),
        *(Split("StockLedger", None, (sale.sale_id, shard, "0")) for shard in shards),
        *(Split("Orders", "OrdersByPlacedAt", (sale.sale_id, shard, EARLIEST, "0")) for shard in shards),
        *(Split("Orders", "OrdersByWaitlistedAt", (sale.sale_id, shard, EARLIEST, "0")) for shard in shards),
        *(Split("Orders", "OrdersByWaitingUnits", (sale.sale_id, shard, "0", "0", EARLIEST, "0")) for shard in shards),
        *(Split("Orders", "OrdersByDueAt", (sale.sale_id, shard, EARLIEST)) for shard in shards),
        *(Split("Outbox", None, (shard, EARLIEST, no_order, "0")) for shard in outbox),
    ]


def _steps(count: int, points: int) -> list[int]:
    """At most `points` of 0 to `count - 1`, evenly spread; 0 parts this sale's rows from the sale before it."""
    wanted = min(count, points)
    return [count * step // wanted for step in range(wanted)]


def expiry(sale: Sale, now: datetime) -> datetime:
    """When the split points may go: a day after the sale, or as late as Spanner allows. Raises SplitTooEarly."""
    latest = now + LONGEST_LIFE - MARGIN
    if sale.opens_at >= latest:
        raise SplitTooEarly
    return min(sale.closes_at + KEPT_AFTER_SALE, latest)


def add(database: FairdropDatabase, splits: Sequence[Split], expires_at: datetime, initiator: str) -> None:
    """Ask Spanner for the split points; those that are there get the new expiry. Raises SplitPointsUnsupported or
    SpannerRefused; then those of earlier requests (of POINTS_A_REQUEST each) may have been added, and a rerun is safe.
    """
    handle: Any = database
    admin = handle._instance._client.database_admin_api
    expire_time = Timestamp()
    expire_time.FromDatetime(expires_at)
    for some in _parts(splits):
        request = AddSplitPointsRequest(
            database=handle.name,
            split_points=[
                SplitPoints(table=split.table, index=split.index or "", keys=[_key(split)], expire_time=expire_time)
                for split in some
            ],
            initiator=initiator,
        )
        try:
            admin.add_split_points(request=request, timeout=CALL_TIMEOUT_SECONDS)
        except google_errors.MethodNotImplemented as error:
            raise SplitPointsUnsupported from error
        except google_errors.GoogleAPICallError as error:
            raise SpannerRefused(error.message) from error


def _parts(splits: Sequence[Split]) -> Iterator[list[Split]]:
    rest = iter(splits)
    while some := list(islice(rest, POINTS_A_REQUEST)):
        yield some


def _key(split: Split) -> SplitPoints.Key:
    return SplitPoints.Key(key_parts=ListValue(values=[Value(string_value=part) for part in split.key]))
