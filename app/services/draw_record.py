"""Writing a drawn lottery's public record, and checking one: both stream, and sort on disk."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import orjson

from app.domain.audit.findings import Finding
from app.domain.draw import HEX_64, Draw, Drawn, Entry, Result
from app.domain.draw_record import RecordHead, digest_breaks, drawn_breaks, head_breaks
from app.domain.errors import SaleStateRefused
from app.domain.ids import is_order_id
from app.services.draw import look
from app.storage.database import FairdropDatabase
from app.storage.draw_entries import read_drawn
from app.storage.workspace import Workspace

FORMAT = "fairdrop-draw-1"
MAX_LINE_BYTES = 4_096
"""The longest line there is has some 700; a file that is not a record is found out before it fills the memory."""

_KEYS = {"place", "order_id", "units", "result"}
_MAX_INT = 2**63 - 1


class RecordUnreadable(Exception):
    """The file is no record: the message says which line is not what it should be."""


@dataclass(frozen=True, slots=True)
class OwnEntry:
    """What a record says of the order that somebody asked for; None: it is not in it."""

    order_id: str
    drawn: Drawn | None


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found in a record."""

    head: RecordHead
    finding: Finding
    own: OwnEntry | None

    @property
    def verdict(self) -> str:
        """One line."""
        if not self.finding.is_clean:
            return f"BROKEN: {self.finding.violation_count:,} things do not hold"
        if self.own is not None and self.own.drawn is None:
            return f"MISSING: order {self.own.order_id} is not in the record"
        return f"GENUINE: {self.head.won_orders:,} of {self.head.entries:,} entries won, by seed, digest and stock as recorded"

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong, and the order that was asked for is there."""
        return self.finding.is_clean and (self.own is None or self.own.drawn is not None)

    def as_json(self) -> dict[str, Any]:
        """The outcome as plain values."""
        own = None
        if self.own is not None:
            own = {"order_id": self.own.order_id, "found": self.own.drawn is not None}
            if self.own.drawn is not None:
                own |= {"place": self.own.drawn.place, "result": self.own.drawn.result.value}
        found = {"violation_count": self.finding.violation_count, "violations": self.finding.as_json()["violations"]}
        return {"verdict": self.verdict, "holds": self.holds, "head": asdict(self.head), "order": own, **found}


def export(database: FairdropDatabase, sale_id: str, path: Path) -> Draw:
    """Write the record of a drawn lottery to a file, entries by place; returns what the record is of.

    Raises SaleNotFound, NotALottery, SaleStateRefused (it is not drawn), StorageUnavailable or OSError.
    """
    draw, as_of = look(database, sale_id)
    if not draw.is_drawn:
        raise SaleStateRefused(action="export the draw of", phase=f"not drawn ({draw.state.value.lower()})")
    with Workspace() as workspace, path.open("wb") as file:
        workspace.run("CREATE TABLE drawn (place INT, order_id TEXT, units INT, result TEXT)")
        workspace.fill("drawn", 4, read_drawn(database, sale_id, as_of))
        head = {field.name: getattr(draw, field.name) for field in fields(RecordHead)}
        file.write(orjson.dumps({"format": FORMAT, **head}) + b"\n")
        for place, order_id, units, result in workspace.rows("SELECT * FROM drawn ORDER BY place"):
            line = {"place": place, "order_id": order_id, "units": units, "result": result}
            file.write(orjson.dumps(line) + b"\n")
    return draw


def verify(
    path: Path, commitment: str | None = None, digest: str | None = None, order_id: str | None = None
) -> Verification:
    """Check a record, alone or against a commitment and a digest that somebody noted before the draw.

    Raises RecordUnreadable or OSError.
    """
    finding = Finding("the draw", None)
    with path.open("rb") as file, Workspace() as workspace:
        lines = _lines(file)
        head = _head(next(lines, b""))
        own = _Own(order_id)
        finding.take(head_breaks(head, commitment, digest))
        workspace.run("CREATE TABLE drawn (order_id TEXT, units INT)")
        rows = Finding("the entries", None)
        rows.take(drawn_breaks(head, _kept(workspace, own.watched(_drawn(lines)))))
        # What is wrong as a whole is named first: of single entries there may be more than are named.
        by_id = "SELECT order_id, units FROM drawn ORDER BY order_id"
        finding.take(digest_breaks(head, map(Entry._make, workspace.rows(by_id))))
        finding.take(rows.violations)
        finding.violation_count += rows.violation_count - len(rows.violations)
    return Verification(head, finding, own.entry)


class _Own:
    """Looks for one order among those that pass."""

    def __init__(self, order_id: str | None) -> None:
        self.entry = OwnEntry(order_id, None) if order_id is not None else None

    def watched(self, drawn: Iterator[Drawn]) -> Iterator[Drawn]:
        for entry in drawn:
            if self.entry is not None and entry.order_id == self.entry.order_id:
                self.entry = OwnEntry(entry.order_id, entry)
            yield entry


def _kept(workspace: Workspace, drawn: Iterator[Drawn]) -> Iterator[Drawn]:
    """The entries as they pass, each put aside for its digest."""
    for entry in drawn:
        workspace.put("drawn", (entry.order_id, entry.units))
        yield entry


def _lines(file: Any) -> Iterator[bytes]:
    number = 0
    while line := file.readline(MAX_LINE_BYTES):
        number += 1
        if not line.endswith(b"\n"):
            raise RecordUnreadable(f"line {number} is cut off, or too long")
        yield line


def _head(line: bytes) -> RecordHead:
    body = _object(line, 1)
    if body.pop("format", None) != FORMAT:
        raise RecordUnreadable(f"line 1: this is no record of the format {FORMAT}")
    wanted = {field.name: field.type for field in fields(RecordHead)}
    if body.keys() != wanted.keys():
        raise RecordUnreadable(f"line 1: it must have {', '.join(wanted)}, and nothing else")
    for name, value in body.items():
        if name in ("commitment", "seed", "digest"):
            good = isinstance(value, str) and HEX_64.fullmatch(value) is not None
        else:
            good = isinstance(value, str) if name == "sale_id" else _is_number(value)
        if not good:
            raise RecordUnreadable(f"line 1: {name} is not what it should be: {value!r}")
    return RecordHead(**body)


def _drawn(lines: Iterator[bytes]) -> Iterator[Drawn]:
    results = {result.value: result for result in Result}
    for number, line in enumerate(lines, start=2):
        body = _object(line, number)
        if body.keys() != _KEYS:
            raise RecordUnreadable(f"line {number}: it must have {', '.join(sorted(_KEYS))}, and nothing else")
        place, order_id, units = body["place"], body["order_id"], body["units"]
        if not (_is_number(place) and _is_number(units) and isinstance(order_id, str) and is_order_id(order_id)):
            raise RecordUnreadable(f"line {number}: place and units must be numbers, and order_id the id of an order")
        result = results.get(body["result"]) if isinstance(body["result"], str) else None
        if result is None:
            raise RecordUnreadable(f"line {number}: result must be one of {', '.join(results)}")
        yield Drawn(place, order_id, units, result)


def _object(line: bytes, number: int) -> dict[str, Any]:
    try:
        body = orjson.loads(line)
    except orjson.JSONDecodeError:
        body = None
    if not isinstance(body, dict):
        raise RecordUnreadable(f"line {number}: this is no JSON object")
    return body


def _is_number(value: object) -> bool:
    return type(value) is int and 0 <= value <= _MAX_INT
