"""The buyers of one process in the order in which they come: when the next one is due, and who it is.

What a buyer will do, and when, is settled before the rush begins, so that the rush has less to do; a request is made when it is
sent, for a million of them would fill the memory.
"""

from array import array
from collections.abc import Iterator
from itertools import islice

from app.rush.buyer import Buyer
from app.rush.http_client import Target
from app.rush.options import RushOptions
from app.rush.order_request import RequestMaker
from app.rush.plan import buyers_of, plan_buyer, poisson_arrivals_ns

NEVER_NS = 2**63


class Crowd:
    """Gives out each buyer of this process once.

    `tokens` holds (customer id, token) of each buyer, in order, and is used up. `next_due_ns` says when the next buyer
    may come (time.monotonic_ns): open arrivals follow their schedule, closed ones are always due, and NEVER_NS means that
    all have come.
    """

    def __init__(self, options: RushOptions, target: Target, process: int, tokens: list[tuple[str, str]]) -> None:
        self._maker = RequestMaker(target, options.sale_id, options.payment_method)
        indexes = buyers_of(process, options.processes, options.buyers)
        self._plans = iter([plan_buyer(options.seed, index, options.shares, options.limit or 1) for index in indexes])
        self._tokens = tokens
        self._tokens.reverse()
        self.size = len(tokens)
        self._schedule: Iterator[int] | None = None
        if options.arrivals == "open" and options.rate_per_second is not None:
            times = poisson_arrivals_ns(options.seed, process, options.rate_per_second / options.processes)
            self._schedule = iter(array("q", islice(times, self.size)))
        self._start_ns = 0
        self.next_due_ns = NEVER_NS

    def begin(self, start_ns: int) -> None:
        """Sets the start of the schedule."""
        self._start_ns = start_ns
        self._advance()

    def newcomer(self) -> tuple[Buyer, int | None]:
        """The next buyer, and when they were due (None with closed arrivals). Only while `next_due_ns` is not NEVER_NS."""
        due_ns = None if self._schedule is None else self.next_due_ns
        plan = next(self._plans)
        customer_id, token = self._tokens.pop()
        self._advance()
        return Buyer(plan, customer_id, self._maker.request(plan, token)), due_ns

    def _advance(self) -> None:
        if not self._tokens:
            self.next_due_ns = NEVER_NS
        elif self._schedule is None:
            self.next_due_ns = self._start_ns
        else:
            self.next_due_ns = self._start_ns + next(self._schedule)
