"""The loop of one process: sends its buyers' requests over its connections and writes down every attempt.

One thread, one selector. The usual request costs one send, one recv and its share of a select: everything else here is
arranged so that a connection whose answer came takes the next buyer at once.
"""

import heapq
import random
import ssl
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from selectors import BaseSelector, DefaultSelector
from time import monotonic_ns, process_time, sleep

from app.rush.answers import Attempt, answered_line, failed_line, opens_in_seconds
from app.rush.buyer import Errand, next_step
from app.rush.crowd import Crowd
from app.rush.http_client import Connection, ConnectionFailedError, Target
from app.rush.http_parser import Response
from app.rush.options import RushOptions

WAITING_LIMIT = 20_000
"""Buyers of one process who wait to come back (after 503); at this many no new buyer starts, so memory stays bounded."""

TWINS_PER_CONNECTION = 2
"""Connections for the second requests of double buyers, at most. One each is not enough: a connection may take its next
buyer, another double one, while the last one's second request is still under way."""

MANY_CONNECTIONS = 1_000
LOOK_EVERY_SECONDS = 0.001
"""A process with many connections looks at them a thousand times a second at most. Otherwise each answer wakes it, and where the
service is on the same machine the service's send does that work, which behind a network it would not have. Waits may be measured
longer by as much."""

CHECK_EVERY_NS = 200_000_000
"""How often the loop looks for requests out of time, reports its progress and asks whether to go on."""

Control = Callable[[int, int], bool]
"""Told (buyers done, attempts ended); returns whether to go on."""


class Slot(Connection):
    """A connection and the request on it. `is_twin`: for the second requests of double buyers, beside the usual ones."""

    __slots__ = ("errand", "is_twin", "number", "started_ns")

    def __init__(
        self, target: Target, selector: BaseSelector, tls: ssl.SSLContext | None, is_twin: bool = False
    ) -> None:
        super().__init__(target, selector, tls)
        self.errand: Errand | None = None
        self.number = 0
        self.started_ns = 0
        self.is_twin = is_twin


