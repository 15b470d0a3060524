"""What a scenario says of its answers file, and when a promise is broken."""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from app.domain.fairness_statistics import evenness
from app.local.lottery_result import even_promise
from app.local.phones import Opening
from app.local.promises import refusals_of

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def lines(*rows: dict[str, Any]) -> list[bytes]:
    return [
        orjson.dumps({"rush": {}}),
        *(orjson.dumps({"buyer": "ann", "problem": None, "age_ms": None} | r) for r in rows),
    ]


def test_refusals_are_counted_by_where_they_came_from() -> None:
    found = refusals_of(
        lines(
            {"problem": "sale-not-open"},
            {"problem": "sale-not-open"},
            {"problem": "sale-not-open", "buyer": "ben"},
            {"problem": "sold-out", "age_ms": 12.5},
            {"problem": "sold-out", "age_ms": 0.1},
            {"problem": "sold-out", "age_ms": 3},
            {"problem": "sold-out", "age_ms": 0.0},
            {"problem": "limit-exceeded"},
            {},
        )
    )
    assert (found.not_open, found.early_buyers) == (3, 2)
    assert (found.sold_out_from_memory, found.sold_out_by_transaction) == (3, 1)
    assert found.memory_share == 0.75


def test_without_a_refusal_there_is_no_share() -> None:
    assert refusals_of(lines({})).memory_share is None


@pytest.mark.parametrize(("after", "ms"), [(timedelta(milliseconds=40), 40.0), (timedelta(milliseconds=-1), -1.0)])
def test_the_opening_is_measured_to_the_first_order(after: timedelta, ms: float) -> None:
    assert Opening(NOON, NOON + after, 0).first_after_ms == ms
    assert Opening(NOON, None, 0).first_after_ms is None


@pytest.mark.parametrize(
    ("won", "found", "is_kept"),
    [
        ({"early": 50, "late": 50}, "p = 1.0000", True),
        ({"early": 62, "late": 38}, "p = 0.0138", True),
        ({"early": 90, "late": 10}, "p = 0.0000", False),
        ({}, "not tested: it fell on all or on nobody", True),
    ],
)
def test_a_draw_that_favours_somebody_far_beyond_chance_breaks_the_promise(
    won: dict[str, int], found: str, is_kept: bool
) -> None:
    promise = even_promise("even", evenness(won, {"early": 1_000, "late": 1_000}))
    assert (promise.found, promise.is_kept) == (found, is_kept)
