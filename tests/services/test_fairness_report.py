"""The fairness report over a sale in memory: what it finds, what it says, and what its page keeps to itself."""

import random
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import orjson
import pytest
from audit_world import SALE_ID, World, audited_sale, told

from app.domain.audit.findings import at, micros
from app.domain.draw import Draw, DrawState
from app.domain.sale import Policy
from app.domain.states import Trigger
from app.services.fairness import PLOTTED, report_of
from app.services.fairness_page import render, write_page
from app.services.fairness_report import UNLIKELY, FairnessReport, spoken_p
from app.storage.answers import AnswersUnreadable
from app.storage.audit import SaleStand
from app.storage.fairness import fill_line
from app.storage.workspace import Workspace

LATE = 3_000
"""Milliseconds by which ben, the first in line, arrived after anna."""


@pytest.fixture
def world() -> World:
    """Two units on two shards: ben and anna have them, cleo, dora and emil wait."""
    world = World(audited_sale(stock=2, shard_count=2, waitlist_limit=10))
    world.place(0, ("ben", 1))
    world.place(1, ("anna", 1))
    world.place(0, ("cleo", 1), ("dora", 1))
    world.place(1, ("emil", 1))
    return world


def report(world: World, answers: Path | None = None, arrivals: dict[str, int] | None = None) -> FairnessReport:
    """The report of a world. `arrivals`: by how many milliseconds a customer arrived before their commit, 5 unless given."""
    stand = SaleStand(world.sale, world.now, world.created_at, list(world.shards.values()))
    orders = [[*order, order[6] - 1_000 * (arrivals or {}).get(order[0], 5)] for order in world.orders]
    # Shard 0 is written by one process, shard 1 by another.
    ledger = [[*row, f"host-{row[0]}:42"] for row in world.ledger]
    with Workspace() as workspace:
        fill_line(workspace, orders, world.events, ledger)
        return report_of(workspace, stand, answers, 0.0)


def write(path: Path, *lines: dict[str, Any], processes: int = 1) -> Path:
    header = {"rush": {"sale_id": SALE_ID, "processes": processes}}
    path.write_bytes(b"".join(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in (header, *lines)))
    return path


def line(order: list[Any], sent_ms: int, answered_ms: int, kind: str = "plain", **other: Any) -> dict[str, Any]:
    """An attempt's line in an answers file: the order is confirmed as it began unless said otherwise."""
    attempt = told(order, 0, sent_ms, answered_ms, **other)
    said: dict[str, Any] = {
        **attempt._asdict(),
        "kind": kind,
        "buyer": order[0],
        "key": f"key of {order[0]}",
        "order_id": attempt.said_order_id,
        "order_status": attempt.said_status,
        "placed_at": at(attempt.placed_at) if attempt.placed_at is not None else None,
    }
    return said


def refusal(buyer: str, sent_ms: int, answered_ms: int, kind: str = "plain") -> dict[str, Any]:
    return line([buyer, "-", "-", 1, 0, 0, 0], sent_ms, answered_ms, kind, status=409, problem="sold-out")


def all_told(world: World) -> list[dict[str, Any]]:
    """Each was sent when the one before had been told."""
    return [line(order, 100 * i, 100 * i + 40) for i, order in enumerate(world.orders)]


def test_a_line_in_which_all_stand_as_they_arrived_has_nobody_overtaken(world: World) -> None:
    whole = report(world).line.whole
    assert (whole.orders, whole.inverted_pairs, whole.places_back, whole.overtaken_ms) == (5, 0, 0, 0.0)


def test_who_arrived_before_the_head_of_the_line_was_overtaken(world: World) -> None:
    found = report(world, arrivals={"anna": LATE}).line
    assert (found.whole.inverted_pairs, found.whole.places_back, found.whole.places_forward) == (1, 1, 1)
    # anna's commit was 10 ms after ben's, who arrived 5 ms before his.
    assert found.whole.overtaken_ms == LATE - 10 - 5
    assert {shard: part.overtaken_orders for shard, part in found.by_shard.items()} == {0: 0, 1: 1}
    assert {writer: part.orders for writer, part in found.by_writer.items()} == {"host-0:42": 3, "host-1:42": 2}
    assert found.inverted_within_writers == 0


