"""What of an outbox no relay has published yet: how much, and since when it waits. The same in both services' databases."""

from dataclasses import dataclass
from datetime import datetime

from google.cloud.spanner_v1 import KeySet
from google.cloud.spanner_v1.snapshot import Snapshot

from app.domain.ids import OUTBOX_SHARD_COUNT
from app.storage.outbox import cursors_as_of, range_after

COUNTED_AT_MOST = 1_000
"""A backlog is counted so far and no further: how much more it is changes nothing for who must look into it."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """Events that wait at a database timestamp, counted up to COUNTED_AT_MOST, and when the oldest was committed (None: none
    waits).
    """

    events: int
    oldest_at: datetime | None
    as_of: datetime

    @property
    def oldest_seconds(self) -> float:
        """The age of the oldest; 0 when none waits."""
        return (self.as_of - self.oldest_at).total_seconds() if self.oldest_at is not None else 0.0


def read_backlog(reads: Snapshot) -> Backlog:
    """All shards' events after their cursors. Must be the first read of a snapshot.

    Two reads; of a backlog that is longer than is counted one more a shard, for rows come shard by shard, and the oldest may be
    the last one's.
    """
    cursors, as_of = cursors_as_of(reads, range(OUTBOX_SHARD_COUNT))
    ranges = [range_after(cursor) for cursor in cursors.values()]
    moments = [row[0] for row in reads.read("Outbox", ("CreatedAt",), KeySet(ranges=ranges), limit=COUNTED_AT_MOST)]
    events = len(moments)
    if events == COUNTED_AT_MOST:
        for one in ranges:
            moments += [row[0] for row in reads.read("Outbox", ("CreatedAt",), KeySet(ranges=[one]), limit=1)]
    return Backlog(events, min(moments, default=None), as_of)
