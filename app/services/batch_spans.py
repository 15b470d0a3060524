"""What a batch did, as spans: one that is linked to the traced orders in it, and they to it; under it each read and each commit."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Concatenate, ParamSpec, TypeVar

from google.cloud.spanner_v1.transaction import Transaction
from opentelemetry.trace import Span

from app.domain.placement import NewOrder, Refused, Replayed
from app.domain.timestamps import rfc3339
from app.storage.placement import Placement
from app.tracing.spans import OUTCOME, SALE_ID, Attributes, Traces, failed

Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")

BATCH_SPAN = "place batch"
READ_SPAN = "read and decide"
COMMIT_SPAN = "commit"


class BatchSpans:
    """The spans of one batch; without a traced order in it there are none, and every method does nothing. Of one thread."""

    def __init__(self, traces: Traces, sale_id: str, members: Sequence[Span], orders: int) -> None:
        """The batch begins. `members` are the waits of its traced orders."""
        self._traces = traces
        self._attempts = 0
        self._decided_ns = 0
        self.span: Span | None = None
        if members:
            attributes: Attributes = {SALE_ID: sale_id, "fairdrop.batch.orders": orders}
            self.span = traces.of_many(members, BATCH_SPAN, attributes)

    def timed(
        self, work: Callable[Concatenate[Transaction, Arguments], Result]
    ) -> Callable[Concatenate[Transaction, Arguments], Result]:
        """The transaction's function, whose every run becomes a span; as it is when there are none."""
        if self.span is None:
            return work

        def run(transaction: Transaction, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
            started = time.time_ns()
            self._attempts += 1
            result = work(transaction, *args, **kwargs)
            self._decided_ns = time.time_ns()
            self._traces.ended(self.span, READ_SPAN, started, self._decided_ns)
            return result

        return run

    def committed(self) -> None:
        """The latest run's commit has come back."""
        if self.span is not None:
            self._traces.ended(self.span, COMMIT_SPAN, self._decided_ns, time.time_ns())

    def placed(self, placement: Placement, committed: datetime) -> None:
        """The batch is done: say what became of it, before its orders are told."""
        if self.span is None:
            return
        kinds = Counter(type(outcome) for outcome in placement.decision.outcomes)
        self.span.set_attributes(
            {
                "fairdrop.batch.taken": kinds[NewOrder],
                "fairdrop.batch.refused": kinds[Refused],
                "fairdrop.batch.replayed": kinds[Replayed],
                "fairdrop.batch.attempts": self._attempts,
                "fairdrop.shard.id": placement.view.home.shard_id,
                "fairdrop.committed_at": rfc3339(committed),
            }
        )
        self.span.end()

    def failed(self, error: Exception) -> None:
        """The batch came to nothing, or nobody knows."""
        if self.span is not None:
            self.span.set_attributes({OUTCOME: type(error).__name__, "fairdrop.batch.attempts": self._attempts})
            failed(self.span, type(error).__name__)
            self.span.end()
