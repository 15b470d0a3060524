"""The checks of the database, one function each, and the list of all. A new invariant is a new function in the list."""

from collections.abc import Callable
from dataclasses import dataclass

from app.domain.audit import draw, orders, queue, redemptions, stock
from app.domain.audit.findings import Finding, Violation, at, micros
from app.domain.draw import Entry
from app.domain.states import LIVE, Status, Trigger
from app.services.audit import money_checks
from app.services.audit.evidence import Evidence


@dataclass(frozen=True, slots=True)
class Check:
    """One rule: its name, the number of its invariant in docs/design.md (None: of the answers), and how it is judged."""

    name: str
    invariant: int | None
    run: Callable[[Evidence, Finding], None]


def never_oversold(evidence: Evidence, finding: Finding) -> None:
    """The shards against the sale's stock and the orders that hold units."""
    stand, workspace = evidence.stand, evidence.workspace
    shards = {shard.shard_id: shard for shard in stand.shards}
    finding.figures = {
        "stock": stand.sale.stock,
        "allocated": sum(shard.allocated for shard in stand.shards),
        "available": evidence.available,
        "waiting": sum(shard.waiting for shard in stand.shards),
        "orders": _by_status(evidence, "COUNT(*)"),
        "units": _by_status(evidence, "SUM(units)"),
        "shards": {
            str(shard_id): {"allocated": s.allocated, "available": s.available, "waiting": s.waiting}
            for shard_id, s in shards.items()
        },
    }
    finding.take(stock.shard_breaks(stand.sale.stock, stand.sale.shard_count, stand.shards, workspace.usage()))


def _by_status(evidence: Evidence, what: str) -> dict[str, int]:
    return dict(evidence.workspace.rows(f"SELECT status, {what} FROM orders GROUP BY status ORDER BY status"))  # noqa: S608


def ledger_adds_up(evidence: Evidence, finding: Finding) -> None:
    """Every version of every shard against the orders of its commit."""
    workspace = evidence.workspace
    finding.figures = {
        "ledger_rows": workspace.number("SELECT COUNT(*) FROM ledger"),
        "causes": dict(workspace.rows("SELECT cause, COUNT(*) FROM ledger GROUP BY cause ORDER BY cause")),
    }
    newest = {shard.shard_id: shard for shard in evidence.stand.shards}
    lacks = evidence.may_lack_the_oldest
    finding.take(stock.ledger_breaks(workspace.ledger_by_version(), newest, may_lack_the_oldest=lacks))
    finding.take(stock.allocation_breaks(workspace.ledger_by_commit()))
    kept_from = micros(evidence.stand.as_of - stock.LEDGER_KEEPS) if lacks else 0
    finding.take(
        Violation(
            f"shard {shard_id}, commit at {at(committed_at)}",
            f"orders took {held} units and {waiting:+} places in the waitlist, without a ledger row",
        )
        for shard_id, committed_at, held, waiting in workspace.unrecorded_moves(kept_from)
    )


def never_undersold(evidence: Evidence, finding: Finding) -> None:
    """Who waits now, and who waited at any commit, against the stock that was on offer."""
    workspace = evidence.workspace
    finding.figures = {
        "available": evidence.available,
        "waiting_orders": workspace.number("SELECT COUNT(*) FROM orders WHERE status = ?", Status.WAITLISTED),
        "smallest_waiting_units": workspace.number("SELECT MIN(units) FROM orders WHERE status = ?", Status.WAITLISTED),
        "moments": workspace.number("SELECT COUNT(*) FROM moments WHERE committed_at >= ?", evidence.ledger_from),
    }
    waiting = workspace.orders("o.status = ?", "o.placed_at, o.shard_id, o.seq", Status.WAITLISTED)
    finding.take(queue.waits_though_it_fits(evidence.available, waiting))
    finding.take(queue.waited_though_it_fitted(evidence.moments(), workspace.waiting_lines()))


def first_come_first_served(evidence: Evidence, finding: Finding) -> None:
    """Who was sent to the waitlist, and who was taken from it, in the order of the commits."""
    workspace = evidence.workspace
    promotions = (Trigger.PROMOTE, Trigger.PROMOTE_FREE)
    finding.figures = {
        "ever_waitlisted": workspace.number("SELECT COUNT(*) FROM waits"),
        "promoted": workspace.number("SELECT COUNT(*) FROM events WHERE trigger IN (?, ?)", *promotions),
        "judged_from": at(evidence.ledger_from) if evidence.ledger_from else "the beginning",
    }
    finding.take(queue.waitlisted_though_it_fitted(evidence.moments(), workspace.starts()))
    finding.take(queue.passed_over(evidence.moments(), workspace.promotions(promotions), workspace.waiting_lines()))


