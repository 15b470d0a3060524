import io
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from app.rush.report import RushReport, latency_of, percentile, summarise
from app.rush.report_text import print_report

MS = 1_000_000
HEADER = {"rush": {"sale_id": "iphone", "buyers": 4}}


def line(buyer: str, sent_ms: float, answered_ms: float | None, **others: Any) -> dict[str, Any]:
    return {
        "buyer": buyer,
        "due_ns": None,
        "sent_ns": int(sent_ms * MS),
        "answered_ns": None if answered_ms is None else int(answered_ms * MS),
        "status": None,
        "order_id": None,
        "order_status": None,
        "problem": None,
        "replayed": False,
        "error": None,
    } | others


def taken(buyer: str, sent_ms: float, answered_ms: float, status: str = "PENDING", **others: Any) -> dict[str, Any]:
    order = {"status": 201, "order_id": f"order of {buyer}", "order_status": status}
    return line(buyer, sent_ms, answered_ms, **(order | others))


def refused(
    buyer: str, sent_ms: float, answered_ms: float, problem: str = "sold-out", status: int = 409
) -> dict[str, Any]:
    return line(buyer, sent_ms, answered_ms, status=status, problem=problem)


def report_of(*lines: dict[str, Any], header: dict[str, Any] = HEADER) -> RushReport:
    return summarise(orjson.dumps(each) for each in (header, *lines))


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=300), st.sampled_from([0.5, 0.95, 0.99, 1.0]))
def test_a_percentile_is_the_smallest_value_that_enough_do_not_exceed(values: list[float], share: float) -> None:
    enough = [value for value in values if sum(other <= value for other in values) >= share * len(values)]
    assert percentile(sorted(values), share) == min(enough)


def test_percentiles_of_a_hundred() -> None:
    latency = latency_of(float(value) for value in range(100, 0, -1))
    assert (latency.count, latency.p50_ms, latency.p95_ms, latency.p99_ms, latency.max_ms) == (100, 50, 95, 99, 100)


def test_there_is_no_percentile_of_nothing() -> None:
    assert latency_of([]).p50_ms is None


def test_every_buyer_has_one_outcome() -> None:
    report = report_of(
        taken("a", 0, 1),
        taken("a", 0, 2, status="PLACED", replayed=True),
        refused("b", 0, 3),
        line("c", 0, None, error="reset"),
    )
    assert report.outcomes == {"PLACED": 1, "sold-out": 1, "unanswered": 1, "never-sent": 1}
    assert sum(report.outcomes.values()) == 4
    assert report.unanswered == 2


def test_an_order_outweighs_a_refusal_whatever_came_last() -> None:
    header = {"rush": {"buyers": 2}}
    report = report_of(taken("a", 0, 1), refused("a", 0, 2), refused("b", 0, 1), taken("b", 2, 3), header=header)
    assert report.outcomes == {"PENDING": 2}


@pytest.mark.parametrize("last", [refused("a", 0, 1, "overloaded", 503), line("a", 0, None, error="timeout")])
def test_a_buyer_who_was_only_told_to_come_back_is_unanswered(last: dict[str, Any]) -> None:
    report = report_of(last, header={"rush": {"buyers": 1}})
    assert report.outcomes == {"unanswered": 1}
    assert report.settled_after.count == 0


def test_latencies_are_kept_apart_by_what_was_answered() -> None:
    report = report_of(
        taken("a", 0, 10),
        taken("a", 10, 15, status="PENDING", replayed=True),
        refused("b", 0, 20),
        refused("c", 0, 30, "overloaded", 503),
        line("c", 30, None, error="reset"),
    )
    assert {name: (latency.count, latency.max_ms) for name, latency in report.latency.items()} == {
        "taken": (1, 10),
        "replayed": (1, 5),
        "refused": (1, 20),
        "errors": (1, 30),
    }
    assert report.answers_by_kind == {
        "201 PENDING": 1,
        "201 PENDING replayed": 1,
        "409 sold-out": 1,
        "503 overloaded": 1,
    }
    assert (report.attempts, report.answers, report.errors_by_kind) == (5, 4, {"reset": 1})


def test_a_buyers_wait_counts_from_the_first_try_to_the_answer_that_settles() -> None:
    report = report_of(
        refused("a", 5, 6, "overloaded", 503), line("a", 7, None, error="reset"), taken("a", 8, 45), taken("a", 45, 60)
    )
    assert (report.settled_after.count, report.settled_after.max_ms) == (1, 40)


def test_open_arrivals_count_from_when_they_were_due() -> None:
    report = report_of(taken("a", 10, 12, due_ns=3 * MS), taken("b", 10, 11, due_ns=10 * MS))
    assert report.latency["taken"].max_ms == 9
    assert report.settled_after.max_ms == 9
    assert (report.sent_late.count, report.sent_late.max_ms) == (2, 7)


def test_throughput_counts_from_the_first_sending_to_the_last_answer() -> None:
    report = report_of(taken("a", 1_000, 1_500), refused("b", 1_000, 3_000))
    assert (report.seconds, report.answers_per_second, report.orders_per_second) == (2.0, 1.0, 2.0)


def test_drops_on_purpose_are_no_errors() -> None:
    report = report_of(line("a", 0, None, error="dropped"), taken("a", 1, 2))
    assert (report.dropped, report.errors_by_kind) == (1, {})


def test_a_generator_near_its_limit_says_so() -> None:
    def report(cpu_seconds: float) -> RushReport:
        facts = {"buyers": 1, "cpu_seconds": [0.1, cpu_seconds], "run_seconds": [1.0, 1.0]}
        return report_of(taken("a", 0, 1), header={"rush": facts})

    assert report(0.95).is_out_of_breath
    assert not report(0.5).is_out_of_breath


@pytest.mark.parametrize("first", [b"", b'{"buyer": "a"}\n', b"[]\n"])
def test_another_file_is_refused(first: bytes) -> None:
    with pytest.raises(ValueError, match="answers file"):
        summarise(io.BytesIO(first))


def test_the_text_tells_outcomes_latencies_and_errors() -> None:
    report = report_of(taken("a", 0, 12.5), refused("b", 0, 3), line("c", 0, None, error="reset"))
    console = Console(file=io.StringIO(), width=120)
    print_report(report, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    for words in ("iphone", "PENDING", "sold-out", "unanswered", "never-sent", "reset", "12.5"):
        assert words in text


def test_the_report_is_plain_json() -> None:
    said = orjson.loads(orjson.dumps(report_of(taken("a", 0, 1)).as_json()))
    assert (said["outcomes"], said["unanswered"], said["interrupted"]) == ({"never-sent": 3, "PENDING": 1}, 3, False)
    assert said["latency"]["taken"]["p50_ms"] == 1


def test_not_open_yet_settles_nothing_for_buyers_who_wait_for_the_opening() -> None:
    lines = (refused("a", 0, 1, "sale-not-open"), taken("a", 50, 60), refused("b", 0, 1, "sale-not-open"))
    patient = report_of(*lines, header={"rush": {"buyers": 2, "waits_for_opening": True}})
    assert (patient.settled_after.count, patient.settled_after.max_ms) == (1, 60)
    assert report_of(*lines, header={"rush": {"buyers": 2}}).settled_after.max_ms == 1
    assert patient.outcomes == {"PENDING": 1, "sale-not-open": 1}
