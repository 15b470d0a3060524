"""Money follows the events, whatever the deliveries are: duplicates, reorderings, lost answers, crashes, stale answers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st
from payments_samples import QUICK, Account, MemoryBooks, ModelGateway, event

from app.domain.errors import StorageUnavailable
from app.messaging.consumer import Done, Retry
from app.messaging.events import Event
from app.payments.payment import Answer
from app.payments.service import PaymentService
from app.payments.states import TRANSITIONS, Operation, State, Wanted

ORDERS = ("a", "b", "c")
KINDS = {"reserved": Wanted.AUTHORIZE, "confirmed": Wanted.CAPTURE, "released": Wanted.VOID}
ONE_TRY = replace(QUICK, tries=1)

DELIVERIES = st.lists(st.tuples(st.sampled_from(ORDERS), st.sampled_from(list(KINDS))), min_size=1, max_size=14)
FATES = st.lists(st.sampled_from(["answered", "answered", "lost", "failed"]), max_size=30)
CRASHES = st.sets(st.integers(0, 20), max_size=5)
CARDS = st.frozensets(st.sampled_from(ORDERS), max_size=2)


@dataclass(frozen=True)
class Course:
    """What happens: messages in batches, what becomes of each gateway call, which commits a worker dies at."""

    deliveries: Sequence[tuple[str, str]]
    batch_size: int
    fates: Sequence[str]
    dies_before: frozenset[int]
    dies_after: frozenset[int]
    bad_cards: frozenset[str]
    bad_captures: frozenset[str]
    stale: Sequence[tuple[str, Operation]]


COURSES = st.builds(
    Course,
    DELIVERIES,
    st.integers(1, 5),
    FATES,
    CRASHES.map(frozenset),
    CRASHES.map(frozenset),
    CARDS,
    CARDS,
    st.lists(st.tuples(st.sampled_from(ORDERS), st.sampled_from(Operation)), max_size=6),
)


class Run:
    """One course, from the first delivery until every message is done."""

    def __init__(self, course: Course) -> None:
        fates = iter(course.fates)
        self.course = course
        self.gateway = ModelGateway(lambda _key: next(fates, "answered"), course.bad_cards, course.bad_captures)
        self.commits = 0
        self.books = MemoryBooks(before=self._before, after=self._after)
        self.first_batch: dict[str, set[str]] = {}
        self._play()

    def _before(self) -> None:
        self.commits += 1
        if self.commits in self.course.dies_before:
            raise StorageUnavailable("died before the commit", 1)

    def _after(self) -> None:
        if self.commits in self.course.dies_after:
            raise StorageUnavailable("died after the commit", 1)

    def _play(self) -> None:
        service = PaymentService(self.books, self.gateway, concurrency=1, patience=ONE_TRY)
        queue: list[Event] = [event(kind, order_id) for order_id, kind in self.course.deliveries]
        stale = list(self.course.stale)
        while queue:
            batch, queue = queue[: self.course.batch_size], queue[self.course.batch_size :]
            try:
                verdicts = service.handle(batch)
            except StorageUnavailable:
                queue = [*queue, *batch]
                continue
            for sent, verdict in zip(batch, verdicts, strict=True):
                assert isinstance(verdict, Done | Retry)
                self.first_batch.setdefault(sent.order_id, {e.type for e in batch if e.order_id == sent.order_id})
                if isinstance(verdict, Retry):
                    queue.append(sent)
            if stale:
                self._repeat_an_answer(*stale.pop())
        service.close()

    def _repeat_an_answer(self, order_id: str, operation: Operation) -> None:
        """What a second worker, which asked long ago with the same key, comes to record only now."""
        outcome = self.gateway._outcomes.get(f"{order_id}:{operation.value}")
        payment = self.books.payments.get(order_id)
        if outcome is None or payment is None or payment.operation is operation:
            return
        before = dict(self.books.payments)
        try:
            self.books.advance({}, {order_id: Answer(operation, outcome)})
        except StorageUnavailable:
            return
        assert self.books.payments == before


@settings(max_examples=300)
@given(COURSES)
def test_money_ends_where_the_furthest_event_wants_it(course: Course) -> None:
    run = Run(course)
    for order_id in {order_id for order_id, _ in course.deliveries}:
        wanted = max(
            (KINDS[kind] for delivered, kind in course.deliveries if delivered == order_id), key=list(Wanted).index
        )
        account = run.gateway.accounts.get(order_id, Account())
        payment = run.books.payments[order_id]
        amount = payment.terms.amount_minor
        held, kept = account.set_aside_minor, account.captured_minor - account.refunded_minor
        assert payment.operation is None
        if order_id in course.bad_cards:
            assert (account.authorizations, held, kept) == (0, 0, 0)
            assert payment.state in (State.DECLINED, State.VOIDED)
        elif wanted is Wanted.AUTHORIZE:
            assert (payment.state, held, kept) == (State.AUTHORIZED, amount, 0)
        elif wanted is Wanted.VOID:
            assert (held, kept) == (0, 0)
            assert payment.state in (State.VOIDED, State.REFUNDED)
            assert (payment.state is State.REFUNDED) == (account.refunded_minor == amount)
        elif order_id in course.bad_captures:
            assert (payment.state, held, kept) == (State.CAPTURE_FAILED, amount, 0)
        else:
            assert (payment.state, held, kept, account.captures) == (State.CAPTURED, 0, amount, 1)


@settings(max_examples=200)
@given(COURSES)
def test_no_order_is_authorized_or_captured_twice(course: Course) -> None:
    for account in Run(course).gateway.accounts.values():
        assert account.authorizations <= 1
        assert account.captures <= 1


# A batch that a worker died of is not the first that was recorded, so here none dies.
@settings(max_examples=200)
@given(COURSES.map(lambda course: replace(course, dies_before=frozenset(), dies_after=frozenset())))
def test_an_order_whose_release_is_known_first_is_never_heard_of_by_the_gateway(course: Course) -> None:
    run = Run(course)
    for order_id, types in run.first_batch.items():
        if "order.released" in types:
            assert order_id not in run.gateway.accounts


@settings(max_examples=200)
@given(COURSES)
def test_the_events_of_a_payment_tell_its_way_through_the_table_without_a_gap_or_a_repeat(course: Course) -> None:
    run = Run(course)
    events = {outcome.event for outcome in TRANSITIONS.values()}
    for order_id, payment in run.books.payments.items():
        told = run.books.events.get(order_id, [])
        assert [e.event_seq for e in told] == list(range(1, payment.event_seq + 1))
        assert {e.event_type for e in told} <= events
        assert len({e.event_type for e in told}) == len(told)
        last = {outcome.event for outcome in TRANSITIONS.values() if outcome.state is payment.state}
        assert told[-1].event_type in last
