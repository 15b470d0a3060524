"""The fairness report: reads a sale's line and a rush's answers, at one timestamp, and measures who was served how."""

from array import array
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from time import monotonic

from app.domain.audit.answers import out_of_line
from app.domain.audit.findings import Finding
from app.domain.errors import SaleNotFound
from app.domain.fairness import measure_line
from app.domain.fairness_statistics import Evenness, compare_ranks, evenness
from app.services.fairness_report import DrawFairness, FairnessReport, Plots, Points, RushFairness, Spread, spread_of
from app.storage.answers import Answers, read_attempts
from app.storage.audit import SaleStand, read_stand
from app.storage.database import FairdropDatabase
from app.storage.fairness import Line, read_line
from app.storage.fairness_answers import FALSE_TIME, PLAIN, Fates, processes_of
from app.storage.workspace import Workspace

PLOTTED = 400
"""Points of a curve: more than that no screen shows, and the page stays small."""


ARRIVAL_PARTS = 10
"""Of a lottery's line of entries, from the first tenth that came to the last."""


def fairness(
    database: FairdropDatabase, sale_id: str, answers: Path | None = None, as_of: datetime | None = None
) -> FairnessReport:
    """How fair a sale was, as of a timestamp (None: now), perhaps with what the rush of an answers file was told.

    Changes nothing and takes no locks. Raises SaleNotFound, StorageUnavailable or AnswersUnreadable.
    """
    began = monotonic()
    stand = read_stand(database, sale_id, as_of)
    if stand is None:
        raise SaleNotFound(sale_id=sale_id)
    with Workspace() as workspace:
        read_line(database, stand, workspace)
        return report_of(workspace, stand, answers, began)


def report_of(workspace: Workspace, stand: SaleStand, answers: Path | None, began: float) -> FairnessReport:
    """The report of a workspace that holds the sale's line. Raises AnswersUnreadable."""
    line, plots = Line(workspace), Plots()
    rush = _rush(workspace, stand.sale.sale_id, answers, plots) if answers is not None else None
    plots.line.extend((float(arrival), float(place)) for place, arrival in line.places(PLOTTED))
    plots.unit_waits.extend((float(place), ms) for place, ms in line.promoted(PLOTTED))
    return FairnessReport(
        sale_id=stand.sale.sale_id,
        sale_name=stand.sale.name,
        as_of=stand.as_of,
        orders=line.orders,
        waited=line.waited,
        still_waiting=line.still_waiting(),
        line=measure_line(line.arrivals()),
        commit_ms=spread_of(line.commit_ms()),
        unit_waits=spread_of(line.waits_for_a_unit_ms()),
        waitlistings=_waitlistings(line),
        rush=rush,
        plots=plots,
        draw=_draw(line, stand),
        seconds=monotonic() - began,
    )


def _waitlistings(line: Line) -> dict[str, Evenness]:
    span = line.tail()
    if span is None:
        return {}
    sizes = line.commit_sizes(span)
    return {column: evenness(*line.waitlisted_by(column, span), sizes) for column in ("shard_id", "writer")}


def _draw(line: Line, stand: SaleStand) -> DrawFairness | None:
    if stand.draw is None or not stand.draw.is_drawn:
        return None
    return DrawFairness(evenness(*line.won_by_arrival(ARRIVAL_PARTS)), evenness(*line.won_by_shard()))


def _rush(workspace: Workspace, sale_id: str, path: Path, plots: Plots) -> RushFairness:
    answers = Answers(workspace, read_attempts(path, sale_id))
    fates = Fates(workspace, path)
    waits: dict[str, array[float]] = {}
    for answer, ms in fates.answer_waits_ms():
        waits.setdefault(answer, array("d")).append(ms)
    spreads: dict[str, Spread] = {}
    for answer, ordered in waits.items():
        plots.answers[answer] = shares(ordered)
        spread = spread_of(ordered)
        if spread is not None:
            spreads[answer] = spread
    span = answers.rush_span
    ranks: dict[str, array[int]] = {PLAIN: array("q"), FALSE_TIME: array("q")}
    for rank, kind in enumerate(fates.habits_in_line(span[0]) if span is not None else (), start=1):
        ranks[kind].append(rank)
    plots.lies.update({kind: shares(places) for kind, places in ranks.items() if places})
    return RushFairness(
        real_time=_real_time(answers, workspace, span),
        answer_waits=spreads,
        refusals=_refusals(fates, path),
        lies=compare_ranks(len(ranks[FALSE_TIME]), sum(ranks[FALSE_TIME]), len(ranks[PLAIN])),
        lies_taken=evenness(*fates.taken_by_habit()),
    )


def _real_time(answers: Answers, workspace: Workspace, span: tuple[int, int] | None) -> Finding:
    finding = Finding("the line agrees with real time", None)
    finding.figures = {"confirmed_orders": workspace.number("SELECT COUNT(confirmed_ns) FROM asked")}
    if span is None:
        finding.not_compared = "the rush took no new order"
    else:
        finding.take(out_of_line(answers.sendings(span[0]), answers.confirmed()))
    return finding


def _refusals(fates: Fates, path: Path) -> Evenness | None:
    """Refusals by process of the rush; None when nobody was told that all is sold."""
    counts = fates.refused_at_the_tail()
    if counts is None:
        return None
    if fates.processes_seen != processes_of(path):
        hit, of = ({"all": sum(by.values())} for by in counts)
        return Evenness(hit, of, not_tested="the answers file does not tell which process of the rush asked")
    return evenness(*counts)


def shares(ordered: Sequence[float]) -> Points:
    """The curve of the share at or below each of some values, which come in order."""
    count = len(ordered)
    marks = sorted({0, count - 1, *range(0, count, max(1, count // PLOTTED))}) if count else []
    return [(float(ordered[index]), (index + 1) / count) for index in marks]