def test_orders_whose_ledger_rows_are_gone_are_of_an_unknown_process(world: World) -> None:
    world.ledger.clear()
    found = report(world)
    assert set(found.line.by_writer) == {None}
    assert set(found.as_json()["line"]["by_process"]) == {"unknown"}


def test_the_wait_for_a_unit_is_from_the_place_in_line_to_the_promotion(world: World) -> None:
    assert report(world).unit_waits is None
    world.release(world.orders[0], Trigger.DECLINE)
    found = report(world)
    assert found.unit_waits is not None
    # cleo was placed 30 ms into the sale, and ben's unit came free at 50 ms.
    assert (found.unit_waits.count, found.unit_waits.max_ms) == (1, 20.0)
    assert (found.waited, found.still_waiting) == (3, 2)


def test_the_tail_has_as_many_before_the_first_waitlisted_order_as_from_it_on(world: World) -> None:
    tail = report(world).waitlistings
    assert tail["shard_id"].of == {"0": 3, "1": 1}
    assert tail["shard_id"].hit == {"0": 2, "1": 0}
    assert tail["writer"].hit == {"host-0:42": 2, "host-1:42": 0}
    # Commits of one, one and two orders: an order shares its commit with one and a half on the mean.
    assert tail["writer"].design_effect == 1.5


def test_a_sale_in_which_nobody_waited_has_no_tail() -> None:
    world = World(audited_sale(stock=9))
    world.place(0, ("anna", 1))
    assert report(world).waitlistings == {}
    assert "Nobody was waitlisted or refused" in render(report(world))


def test_a_sale_without_orders_has_a_report_and_a_page() -> None:
    found = report(World())
    assert (found.orders, found.commit_ms) == (0, None)
    assert "<b>0</b> orders in the line" in render(found)


def test_a_sale_whose_every_order_waits_has_nothing_to_compare() -> None:
    world = World(audited_sale(stock=0))
    world.place(0, ("anna", 1), ("ben", 1))
    assert report(world).waitlistings["shard_id"].not_tested is not None


def test_answers_that_agree_with_the_line_are_fair(world: World, tmp_path: Path) -> None:
    found = report(world, write(tmp_path / "answers", *all_told(world)))
    assert (found.is_unfair, found.is_compared) == (False, True)
    assert found.verdict == "FAIR: of 5 confirmed orders, none has one before it that was sent after its confirmation"
    assert found.as_json()["fair"] is True


def test_an_order_before_one_confirmed_before_it_was_sent_is_unfair(world: World, tmp_path: Path) -> None:
    lines = all_told(world)
    lines[0] |= {"sent_ns": 900_000_000, "answered_ns": 950_000_000}
    found = report(world, write(tmp_path / "answers", *lines))
    assert found.is_unfair
    assert found.verdict == "UNFAIR: orders that stand before one confirmed before they were sent: 1"
    assert found.rush is not None
    [violation] = found.rush.real_time.violations
    assert "customer ben" in violation.row
    assert found.as_json()["fair"] is False


def test_without_answers_the_line_is_not_compared_with_real_time(world: World, tmp_path: Path) -> None:
    assert report(world).verdict == "NOT COMPARED with real time: no answers file was given"
    assert report(world).as_json()["fair"] is None
    replays = [line(order, 0, 40, status=200) for order in world.orders]
    found = report(world, write(tmp_path / "answers", *replays))
    assert (found.is_compared, found.is_unfair) == (False, False)
    assert found.verdict.endswith("the rush took no new order")


def test_the_wait_for_an_answer_is_from_the_first_sending_to_the_answer_that_counts(
    world: World, tmp_path: Path
) -> None:
    lines = all_told(world)
    lost = line(world.orders[0], -300, 0, status=None) | {"answered_ns": None, "error": "timeout"}
    again = [refusal("zoe", 600, 604), refusal("zoe", 610, 630)]
    found = report(world, write(tmp_path / "answers", lost, *lines, *again))
    assert found.rush is not None
    waits = found.rush.answer_waits
    assert {answer: (wait.count, wait.max_ms) for answer, wait in waits.items()} == {
        "taken": (2, 340.0),
        "waitlisted": (3, 40.0),
        "sold out": (1, 30.0),
    }
    assert waits["taken"].p50_ms == 40.0


