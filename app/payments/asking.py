"""Asking a gateway: many payments at once, each again with the same key until there is an answer, all within bounds."""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from opentelemetry.trace import SpanKind

from app.payments.gateways import Gateway, Outcome, Request, Unknown
from app.payments.payment import Payment
from app.payments.states import Operation
from app.tracing.spans import NO_TRACES, NOT_TRACED, ORDER_ID, OUTCOME, Traces, ending, failed

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to keep asking. After `tries`, or past `budget_seconds` for a batch, the outcome stays unknown for now.

    The budget and one call's time-out together stay below the 60 s in which Pub/Sub waits for an acknowledgement.
    """

    tries: int = 4
    first_wait_seconds: float = 0.1
    longest_wait_seconds: float = 2.0
    budget_seconds: float = 35.0


def idempotency_key(order_id: str, operation: Operation) -> str:
    """The key under which a gateway knows this operation: the same from every process and for every try."""
    return f"{order_id}:{operation.value}"


class Asker:
    """Asks one gateway with a bounded number of calls at once. Thread-safe."""

    def __init__(
        self, gateway: Gateway, concurrency: int, patience: Patience, stop: threading.Event, traces: Traces = NO_TRACES
    ) -> None:
        """No call is made yet. Once `stop` is set, calls in flight end and no new one begins."""
        self._calls: Mapping[Operation, Callable[[Request, str], Outcome]] = {
            Operation.AUTHORIZE: gateway.authorize,
            Operation.CAPTURE: gateway.capture,
            Operation.VOID: gateway.void,
            Operation.REFUND: gateway.refund,
        }
        self._patience = patience
        self._stop = stop
        self._traces = traces
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="gateway")

    def close(self) -> None:
        """Wait for the calls in flight."""
        self._pool.shutdown()

    def deadline(self) -> float:
        """When a batch that begins now must have its answers, by the monotonic clock."""
        return time.monotonic() + self._patience.budget_seconds

    def ask(
        self, payments: Iterable[Payment], now: datetime, deadline: float, traceparents: Mapping[str, str] = NOT_TRACED
    ) -> dict[str, tuple[Operation, Outcome]]:
        """What the gateway says to the operation in progress of each payment, by order id. `now` is the database's time;
        `traceparents` name the spans that ask, of traced orders.
        """
        jobs = [(p.operation, p.request(now)) for p in payments if p.operation is not None]
        outcomes = self._pool.map(
            lambda job: self._ask_traced(job[0], job[1], deadline, traceparents.get(job[1].order_id)), jobs
        )
        return {
            request.order_id: (operation, outcome) for (operation, request), outcome in zip(jobs, outcomes, strict=True)
        }

    def _ask_traced(self, operation: Operation, request: Request, deadline: float, traceparent: str | None) -> Outcome:
        attributes = {ORDER_ID: request.order_id}
        span = self._traces.after(traceparent, f"gateway {operation.value.lower()}", SpanKind.CLIENT, attributes)
        with ending(span):
            outcome = self._ask_until_known(operation, request, deadline)
            if span is not None:
                span.set_attribute(OUTCOME, type(outcome).__name__)
                if isinstance(outcome, Unknown):
                    failed(span, Unknown.__name__)
        return outcome

    def _ask_until_known(self, operation: Operation, request: Request, deadline: float) -> Outcome:
        key = idempotency_key(request.order_id, operation)
        outcome: Outcome = Unknown("was not asked: out of time")
        wait_seconds = self._patience.first_wait_seconds
        for attempt in range(self._patience.tries):
            if attempt:
                self._stop.wait(random.uniform(0.5, 1.5) * wait_seconds)  # noqa: S311  # jitter is no secret
                wait_seconds = min(2 * wait_seconds, self._patience.longest_wait_seconds)
            if self._stop.is_set() or time.monotonic() > deadline:
                break
            outcome = self._ask_once(operation, request, key)
            if not isinstance(outcome, Unknown):
                return outcome
            log.info("gateway: %s has no known outcome yet: %s", key, outcome)
        return outcome

    def _ask_once(self, operation: Operation, request: Request, key: str) -> Outcome:
        try:
            return self._calls[operation](request, key)
        except Exception:  # a fault of one gateway module must not fail the neighbours, and is no answer
            log.exception("gateway: %s failed in our own code", key)
            return Unknown("failed in our own code")
