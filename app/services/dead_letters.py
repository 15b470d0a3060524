"""Dead letters as the console shows them: how many there are of each topic, and the newest. They are left where they are.

Looking takes seconds, for an empty subscription is only known to be empty after a wait; so what one has seen serves all for a
while.
"""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from google.auth.exceptions import GoogleAuthError

from app.messaging.broker import BrokerUnavailable
from app.messaging.dead_letters import DeadLetter, read_dead_letters
from app.messaging.topics import ROUTES, Route, ensure_topics

COUNTED_AT_MOST = 100
"""Of a topic. One needs a person; how many more than a hundred there are changes nothing."""

NEWEST = 5
GOOD_FOR_SECONDS = 15.0

AWAITED_SECONDS = 10.0
"""For somebody else's look: while Pub/Sub is away, sellers must not queue up in the threads that buyers' requests need."""


@dataclass(frozen=True, slots=True)
class TopicLetters:
    """The dead letters of a topic, counted up to COUNTED_AT_MOST; the newest first."""

    topic: str
    count: int
    newest: Sequence[DeadLetter]


@dataclass(frozen=True, slots=True)
class LettersSeen:
    """Those of every topic, and when the look began, by this server's clock."""

    looked_at: datetime
    topics: Sequence[TopicLetters]


class DeadLetterBox:
    """One process's looks at the dead letters. Thread-safe."""

    def __init__(self, project: str) -> None:
        """No call is made yet."""
        self._project = project
        self._lock = threading.Lock()
        self._seen: tuple[float, LettersSeen] | None = None

    def look(self) -> LettersSeen:
        """Those that there are, or were GOOD_FOR_SECONDS ago; blocks for some seconds. Raises BrokerUnavailable."""
        if not self._lock.acquire(timeout=AWAITED_SECONDS):
            raise BrokerUnavailable("Pub/Sub: somebody else's look has not ended")
        try:
            return self._look()
        finally:
            self._lock.release()

    def _look(self) -> LettersSeen:
        now = time.monotonic()
        if self._seen is not None and now - self._seen[0] < GOOD_FOR_SECONDS:
            return self._seen[1]
        looked_at = datetime.now(UTC)
        try:
            ensure_topics(self._project)
            with ThreadPoolExecutor(len(ROUTES), "dead letters") as looks:
                seen = LettersSeen(looked_at, tuple(looks.map(self._look_at, ROUTES)))
        except GoogleAuthError as error:
            raise BrokerUnavailable(f"Pub/Sub: {error}") from error
        self._seen = (now, seen)
        return seen

    def _look_at(self, route: Route) -> TopicLetters:
        letters = list(read_dead_letters(self._project, route, COUNTED_AT_MOST, take=False))
        newest = sorted(letters, key=_age, reverse=True)[:NEWEST]
        return TopicLetters(route.topic, len(letters), newest)


def _age(letter: DeadLetter) -> tuple[datetime, int, str]:
    """Of those of one millisecond the emulator's numbers say which is newer; anywhere else they keep the order the same."""
    return letter.published_at, len(letter.message_id), letter.message_id
