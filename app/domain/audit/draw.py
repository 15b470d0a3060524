"""The lottery: the draw that is stored is the one that its seed, its entries and its stock make."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from app.domain.audit.findings import Violation, order_name
from app.domain.audit.rows import StoredOrder
from app.domain.draw import Draw, Drawn, DrawState, Entry, Result, draw_step
from app.domain.draw_record import RecordHead, digest_breaks, drawn_breaks, head_breaks
from app.domain.sale import Sale

RECORD = "the draw's record"

_RESULTS = {result.value: result for result in Result}


class DrawEvent(NamedTuple):
    """An order that has a place, and what its second event says; None when there is none."""

    customer_id: str
    order_id: str
    draw_result: str | None
    trigger: str | None


def record_breaks(sale: Sale, draw: Draw | None, placed: int, entered: int) -> Iterator[Violation]:
    """The record against how many orders have a place, and how many are entered and have none."""
    if not sale.is_lottery:
        if placed or entered:
            yield Violation(
                "the sale", f"is no lottery; {entered:,} orders are ENTERED, {placed:,} have a place of a draw"
            )
        return
    if draw is None:
        yield Violation(RECORD, "is missing: the lottery has committed itself to nothing")
        return
    if (draw.seed is not None) != draw.is_drawn:
        yield Violation(RECORD, f"is {draw.state}, and the seed is {'' if draw.seed else 'not '}revealed")
    if placed != draw.done_entries:
        yield Violation(RECORD, f"says {draw.done_entries:,} entries are drawn; {placed:,} orders have a place")
    if draw.state in (DrawState.DRAWING, DrawState.DRAWN) and placed + entered != draw.entries:
        yield Violation(RECORD, f"is of {draw.entries or 0:,} entries; there are {placed + entered:,}")
    if draw.is_drawn and entered:
        yield Violation(RECORD, f"says all is drawn; {entered:,} orders are still ENTERED")


def digest_kept(draw: Draw, by_id: Iterable[Entry]) -> Iterator[Violation]:
    """The digest against the entries, by id, once it is written down."""
    if draw.digest is not None:
        yield from digest_breaks(_head(draw), by_id)


def places_kept(draw: Draw, placed: Iterable[StoredOrder]) -> Iterator[Violation]:
    """The places and results of a draw that is done, by place, against the rule."""
    if draw.is_drawn:
        head = _head(draw)
        yield from head_breaks(head, None, None)
        yield from drawn_breaks(head, _drawn(placed))


def _head(draw: Draw) -> RecordHead:
    return RecordHead(
        draw.sale_id,
        draw.commitment,
        draw.seed or "",
        draw.digest or "",
        draw.stock or 0,
        draw.waitlist_limit or 0,
        draw.entries or 0,
        draw.won_orders,
        draw.won_units,
    )


def _drawn(placed: Iterable[StoredOrder]) -> Iterator[Drawn]:
    for order in placed:
        # An unknown result is named by `results_kept`; here it counts as none.
        result = _RESULTS.get(order.draw_result or "", Result.LAPSED)
        yield Drawn(order.draw_place or 0, order.order_id, order.units, result)


def results_kept(sale: Sale, drawn: Iterable[DrawEvent]) -> Iterator[Violation]:
    """Orders to which something else happened than the draw says."""
    triggers = {result.value: draw_step(sale, result)[0].value for result in Result}
    for order in drawn:
        expected = triggers.get(order.draw_result or "")
        if expected is None or order.trigger != expected:
            yield Violation(
                order_name(order.customer_id, order.order_id),
                f"was drawn as {order.draw_result}, and its history goes on with {order.trigger}",
            )


def entered_twice(entries: Iterable[StoredOrder]) -> Iterator[Violation]:
    """Customers with more than one entry. `entries` come by customer."""
    for customer_id, group in groupby(entries, attrgetter("customer_id")):
        count = sum(1 for _ in group)
        if count > 1:
            yield Violation(f"customer {customer_id}", f"has {count} entries in the draw")
