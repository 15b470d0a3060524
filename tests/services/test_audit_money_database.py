"""The auditor over two real databases and a real book: clean after real payments, and each kind of false row is named."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.domain.states import Trigger
from app.services.audit.money import NO_PAYMENTS, NOT_ASKED_FOR, MoneySources, PaymentsMissing
from app.services.audit.report import audit
from app.settings import Settings
from app.storage.database import FairdropDatabase, connect
from app.storage.gateway_book import BookUnreadable
from tests.gateway_simulator.simulator_process import Simulator
from tests.services.paid_world import Paid, with_payments

MONEY = "money follows units"
BOOK = "the gateway's book agrees"
PUBLISHED = "every event is published"
ARRIVED = "every event has arrived"


@pytest.fixture(scope="module")
def paid_settings(settings: Settings) -> Iterator[Settings]:
    with with_payments(settings) as own:
        yield own


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    process = Simulator(tmp_path_factory.mktemp("simulator")).start()
    yield process
    process.stop()


@pytest.fixture
def paid(paid_settings: Settings, simulator: Simulator) -> Iterator[Paid]:
    world = Paid(paid_settings, simulator)
    yield world
    world.close()


def test_real_payments_are_clean_on_the_way_and_settled_at_the_end(paid: Paid) -> None:
    report = paid.audit()
    assert report.verdict == "CLEAN", paid.broken()
    figures = {finding.name: finding.figures for finding in report.findings}
    assert figures[MONEY]["payments"] == {"AUTHORIZED": 1, "CAPTURED": 2, "DECLINED": 1, "VOIDED": 1}
    assert figures[MONEY]["in_flight"] == {"AUTHORIZED orders": 1}
    assert figures[BOOK]["captured_in_the_book_minor"] == figures[BOOK]["placed_minor"] == 200
    assert (
        figures[PUBLISHED]["order_events_not_yet_published"]
        == figures[PUBLISHED]["payment_events_not_yet_published"]
        == 0
    )
    assert paid.broken(settled=True) == {"everything is settled": [f"{paid.name('dora')}: is still AUTHORIZED"]}
    paid.finish()
    settled = paid.audit(settled=True)
    assert settled.verdict == "CLEAN", paid.broken(settled=True)
    assert all(finding.not_compared is None for finding in settled.findings)


def _double_capture(paid: Paid) -> str:
    paid.charge(paid.order_id("anna"), f"again {paid.order_id('anna')}", capture=True)
    return f"{paid.name('anna')}: was charged 2 times: "


def _missing_capture(paid: Paid) -> str:
    paid.pay("anna", State="AUTHORIZED")
    return f"{paid.name('anna')}: is PLACED, and its payment is AUTHORIZED"


def _wrong_amount(paid: Paid) -> str:
    paid.pay("anna", AmountMinor=99)
    return f"{paid.name('anna')}: costs 100 minor units of EUR, its payment is of 99 minor units of EUR"


def _another_price_in_the_book(paid: Paid) -> str:
    paid.pay("anna", AmountMinor=99)
    return f"of {paid.name('anna')}: is of 100 minor units of EUR, its payment of 99 minor units of EUR"


def _open_authorization_of_a_cancelled_order(paid: Paid) -> str:
    name = paid.charge(paid.order_id("ben"), f"again {paid.order_id('ben')}", capture=False)
    return f"{paid.name('ben')}: its payment is VOIDED, and the book holds its money: {name} authorized"


def _forgotten_authorization(paid: Paid) -> str:
    paid.order("dora", DueAt=datetime.now(UTC) - timedelta(hours=1))
    return f"{paid.name('dora')}: is AUTHORIZED, and forgotten: it was due at "


def _gateway_that_owes_an_answer(paid: Paid) -> str:
    paid.pay("dora", State="CAPTURING", OpenSince=datetime.now(UTC) - timedelta(hours=1))
    return f"{paid.name('dora')}: its payment is CAPTURING since "


def _lost_row_of_the_payments(paid: Paid) -> str:
    order_id = paid.order_id("anna")
    paid.payments.execute_partitioned_dml("DELETE FROM Outbox WHERE OrderId = @id", params={"id": order_id})
    return f"payment of order {order_id}: has told 2 events, and has no outbox row"


def _lost_row_behind_the_cursor(paid: Paid) -> str:
    order_id = paid.order_id("anna")
    paid.orders.execute_partitioned_dml("DELETE FROM Outbox WHERE OrderId = @id", params={"id": order_id})
    return "cursor of the order outbox's shard "


def _row_that_the_cursor_passed_over(paid: Paid) -> str:
    columns = ("OutboxShard", "CreatedAt", "OrderId", "EventSeq", "EventType", "Payload")
    with paid.orders.snapshot() as reads:
        shard = next(iter(reads.execute_sql("SELECT MIN(OutboxShard) FROM OutboxCursors")))[0]
    with paid.orders.batch() as batch:
        row = (shard, datetime.now(UTC) - timedelta(days=1), "late", 1, "order.placed", '{"sale_id": "none"}')
        batch.insert("Outbox", columns, [row])
    return f"cursor of the order outbox's shard {shard}: counts "


def _event_that_was_not_heard(paid: Paid) -> str:
    paid.pay("anna", Wanted="AUTHORIZE")
    return f"outbox row of order {paid.order_id('anna')}, event 3 (order.confirmed): was published, has not reached"


def _outcome_that_was_not_taken(paid: Paid) -> str:
    paid.order("emil", Status="AUTHORIZED")
    statement = "DELETE FROM OrderEvents WHERE OrderId = @id AND `Trigger` = 'capture'"
    paid.orders.execute_partitioned_dml(statement, params={"id": paid.order_id("emil")})
    return f"outbox row of payment {paid.order_id('emil')}, event 2 (payment.captured): was published at or after "


@pytest.mark.parametrize(
    ("check", "plant"),
    [
        (BOOK, _double_capture),
        (MONEY, _missing_capture),
        (MONEY, _wrong_amount),
        (BOOK, _another_price_in_the_book),
        (BOOK, _open_authorization_of_a_cancelled_order),
        (MONEY, _forgotten_authorization),
        (MONEY, _gateway_that_owes_an_answer),
        (PUBLISHED, _lost_row_of_the_payments),
        (PUBLISHED, _lost_row_behind_the_cursor),
        (PUBLISHED, _row_that_the_cursor_passed_over),
        (ARRIVED, _event_that_was_not_heard),
        (ARRIVED, _outcome_that_was_not_taken),
    ],
    ids=lambda value: value.__name__.strip("_") if callable(value) else None,
)
def test_a_false_row_is_named_by_the_check_it_breaks(paid: Paid, check: str, plant: Callable[[Paid], str]) -> None:
    says = plant(paid)
    found = paid.broken(settled=check == ARRIVED)
    assert any(says in line for line in found.get(check, [])), found


def test_a_capture_that_no_payment_knows_is_named_in_every_sale_s_audit(
    paid_settings: Settings, tmp_path: Path
) -> None:
    """In a book of its own: it tells of no sale, so nobody else would ever name it."""
    own = Simulator(tmp_path).start()
    paid = Paid(paid_settings, own)
    name = paid.charge("ghost", "ghost", capture=True)
    found = paid.broken()
    paid.close()
    own.stop()
    assert found == {
        BOOK: [
            f"authorization {name}: is of order ghost, of which there is no payment: "
            "the amount is captured, 100 minor units of EUR"
        ]
    }


def test_rows_that_no_relay_has_seen_are_in_flight_and_broken_once_all_is_said_to_be_settled(paid: Paid) -> None:
    paid.trigger("dora", Trigger.CONFIRM)
    report = paid.audit()
    assert report.verdict == "CLEAN", paid.broken()
    figures = next(finding.figures for finding in report.findings if finding.name == PUBLISHED)
    assert figures["order_events_not_yet_published"] == 1
    [line] = paid.broken(settled=True)[PUBLISHED]
    assert line.startswith(f"outbox row of order {paid.order_id('dora')}, event 4 (order.confirmed): is not published")


def test_a_sale_is_audited_with_the_payments_of_that_time(paid: Paid) -> None:
    before = paid.audit().as_of
    paid.pay("anna", State="AUTHORIZED")
    assert MONEY in paid.broken()
    assert paid.broken(as_of=before) == {}


def test_payments_of_another_sale_are_nobody_s_business(
    paid: Paid, paid_settings: Settings, simulator: Simulator
) -> None:
    other = Paid(paid_settings, simulator)
    other.pay("anna", State="AUTHORIZED")
    found, own = other.broken(), paid.broken()
    other.close()
    assert MONEY in found
    assert own == {}


def test_what_is_missing_is_refused_or_said_by_what_was_asked_for(paid: Paid, database: FairdropDatabase) -> None:
    missing = connect(paid.settings, "no-such-database")
    # A database with another schema is no payment database either.
    for absent in (missing, database):
        with pytest.raises(PaymentsMissing):
            audit(paid.orders, paid.sale.sale_id, money=MoneySources(absent))
        optional = MoneySources(absent, is_payments_optional=True)
        report = audit(paid.orders, paid.sale.sale_id, money=optional)
        skipped = {finding.name: finding.not_compared for finding in report.findings}
        assert (report.verdict, skipped[MONEY], skipped[BOOK]) == ("CLEAN", NO_PAYMENTS, NO_PAYMENTS)
        with pytest.raises(PaymentsMissing):
            audit(paid.orders, paid.sale.sale_id, money=optional, settled=True)
    report = audit(paid.orders, paid.sale.sale_id)
    assert {finding.name: finding.not_compared for finding in report.findings}[ARRIVED] == NOT_ASKED_FOR


def test_a_book_that_does_not_answer_is_refused_unless_it_is_optional(paid: Paid, tmp_path: Path) -> None:
    nobody = Simulator(tmp_path).url
    with pytest.raises(BookUnreadable, match="does not answer"):
        audit(paid.orders, paid.sale.sale_id, money=MoneySources(paid.payments, nobody))
    report = audit(paid.orders, paid.sale.sale_id, money=MoneySources(paid.payments, nobody, is_book_optional=True))
    book = next(finding for finding in report.findings if finding.name == BOOK)
    assert report.verdict == "CLEAN"
    assert book.not_compared is not None
    assert nobody in book.not_compared


def test_what_answers_and_is_no_book_is_refused(paid: Paid) -> None:
    with pytest.raises(BookUnreadable, match="404"):
        audit(paid.orders, paid.sale.sale_id, money=MoneySources(paid.payments, paid.simulator.url + "/elsewhere"))