def test_refusals_are_told_apart_by_the_rushs_processes_when_the_file_gives_them_away(
    world: World, tmp_path: Path
) -> None:
    first, second = [*all_told(world)[:3], refusal("zoe", 500, 504)], [*all_told(world)[3:], refusal("yan", 510, 514)]
    found = report(world, write(tmp_path / "answers", *first, *second, processes=2))
    assert found.rush is not None
    assert found.rush.refusals is not None
    # The answers of the second begin again at 340 ms. The tail: two before the first refusal, and the two refusals.
    assert found.rush.refusals.of == {"0": 1, "1": 3}
    assert found.rush.refusals.hit == {"0": 1, "1": 1}
    found = report(world, write(tmp_path / "answers", *first, *second, processes=3))
    assert found.rush is not None
    assert found.rush.refusals is not None
    assert found.rush.refusals.not_tested == "the answers file does not tell which process of the rush asked"


def crowd(liars_first: bool, tmp_path: Path) -> FairnessReport:
    """Forty orders, each a commit, of plain buyers and liars: in turn, or the liars all before the others."""
    world = World(audited_sale(stock=100))
    for number in range(40):
        world.place(number % 3, (f"buyer-{number}", 1))
    lies = [number < 20 if liars_first else number % 4 in (0, 3) for number in range(40)]
    lines = [
        line(order, 10 * number, 10 * number + 5, "false_time" if lie else "plain")
        for number, (order, lie) in enumerate(zip(world.orders, lies, strict=True))
    ]
    return report(world, write(tmp_path / "answers", *lines))


def test_liars_who_stand_among_the_others_had_no_advantage(tmp_path: Path) -> None:
    rush = crowd(liars_first=False, tmp_path=tmp_path).rush
    assert rush is not None
    assert (rush.lies.first_count, rush.lies.first_mean_rank, rush.lies.second_mean_rank) == (20, 20.5, 20.5)
    assert rush.lies.p_value == pytest.approx(1.0)


def test_liars_who_stand_before_all_others_are_more_than_chance(tmp_path: Path) -> None:
    found = crowd(liars_first=True, tmp_path=tmp_path)
    assert found.rush is not None
    assert (found.rush.lies.first_mean_rank, found.rush.lies.second_mean_rank) == (10.5, 30.5)
    assert found.rush.lies.p_value is not None
    assert found.rush.lies.p_value < UNLIKELY
    assert "more than chance explains" in render(found)
    # A statistic is to be looked at; only the real time decides.
    assert not found.is_unfair


def test_a_p_value_is_marked_below_its_bound_only() -> None:
    assert spoken_p(UNLIKELY) == "p = 0.001: chance may explain it"
    assert spoken_p(UNLIKELY / 2).endswith("look into it")


