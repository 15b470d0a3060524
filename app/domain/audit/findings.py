"""What an audit finds: each check's figures, and the rows that break it."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from app.domain.timestamps import rfc3339

NAMED_VIOLATIONS = 20
"""Rows that one check names; the rest are counted. A thousand rows of one fault say no more than twenty."""

Figure = int | float | str | None | Mapping[str, int] | Mapping[str, Mapping[str, int]]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Violation:
    """A row (or a set of rows under one name) and what is wrong with it."""

    row: str
    says: str


@dataclass(slots=True)
class Finding:
    """The outcome of one check. `invariant` is its number in docs/design.md; None when it is of the answers file.

    `not_compared` says why there was nothing to check against; None when there was.
    """

    name: str
    invariant: int | None
    figures: dict[str, Figure] = field(default_factory=dict)
    violations: list[Violation] = field(default_factory=list)
    violation_count: int = 0
    not_compared: str | None = None

    def take(self, violations: Iterable[Violation]) -> None:
        """Count all of them, and name the first."""
        for violation in violations:
            self.violation_count += 1
            if len(self.violations) < NAMED_VIOLATIONS:
                self.violations.append(violation)

    @property
    def is_clean(self) -> bool:
        """Whether nothing breaks the rule."""
        return self.violation_count == 0

    def as_json(self) -> dict[str, Any]:
        """The finding as plain values."""
        return asdict(self) | {"clean": self.is_clean}


def order_name(customer_id: str, order_id: str) -> str:
    """How a violation names an order."""
    return f"order {order_id} of customer {customer_id}"


def at(micros: int | None) -> str:
    """A moment, microseconds since the epoch, as a person reads it."""
    return "never" if micros is None else rfc3339(_EPOCH + timedelta(microseconds=micros))


def micros(moment: datetime) -> int:
    """Microseconds since the epoch: the resolution of Spanner's commit timestamps."""
    return (moment - _EPOCH) // timedelta(microseconds=1)
