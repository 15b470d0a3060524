"""One process's leases of a group of slots: renewed in good time, and not believed in for longer than they last."""

import logging
import os
import socket
import time
import uuid
from collections.abc import Sequence
from datetime import timedelta

from app.storage.clock import DatabaseClock
from app.storage.database import Conflict, FairdropDatabase, transact
from app.storage.leases import give_up, renew

log = logging.getLogger(__name__)

RENEWALS_PER_LEASE = 3
"""Two renewals may fail before a lease runs out."""


def holder_name() -> str:
    """A name for this process that no other has, today or after a restart with the same pid."""
    return f"{socket.gethostname()[:40]}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


class LeaseKeeper:
    """Keeps a fair share of the slots of a group. Not thread-safe: one loop owns it."""

    def __init__(
        self,
        database: FairdropDatabase,
        clock: DatabaseClock,
        group: str,
        slots: Sequence[str],
        lease_seconds: float,
        holder: str | None = None,
    ) -> None:
        """Hold nothing yet. The clock must have seen a timestamp before the first `keep`."""
        self.holder = holder or holder_name()
        self.group = group
        self._database = database
        self._clock = clock
        self._slots = list(slots)
        self._lease_seconds = lease_seconds
        self._held: frozenset[str] = frozenset()
        self._renew_at = 0.0
        self._good_until = 0.0

    def keep(self) -> frozenset[str]:
        """The slots that are mine now; renews them when it is time. Raises StorageUnavailable when it cannot for too long."""
        now = time.monotonic()
        if now >= self._renew_at:
            self._renew(now)
        return self._held if time.monotonic() < self._good_until else frozenset()

    def _renew(self, now: float) -> None:
        lease = timedelta(seconds=self._lease_seconds)
        try:
            division, committed = transact(
                self._database,
                "renew-leases",
                renew,
                self.group,
                self._slots,
                self.holder,
                self._clock.estimate,
                lease,
            )
        except Conflict:
            return
        self._clock.observe(committed)
        if division.held != self._held:
            log.info("%s: %d of %d slots are mine", self.group, len(division.held), len(self._slots))
        self._held = division.held
        self._renew_at = now + self._lease_seconds / RENEWALS_PER_LEASE
        self._good_until = now + self._lease_seconds

    def lost(self) -> None:
        """Somebody else holds what this process believed in: ask again at once."""
        self._held = frozenset()
        self._renew_at = 0.0

    def give_up(self) -> None:
        """Let others take over at once. Raises StorageUnavailable."""
        self._held = frozenset()
        transact(self._database, "give-up-leases", give_up, self.group, self.holder, self._clock.estimate)