class Driver:
    """Plays the buyers of one process; `write` takes each line of the answers file."""

    def __init__(
        self, options: RushOptions, target: Target, process: int, crowd: Crowd, write: Callable[[bytes], object]
    ) -> None:
        self._target = target
        self._selector = DefaultSelector()
        self._tls = ssl.create_default_context() if target.is_tls else None
        self._crowd = crowd
        self._write = write
        self._tries_limit = options.tries_limit
        self._waits_for_opening = options.waits_for_opening
        self._timeout_ns = int(options.timeout_seconds * 1e9)
        self._jitter = random.Random(f"jitter:{options.seed}:{process}").random  # noqa: S311 - spreads, hides nothing
        self._done = 0
        self._attempts_ended = 0
        self._ready: deque[Errand] = deque()
        # (when, tie-breaker, errand, the connection that is kept for it or None)
        self._timers: list[tuple[int, int, Errand, Slot | None]] = []
        self._timer_numbers = count()
        self._connections = options.connections_of(process)
        self._slots = [Slot(target, self._selector, self._tls) for _ in range(self._connections)]
        self._idle = list(self._slots)
        self._idle_twins: list[Slot] = []

    def run(self, start_ns: int, control: Control) -> tuple[float, float]:
        """Connects, begins at `start_ns` (time.monotonic_ns) and returns when every buyer is done or `control` says no.

        Returns the seconds of CPU and of the clock that it took from the start on.
        """
        try:
            going_on = self._warm_up(start_ns, control)
            began = process_time(), monotonic_ns()
            if going_on:
                self._crowd.begin(start_ns)
                self._loop(control)
            return process_time() - began[0], (monotonic_ns() - began[1]) / 1e9
        finally:
            for slot in self._slots:
                slot.close()
            self._selector.close()

    def _warm_up(self, start_ns: int, control: Control) -> bool:
        """Opens the connections before the start. One that fails is opened again when it is needed, and counted then."""
        for slot in self._idle:
            with suppress(ConnectionFailedError):
                slot.open()
        going_on = True
        while going_on and (left_ns := start_ns - monotonic_ns()) > 0:
            self._serve(min(left_ns, CHECK_EVERY_NS))
            going_on = control(0, 0)
        return going_on

    def _loop(self, control: Control) -> None:
        check_ns = 0
        while self._done < self._crowd.size:
            now_ns = monotonic_ns()
            if now_ns >= check_ns:
                check_ns = now_ns + CHECK_EVERY_NS
                self._give_up_on_the_late(now_ns)
                if not control(self._done, self._attempts_ended):
                    break
            self._release(now_ns)
            self._dispatch(now_ns)
            self._serve(self._patience_ns(check_ns))
        self._write_off_the_open()
        control(self._done, self._attempts_ended)

    def _serve(self, patience_ns: int) -> None:
        if self._connections >= MANY_CONNECTIONS and patience_ns > 0:
            sleep(min(LOOK_EVERY_SECONDS, patience_ns / 1e9))
            patience_ns = 0
        for key, mask in self._selector.select(patience_ns / 1e9):
            slot: Slot = key.data
            try:
                response = slot.on_event(mask)
            except ConnectionFailedError as failure:
                if slot.errand is not None:
                    self._failed(slot, slot.errand, failure.kind)
                continue
            if response is not None:
                self._answered(slot, response)
            elif slot.errand is not None and slot.errand.drop:
                self._hang_up_soon(slot, slot.errand)

    def _patience_ns(self, check_ns: int) -> int:
        until_ns = check_ns
        if self._timers:
            until_ns = min(until_ns, self._timers[0][0])
        if self._idle:
            if self._ready:
                return 0
            if len(self._timers) < WAITING_LIMIT:
                until_ns = min(until_ns, self._crowd.next_due_ns)
        return max(0, until_ns - monotonic_ns())

    # What is sent next

    def _release(self, now_ns: int) -> None:
        """Whoever waited long enough comes back, tries again on the connection kept for it, or hangs up."""
        while self._timers and self._timers[0][0] <= now_ns:
            at_ns, _, errand, slot = heapq.heappop(self._timers)
            if errand.due_ns is not None:
                errand.due_ns = at_ns
            if slot is None:
                self._ready.append(errand)
                continue
            if slot.errand is not None:
                self._hang_up(slot, errand)
            self._start(slot, errand)

    def _dispatch(self, now_ns: int) -> None:
        for _ in range(len(self._idle)):
            errand = self._take(now_ns)
            if errand is None:
                return
            self._start(self._idle.pop(), errand)

    def _take(self, now_ns: int) -> Errand | None:
        if self._ready:
            return self._ready.popleft()
        if self._crowd.next_due_ns > now_ns or len(self._timers) >= WAITING_LIMIT:
            return None
        buyer, due_ns = self._crowd.newcomer()
        if buyer.plan.kind == "double":
            buyer.open_errands = 2
            self._start_twin(Errand(buyer, due_ns))
        return Errand(buyer, due_ns, drop=buyer.plan.kind == "dropped")

    def _start_twin(self, errand: Errand) -> None:
        """Sends it on a connection beside the usual ones; when there are too many of these, it is the next in line."""
        if self._idle_twins:
            self._start(self._idle_twins.pop(), errand)
        elif len(self._slots) < (1 + TWINS_PER_CONNECTION) * self._connections:
            slot = Slot(self._target, self._selector, self._tls, is_twin=True)
            self._slots.append(slot)
            self._start(slot, errand)
        else:
            self._ready.append(errand)

    def _start(self, slot: Slot, errand: Errand) -> None:
        buyer = errand.buyer
        buyer.attempts += 1
        errand.tries += 1
        slot.errand = errand
        slot.number = buyer.attempts
        slot.started_ns = monotonic_ns()
        try:
            slot.send(buyer.request)
        except ConnectionFailedError as failure:
            self._failed(slot, errand, failure.kind)
            return
        if errand.drop:
            self._hang_up_soon(slot, errand)

    # What became of it

    def _attempt(self, slot: Slot, errand: Errand) -> Attempt:
        # A connection that never stood sent nothing: then the moment counts when it should have.
        self._attempts_ended += 1
        return Attempt(errand.buyer, slot.number, errand.due_ns, slot.sent_ns or slot.started_ns)

    def _answered(self, slot: Slot, response: Response) -> None:
        errand = slot.errand
        if errand is None:
            slot.close()  # an answer that nobody asked for
            return
        slot.errand = None
        line, is_usable = answered_line(self._attempt(slot, errand), slot.read_ns, response)
        self._write(line)
        pause_ns = next_step(
            errand,
            response.status if is_usable else None,
            _retry_after(response),
            self._tries_limit,
            self._jitter(),
            opens_in_seconds(response) if self._waits_for_opening else None,
        )
        if pause_ns == 0:
            if errand.due_ns is not None:
                errand.due_ns = slot.read_ns
            self._ready.append(errand)
        elif pause_ns is not None:
            self._wake(slot.read_ns + pause_ns, errand, None)
        else:
            self._settle(errand)
        if slot.is_twin:
            self._idle_twins.append(slot)
        elif (following := self._take(slot.read_ns)) is not None:
            self._start(slot, following)
        else:
            self._idle.append(slot)

    def _failed(self, slot: Slot, errand: Errand, kind: str) -> None:
        """No answer: the buyer keeps the connection and tries again on it, so that an outage does not use up the crowd."""
        self._write(failed_line(self._attempt(slot, errand), kind))
        slot.errand = None
        pause_ns = next_step(errand, None, None, self._tries_limit, self._jitter())
        if pause_ns is not None:
            self._wake(monotonic_ns() + pause_ns, errand, slot)
            return
        self._settle(errand)
        (self._idle_twins if slot.is_twin else self._idle).append(slot)

    def _hang_up_soon(self, slot: Slot, errand: Errand) -> None:
        if slot.is_sent:
            slot.silence()
            self._wake(monotonic_ns() + int(errand.buyer.plan.drop_after_ms * 1e6), errand, slot)

    def _hang_up(self, slot: Slot, errand: Errand) -> None:
        self._write(failed_line(self._attempt(slot, errand), "dropped"))
        errand.drop = False
        slot.errand = None
        slot.close()

    def _wake(self, at_ns: int, errand: Errand, slot: Slot | None) -> None:
        heapq.heappush(self._timers, (at_ns, next(self._timer_numbers), errand, slot))

    def _settle(self, errand: Errand) -> None:
        errand.buyer.open_errands -= 1
        if not errand.buyer.open_errands:
            self._done += 1

    def _give_up_on_the_late(self, now_ns: int) -> None:
        for slot in self._slots:
            errand = slot.errand
            if errand is None or now_ns - slot.started_ns < self._timeout_ns:
                continue
            if errand.drop and slot.is_sent:
                continue  # its hanging up is due anyway
            slot.close()
            self._failed(slot, errand, "timeout")

    def _write_off_the_open(self) -> None:
        for slot in self._slots:
            if slot.errand is not None:
                self._write(failed_line(self._attempt(slot, slot.errand), "interrupted"))


def _retry_after(response: Response) -> float | None:
    text = response.headers.get(b"retry-after", b"")
    return float(text) if text.isdigit() else None