@pytest.mark.parametrize("text", [b"{}\n", b'{"rush": {"sale_id": "other"}}\n'])
def test_what_is_no_answers_file_of_the_sale_is_refused(world: World, tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "answers"
    path.write_bytes(text)
    with pytest.raises(AnswersUnreadable):
        report(world, path)


def test_a_line_without_a_habit_is_refused_by_its_number(world: World, tmp_path: Path) -> None:
    lines = all_told(world)
    del lines[1]["kind"]
    with pytest.raises(AnswersUnreadable, match="line 3 "):
        report(world, write(tmp_path / "answers", *lines))


class _Page(HTMLParser):
    """The tags of a page, and what it would load."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads.extend(
            value or "" for name, value in attrs if name in ("src", "href", "srcset", "xlink:href", "data")
        )


def test_the_page_names_no_customer_order_or_machine_and_loads_nothing(world: World, tmp_path: Path) -> None:
    lines = [*all_told(world), refusal("zoe", 700, 703)]
    lines[0] |= {"sent_ns": 900_000_000, "answered_ns": 950_000_000}
    world.release(world.orders[0], Trigger.DECLINE)
    found = report(world, write(tmp_path / "answers", *lines))
    write_page(tmp_path / "page.html", found)
    text = (tmp_path / "page.html").read_text()
    secrets = [*(order[0] for order in world.orders), *(order[1] for order in world.orders), "host-", "zoe"]
    assert [secret for secret in secrets if re.search(rf"\b{re.escape(secret)}", text)] == []
    page = _Page()
    page.feed(text)
    assert page.loads == []
    assert re.findall(r"url\(|@import|https?:", text) == []
    assert {"script", "link", "img", "iframe"}.isdisjoint(page.tags)
    assert page.tags.count("svg") == 3
    assert page.tags.count("circle") == len(found.plots.line) + len(found.plots.unit_waits)
    assert found.verdict in text


def test_a_sales_name_is_text_and_no_markup(world: World) -> None:
    stand = SaleStand(audited_sale(name="<b>Phone</b> & more"), world.now, world.created_at, [])
    with Workspace() as workspace:
        fill_line(workspace, [], [], [])
        text = render(report_of(workspace, stand, None, 0.0))
    assert "<h1>&lt;b&gt;Phone&lt;/b&gt; &amp; more: how fair" in text


@pytest.mark.parametrize("is_rigged", [False, True])
def test_winners_of_a_lottery_are_compared_over_arrival_and_shards(is_rigged: bool) -> None:
    world, dice = World(audited_sale(policy=Policy.LOTTERY)), random.Random(5)
    noon = micros(world.now)
    results = ["won" if (i < 400 if is_rigged else dice.random() < 0.2) else "lapsed" for i in range(2_000)]
    orders = [
        [f"c{i}", f"o{i}", "PLACED", 1, i % 3, 0, noon + i, None, None, 1, 100, "EUR", i + 1, result, noon]
        for i, result in enumerate(results)
    ]
    drawn = Draw("phones", DrawState.DRAWN, "", None, 400, 0, "", 2_000, 2_000, 400, 400, "", None)
    stand = SaleStand(world.sale, world.now, world.created_at, [], draw=drawn)
    with Workspace() as workspace:
        fill_line(workspace, orders, [], [])
        found = report_of(workspace, stand, None, 0.0)
    assert found.draw is not None
    assert list(found.draw.by_arrival.of.values()) == [200] * 10
    assert list(found.draw.by_shard.of) == ["0", "1", "2"]
    assert found.draw.by_arrival.p_value is not None
    assert found.draw.by_shard.p_value is not None
    assert (found.draw.by_arrival.p_value < UNLIKELY) == is_rigged
    assert found.draw.by_shard.p_value >= UNLIKELY
    assert found.as_json()["draw"]["by_arrival"]["p_value"] == found.draw.by_arrival.p_value
    assert "DRAWN BY LOT" in found.verdict
    assert "Who won" in render(found)


def test_who_waits_after_a_draw_counts_as_waitlisted_from_then_on() -> None:
    world = World(audited_sale(policy=Policy.LOTTERY))
    noon = micros(world.now)
    orders = [
        [f"c{i}", f"o{i}", status, 1, 0, i, noon, None, None, 2, 100, "EUR", i + 1, result, noon]
        for i, (status, result) in enumerate(
            (("PLACED", "won"), ("PLACED", "waitlisted"), ("WAITLISTED", "waitlisted"))
        )
    ]
    steps = [("ENTERED", "enter", 0)] * 3
    drawn = [("PLACED", "draw_free", 60_000_000), *[("WAITLISTED", "waitlist", 60_000_000)] * 2]
    events = [
        [f"c{i}", f"o{i}", seq, status, trigger, noon + later]
        for seq, told_of in enumerate((steps, drawn), start=1)
        for i, (status, trigger, later) in enumerate(told_of)
    ]
    events.append(["c1", "o1", 3, "PLACED", "promote_free", noon + 61_000_000])
    with Workspace() as workspace:
        fill_line(workspace, orders, events, [])
        found = report_of(workspace, SaleStand(world.sale, world.now, world.created_at, []), None, 0.0)
    assert (found.waited, found.still_waiting) == (2, 1)
    # The minute between the entry and the draw was nobody's wait for a unit.
    assert found.unit_waits is not None
    assert (found.unit_waits.count, found.unit_waits.max_ms) == (1, 1_000.0)
    assert found.waitlistings == {}


def test_a_page_of_many_orders_stays_small() -> None:
    world = World(audited_sale(stock=10))
    noon = micros(world.now)
    orders = [
        [f"c{i}", f"o{i}", "PLACED", 1, i % 3, 0, noon + i, None, None, 1, 100, "EUR", None, None, noon]
        for i in range(5_000)
    ]
    stand = SaleStand(world.sale, world.now, world.created_at, [])
    with Workspace() as workspace:
        fill_line(workspace, orders, [], [])
        found = report_of(workspace, stand, None, 0.0)
    assert found.orders == 5_000
    assert PLOTTED / 2 < len(found.plots.line) <= PLOTTED
    assert len(render(found)) < 60_000
