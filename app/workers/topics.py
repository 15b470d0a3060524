"""The topics before anything else: made once for all the loops of a worker, by whichever step comes first."""

import threading
from collections.abc import Callable

from app.messaging.topics import ensure_topics

Step = Callable[[], int]


class TopicsFirst:
    """What a worker's loops share. Thread-safe; a step that finds no broker raises, and the next tries again."""

    def __init__(self, project: str) -> None:
        """No call is made yet."""
        self._project = project
        self._lock = threading.Lock()
        self._are_there = False

    def before(self, step: Step) -> Step:
        """The step, after the topics. Raises BrokerUnavailable besides what the step raises."""

        def topics_then_step() -> int:
            if not self._are_there:
                self._make()
            return step()

        return topics_then_step

    def _make(self) -> None:
        with self._lock:
            if not self._are_there:
                ensure_topics(self._project)
                self._are_there = True
