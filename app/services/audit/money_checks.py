"""The checks of the money and of the events, one function each, for the list in `app/services/audit/checks.py`."""

from collections.abc import Mapping

from app.domain.audit import delivery, settled
from app.domain.audit.book import BookJudge
from app.domain.audit.delivery import ArrivalJudge
from app.domain.audit.findings import Finding, Violation, at
from app.domain.audit.payments import PaymentJudge
from app.domain.sale import Phase
from app.domain.states import Status
from app.payments.order_events import WANTED_BY
from app.payments.states import TRANSITIONS, State, Wanted
from app.services.audit.evidence import Evidence
from app.services.audit.money import STANDINGS
from app.services.payment_events import TRIGGERS

NOT_DEMANDED = "the sale was not said to be settled"

_RANKS = {wanted.value: rank for rank, wanted in enumerate(Wanted)}
_ASKS = {event_type: _RANKS[wanted] for event_type, wanted in WANTED_BY.items()}
_TRIGGERS = {event_type: trigger.value for event_type, trigger in TRIGGERS.items() if trigger is not None}


def _event_of() -> Mapping[str, str | None]:
    """The event that tells of each state in which a payment rests."""
    told = {outcome.state: outcome.event for outcome in TRANSITIONS.values() if outcome.event is not None}
    return {state.value: told.get(state) for state in State}


def everything_is_settled(evidence: Evidence, finding: Finding) -> None:
    """Once all is over: who still waits for something, and who waited in vain for what is left."""
    stand, workspace = evidence.stand, evidence.workspace
    if not evidence.is_settled:
        finding.not_compared = NOT_DEMANDED
        return
    placed = workspace.number("SELECT SUM(units) FROM orders WHERE status = ?", Status.PLACED)
    finding.figures = {"stock": stand.sale.stock, "placed_units": placed, "units_left": evidence.available}
    is_over = stand.sale.phase(stand.as_of) is Phase.CLOSED
    waits = (Status.PENDING, Status.AUTHORIZED, Status.WAITLISTED, Status.ENTERED)
    left = workspace.orders("o.status IN (?, ?, ?, ?)", "o.placed_at, o.shard_id, o.seq", *waits)
    finding.take(settled.not_ended(left, is_over=is_over))
    # Whom a draw put behind the waitlist never waited, as nobody does whom a full waitlist turns away.
    waited = "EXISTS (SELECT 1 FROM waits w WHERE w.customer_id = o.customer_id AND w.order_id = o.order_id)"
    lapsed = workspace.orders(f"o.status = ? AND {waited}", "o.placed_at, o.shard_id, o.seq", Status.LAPSED)
    finding.take(settled.lapsed_beside_stock(evidence.available, lapsed))


def money_follows_units(evidence: Evidence, finding: Finding) -> None:
    """Each order against its payment."""
    money = evidence.money
    if money is None:
        finding.not_compared = evidence.no_money
        return
    judge = PaymentJudge(STANDINGS, evidence.patience)
    for account in money.rows.accounts():
        finding.take(judge.breaks(account))
    finding.figures = {
        "currency": evidence.stand.sale.currency,
        "placed_minor": judge.placed_minor,
        "captured_minor": judge.captured_minor,
        "payments_read_at": at(money.payments_at),
        "payments": money.rows.by_state(),
        "in_flight": dict(judge.in_flight),
    }


def book_agrees(evidence: Evidence, finding: Finding) -> None:
    """Each payment against what the gateway itself says it holds, and the sum."""
    money = evidence.money
    if money is None or money.no_book is not None:
        finding.not_compared = evidence.no_money if money is None else money.no_book
        return
    sale = evidence.stand.sale
    judge = BookJudge(STANDINGS, evidence.patience, sale.sale_id)
    for account in money.rows.accounts():
        finding.take(judge.breaks(account))
    finding.take(judge.total_breaks(sale.currency))
    finding.figures = {
        "currency": sale.currency,
        "authorizations": judge.entries,
        "placed_minor": judge.placed_minor,
        "captured_in_the_book_minor": judge.captured_minor,
        "of_it_in_flight_minor": judge.under_way_minor,
    }


def every_event_is_published(evidence: Evidence, finding: Finding) -> None:
    """Both logs against their cursors; and that each payment's log is whole (an order's is part of its history)."""
    counts, money = evidence.logs.counts(), evidence.money
    for log in ("order", "payment") if money is not None else ("order",):
        finding.figures[f"{log}_events_published"] = counts.get((log, True), 0)
        finding.figures[f"{log}_events_not_yet_published"] = counts.get((log, False), 0)
    oldest = evidence.stand.oldest_at
    finding.take(
        delivery.cursor_breaks("order", evidence.stand.log, may_lack_the_oldest=evidence.may_lack_rows(oldest))
    )
    if money is not None:
        lacks = evidence.may_lack_rows(money.oldest_at)
        finding.take(delivery.cursor_breaks("payment", money.log, may_lack_the_oldest=lacks))
        finding.take(delivery.payment_log_breaks(money.rows.payment_logs(), _event_of(), evidence.outbox_from))
        finding.take(Violation(row.name, "there is no such payment in this sale") for row in money.rows.strange_rows())
    if evidence.is_settled:
        finding.take(delivery.unpublished(evidence.logs.unpublished()))


def every_event_has_arrived(evidence: Evidence, finding: Finding) -> None:
    """What each service published against what the other one did of it."""
    money = evidence.money
    if money is None:
        finding.not_compared = evidence.no_money
        return
    judge = ArrivalJudge(evidence.patience)
    finding.take(judge.at_payments(money.rows.asked(_ASKS, _RANKS)))
    finding.take(judge.at_orders(money.rows.outcomes(_TRIGGERS)))
    finding.figures = {"arrived": judge.arrived, "in_flight": dict(judge.in_flight)}
