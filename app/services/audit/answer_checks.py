"""The checks of a rush's answers against the database, one function each, and the list of all."""

from app.domain.audit import answers as rules
from app.domain.audit.findings import Finding
from app.services.audit.checks import Check
from app.services.audit.evidence import Evidence
from app.storage.answers import Answers

_NEVER = (2**62, 2**62)
"""The span of a rush that took no order: later than any order there is."""


def _of(evidence: Evidence) -> Answers:
    if evidence.answers is None:
        raise AssertionError("a check of the answers runs with answers only")
    return evidence.answers


def confirmed_orders_are_stored(evidence: Evidence, finding: Finding) -> None:
    """Every 200 and 201 against the order stored under its key."""
    answers = _of(evidence)
    finding.figures = {"answers": answers.by_kind()}
    finding.take(rules.confirmation_breaks(answers.confirmations(), evidence.snapshot_at))
    finding.take(rules.taken_twice(answers.takings()))
    finding.take(rules.denied(answers.forgotten(), "after it had been confirmed"))


def stored_orders_were_asked_for(evidence: Evidence, finding: Finding) -> None:
    """Every order of the rush's buyers against their attempts."""
    answers, workspace = _of(evidence), evidence.workspace
    first_at, last_at = answers.rush_span or _NEVER
    finding.figures = {
        "orders_during_the_rush": workspace.number(
            "SELECT COUNT(*) FROM orders WHERE placed_at BETWEEN ? AND ?", first_at, last_at
        ),
        "orders_before_the_rush": workspace.number("SELECT COUNT(*) FROM orders WHERE placed_at < ?", first_at),
        "requests": workspace.number("SELECT COUNT(*) FROM asked"),
    }
    finding.take(rules.unasked(answers.unasked(first_at, last_at)))
    finding.take(rules.denied(answers.denied(), "each time, and is stored"))


def line_agrees_with_real_time(evidence: Evidence, finding: Finding) -> None:
    """Queue positions against the moments of sending and answering."""
    answers, workspace = _of(evidence), evidence.workspace
    confirmed = workspace.number("SELECT COUNT(confirmed_ns) FROM asked")
    finding.figures = {"confirmed_orders": confirmed}
    finding.take(rules.out_of_line(answers.sendings((answers.rush_span or _NEVER)[0]), answers.confirmed()))


def nobody_was_refused_wrongly(evidence: Evidence, finding: Finding) -> None:
    """Refusals against the stock, the waitlist, the limit and the opening of their time."""
    answers, workspace, sale = _of(evidence), evidence.workspace, evidence.stand.sale
    kinds = "SELECT problem, COUNT(*) FROM attempts WHERE problem IS NOT NULL GROUP BY problem ORDER BY problem"
    finding.figures = {
        "refusals": dict(workspace.rows(kinds)),
        "oldest_memory_ms": next(workspace.rows("SELECT MAX(age_ms) FROM attempts WHERE problem = 'sold-out'"))[0],
    }
    finding.take(
        rules.sold_out_breaks(
            answers.sold_out(evidence.ledger_from),
            answers.confirmed(),
            sale.waitlist_limit,
            evidence.terms_changed_at,
            evidence.snapshot_at,
        )
    )
    finding.take(rules.refused_though_open(answers.not_open(), answers.first_confirmed_ns))
    finding.take(rules.refused_within_the_limit(answers.over_limit(), sale.limit_per_customer))


ANSWER_CHECKS: tuple[Check, ...] = (
    Check("every confirmed order is stored", None, confirmed_orders_are_stored),
    Check("every stored order was asked for", None, stored_orders_were_asked_for),
    Check("the line agrees with real time", None, line_agrees_with_real_time),
    Check("nobody was refused wrongly", None, nobody_was_refused_wrongly),
)
"""In the order in which they are reported."""