def drawn_by_the_rule(evidence: Evidence, finding: Finding) -> None:
    """A lottery's places and results against its seed, its entries and its stock."""
    stand, workspace = evidence.stand, evidence.workspace
    placed = workspace.number("SELECT COUNT(*) FROM orders WHERE draw_place IS NOT NULL")
    entered = workspace.number("SELECT COUNT(*) FROM orders WHERE status = ?", Status.ENTERED)
    finding.take(draw.record_breaks(stand.sale, stand.draw, placed, entered))
    finding.figures = {"draw": stand.draw.state if stand.draw else "none", "drawn": placed, "entered": entered}
    in_draw = "(o.draw_place IS NOT NULL OR o.status = ?)"
    finding.take(draw.entered_twice(workspace.orders(in_draw, "o.customer_id, o.order_id", Status.ENTERED)))
    if stand.draw is None:
        return
    entries = (Entry(order.order_id, order.units) for order in workspace.orders(in_draw, "o.order_id", Status.ENTERED))
    finding.take(draw.digest_kept(stand.draw, entries))
    finding.take(draw.places_kept(stand.draw, workspace.orders("o.draw_place IS NOT NULL", "o.draw_place, o.order_id")))
    finding.take(draw.results_kept(stand.sale, workspace.draw_events()))


def one_line_a_request(evidence: Evidence, finding: Finding) -> None:
    """Ids and queue positions are nobody else's."""
    workspace = evidence.workspace
    finding.figures = {
        "orders": workspace.number("SELECT COUNT(*) FROM orders"),
        "customers": workspace.number("SELECT COUNT(DISTINCT customer_id) FROM orders"),
    }
    finding.take(orders.shared_ids(workspace.orders("TRUE", "o.order_id, o.customer_id")))
    finding.take(orders.shared_positions(workspace.orders("TRUE", "o.placed_at, o.shard_id, o.seq")))


def histories_are_whole(evidence: Evidence, finding: Finding) -> None:
    """Each order's row, events and outbox rows say the same, by the table of transitions."""
    workspace, sale_id = evidence.workspace, evidence.stand.sale.sale_id
    finding.figures = {
        "events": workspace.number("SELECT COUNT(*) FROM events"),
        "outbox_rows": workspace.number("SELECT COUNT(*) FROM outbox"),
        "events_by_trigger": dict(workspace.rows("SELECT trigger, COUNT(*) FROM events GROUP BY 1 ORDER BY 1")),
    }
    for history in workspace.histories():
        finding.take(orders.history_breaks(sale_id, history, evidence.outbox_from))
    finding.take(
        Violation(f"outbox row of order {order_id}, event {event_seq}", "there is no such event in this sale")
        for order_id, event_seq in workspace.stray_outbox_rows()
    )


def limit_per_customer(evidence: Evidence, finding: Finding) -> None:
    """The live orders of each customer, waiting ones included."""
    limit, workspace = evidence.stand.sale.limit_per_customer, evidence.workspace
    marks, live = ", ".join("?" * len(LIVE)), sorted(LIVE)
    most = f"SELECT MAX(n) FROM (SELECT SUM(units) AS n FROM orders WHERE status IN ({marks}) GROUP BY customer_id)"  # noqa: S608
    finding.figures = {"limit": limit, "most_units_of_a_customer": workspace.number(most, *live)}
    finding.take(
        orders.over_the_limit(
            limit,
            evidence.terms_changed_at,
            workspace.orders(f"o.status IN ({marks})", "o.customer_id, o.order_id", *live),
        )
    )


def none_before_the_opening(evidence: Evidence, finding: Finding) -> None:
    """The first commit timestamps against the opening."""
    opens_at, workspace = evidence.stand.sale.opens_at, evidence.workspace
    first = workspace.number("SELECT MIN(placed_at) FROM orders")
    finding.figures = {"opens_at": at(micros(opens_at)), "first_order_at": at(first) if first else "never"}
    finding.take(orders.before_the_opening(micros(opens_at), workspace.starts()))


def redeemed_once(evidence: Evidence, finding: Finding) -> None:
    """What was handed over against the orders."""
    workspace = evidence.workspace
    finding.figures = {
        "redemptions": workspace.number("SELECT COUNT(*) FROM redemptions"),
        "redeemed_units": workspace.number("SELECT SUM(units) FROM redemptions"),
    }
    finding.take(redemptions.redemption_breaks(workspace.redemptions()))


CHECKS: tuple[Check, ...] = (
    Check("never oversold", 1, never_oversold),
    Check("the stock ledger adds up", 1, ledger_adds_up),
    Check("never undersold", 2, never_undersold),
    Check("everything is settled", 2, money_checks.everything_is_settled),
    Check("first come, first served", 3, first_come_first_served),
    Check("the draw is by the rule", 3, drawn_by_the_rule),
    Check("one line in the ledger a request", 4, one_line_a_request),
    Check("every history is whole", 4, histories_are_whole),
    Check("the limit per customer", 5, limit_per_customer),
    Check("no order before the opening", 6, none_before_the_opening),
    Check("money follows units", 7, money_checks.money_follows_units),
    Check("the gateway's book agrees", 7, money_checks.book_agrees),
    Check("every event is published", 8, money_checks.every_event_is_published),
    Check("every event has arrived", 8, money_checks.every_event_has_arrived),
    Check("a claim is redeemed once", 9, redeemed_once),
)
"""In the order in which they are reported."""
