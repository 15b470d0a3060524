"""A crowd at two worker processes: nobody gets a fault, nothing is oversold or left, and nothing is lost with a worker."""

import os
import signal
from pathlib import Path

from sale_samples import put_up
from system_service import Meanwhile, Service, lines_of, units_left, until

from app.storage.database import FairdropDatabase

BUYERS = 3_000
STOCK = 400


def test_a_rush_takes_exactly_the_stock_without_a_fault_and_the_audit_is_clean(
    two_workers: Service, database: FairdropDatabase, tmp_path: Path
) -> None:
    sale = put_up(database, stock=STOCK, waitlist_limit=50, unit_price_minor=49_900)
    answers = tmp_path / "rush.jsonl"
    report = two_workers.rush(sale, answers, BUYERS)
    assert report.unanswered == 0
    assert sum(report.outcomes.values()) == BUYERS
    assert set(report.outcomes) == {"PENDING", "WAITLISTED", "sold-out"}
    assert {line["status"] for line in lines_of(answers)} == {200, 201, 409, None}
    assert units_left(database, sale) == 0
    taken = {line["order_id"]: line["units"] for line in lines_of(answers) if line["order_status"] == "PENDING"}
    assert sum(taken.values()) == STOCK
    two_workers.audit(sale, answers)
    assert "Traceback" not in two_workers.log()


def test_a_worker_killed_under_load_loses_no_order_and_every_retry_finds_its_own(
    two_workers: Service, database: FairdropDatabase, tmp_path: Path
) -> None:
    sale, answers = put_up(database, stock=2_000, waitlist_limit=100, expected_crowd=BUYERS), tmp_path / "rush.jsonl"
    victims = two_workers.workers
    assert len(victims) == 2
    with Meanwhile(lambda: two_workers.rush(sale, answers, BUYERS)) as rush:
        until(lambda: units_left(database, sale) < 1_800)
        assert rush.is_running
        os.kill(victims[0], signal.SIGKILL)
        until(lambda: len(set(two_workers.workers) - {victims[0]}) == 2)
    assert rush.result.unanswered == 0
    assert units_left(database, sale) == 0
    lines = lines_of(answers)
    assert {line["status"] for line in lines} <= {200, 201, 409, 503, None}
    assert any(line["error"] for line in lines if line["kind"] != "dropped"), "nobody was in flight when it was killed"
    two_workers.audit(sale, answers)
    confirmed = {(line["buyer"], line["key"]): line for line in lines if line["status"] in (200, 201)}
    for (buyer, key), line in list(confirmed.items())[:: max(1, len(confirmed) // 25)]:
        again = two_workers.order(sale, buyer, key, line["units"])
        assert (again.status, again.body["order_id"]) == (200, line["order_id"])
        assert again.headers["Idempotent-Replayed"] == "true"
