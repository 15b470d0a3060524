"""The API's figures are those of all its workers, whichever is asked, and a worker that ends takes nothing with it."""

import os
import signal
import time
import urllib.request
from pathlib import Path

from sale_samples import put_up
from system_service import Service, until

from app.storage.database import FairdropDatabase

BUYERS = 400


def scraped(service: Service) -> dict[str, float]:
    with urllib.request.urlopen(f"{service.url}/metrics", timeout=20) as answer:
        lines = answer.read().decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}


def requests(figures: dict[str, float]) -> float:
    return sum(value for name, value in figures.items() if name.startswith("fairdrop_order_requests_total"))


def test_two_workers_add_up_and_one_that_is_killed_has_counted(
    two_workers: Service, database: FairdropDatabase, tmp_path: Path
) -> None:
    before = requests(scraped(two_workers))
    sale = put_up(database, stock=150, waitlist_limit=50)
    report = two_workers.rush(sale, tmp_path / "rush.jsonl", BUYERS)
    time.sleep(1.5)  # the other worker tells its figures once a second
    told = [scraped(two_workers) for _ in range(6)]
    assert {requests(each) - before for each in told} == {requests(told[0]) - before}
    assert requests(told[0]) - before >= report.answers
    figures = told[0]
    assert figures["fairdrop_order_request_seconds_count"] == requests(figures)
    assert figures['fairdrop_order_requests_total{outcome="PLACED"}'] >= 1
    assert figures["fairdrop_commit_orders_sum"] >= 150
    assert figures["fairdrop_lane_depth"] == 0
    victims = two_workers.workers
    os.kill(victims[0], signal.SIGKILL)
    until(lambda: len(set(two_workers.workers) - {victims[0]}) == 2)
    assert requests(scraped(two_workers)) == requests(figures)
