"""The checker by itself: it shares no code with the service, finds nothing in a history that is right, and names what is wrong."""

import ast
import copy
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import history_money
import history_orders
import history_replay
import pytest
from history_judge import judge
from history_records import Call, History, Look, read_calls

HERE = Path(__file__).parent
OF_THE_SERVICE = {"history_stage.py", "history_host.py"}
"""They run the service's code, and are nothing that the checker uses."""

T0 = 1_700_000_000_000_000
PRICE = 100


def at(seconds: float) -> int:
    """A database time; the clients' clock of these histories is the same, from 0."""
    return T0 + int(seconds * 1_000_000)


def rfc3339(micros: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)).isoformat()


def call(number: str, op: str, customer: str, sent: float, answered: float, code: int, **body: Any) -> Call:
    return Call(
        number,
        "c",
        op,
        customer,
        "one",
        body.pop("asked", 1),
        "tok",
        None,
        int(sent * 1e9),
        int(answered * 1e9),
        code,
        body,
    )


def order(customer: str, placed: float, seq: int, status: str, event_seq: int) -> dict[str, Any]:
    return {
        "order_id": f"order-{customer}",
        "status": status,
        "units": 1,
        "unit_price_minor": PRICE,
        "position": {"placed_at": rfc3339(at(placed)), "shard_id": 0, "seq": seq},
        "event_seq": event_seq,
    }


def good() -> History:
    """One unit. ann takes it, bob waits, cid is told sold out; ann cancels, bob is promoted, pays, and is captured."""
    calls = [
        call("1", "place", "ann", 1.0, 1.2, 201, **order("ann", 1.1, 0, "PENDING", 1)),
        call("2", "place", "bob", 2.0, 2.2, 201, **order("bob", 2.1, 0, "WAITLISTED", 1)),
        call("3", "place", "bob", 2.3, 2.4, 200, **order("bob", 2.1, 0, "WAITLISTED", 1)),
        call("4", "place", "bob", 2.5, 2.6, 422, asked=2, type="urn:fairdrop:problem:idempotency-key-reused"),
        call("5", "place", "cid", 3.0, 3.1, 409, type="urn:fairdrop:problem:sold-out", age_ms=10.0),
        call("6", "cancel", "ann", 4.0, 4.2, 200, **order("ann", 1.1, 0, "CANCELLED", 2)),
        call("7", "show", "bob", 4.4, 4.5, 200, **order("bob", 2.1, 0, "PENDING", 2)),
    ]
    moves = [
        ("ann", 1, "PENDING", "reserve", 1.1),
        ("bob", 1, "WAITLISTED", "waitlist", 2.1),
        ("ann", 2, "CANCELLED", "cancel", 4.1),
        ("bob", 2, "PENDING", "promote", 4.1),
        ("bob", 3, "AUTHORIZED", "authorize", 5.0),
        ("bob", 4, "AUTHORIZED", "confirm", 6.0),
        ("bob", 5, "PLACED", "capture", 7.0),
    ]
    kinds = ["reserved", "waitlisted", "released", "reserved", "authorized", "confirmed", "placed"]
    stock = [
        (1, 1, 1, 0, "created", 0.1),
        (2, 1, 0, 0, "placed", 1.1),
        (3, 1, 0, 1, "placed", 2.1),
        (4, 1, 0, 0, "settled", 4.1),
    ]
    rows = {"ann": ("CANCELLED", 1.1, 2), "bob": ("PLACED", 2.1, 5)}
    final = {
        "sale": {
            "Stock": 1,
            "ShardCount": 1,
            "LimitPerCustomer": 2,
            "WaitlistLimit": 1,
            "UnitPriceMinor": PRICE,
            "OpensAt": at(0.5),
        },
        "shards": [{"ShardId": 0, "Version": 4, "Allocated": 1, "Available": 0, "Waiting": 0}],
        "ledger": [
            {"ShardId": 0, "Version": v, "Allocated": a, "Available": f, "Waiting": w, "Cause": c, "CommittedAt": at(t)}
            for v, a, f, w, c, t in stock
        ],
        "orders": [
            {
                "CustomerId": name,
                "OrderId": f"order-{name}",
                "Status": status,
                "Units": 1,
                "UnitPriceMinor": PRICE,
                "Currency": "EUR",
                "ShardId": 0,
                "Seq": 0,
                "PlacedAt": at(placed),
                "EventSeq": seq,
            }
            for name, (status, placed, seq) in rows.items()
        ],
        "events": [
            {"CustomerId": n, "OrderId": f"order-{n}", "EventSeq": s, "Status": to, "Trigger": by, "CommittedAt": at(t)}
            for n, s, to, by, t in moves
        ],
        "outbox": [
            {"OutboxShard": 3, "CreatedAt": at(t), "OrderId": f"order-{n}", "EventSeq": s, "EventType": f"order.{kind}"}
            for (n, s, _, _, t), kind in zip(moves, kinds, strict=True)
        ],
        "cursors": [{"OutboxShard": 3, "CreatedAt": at(7.0), "OrderId": "order-bob", "EventSeq": 5}],
        "payments": [
            payment("ann", "VOID", "VOIDED"),
            payment("bob", "CAPTURE", "CAPTURED"),
        ],
        "book": [entry("ann", "voided", 0), entry("bob", "captured", PRICE)],
    }
    looks = [
        Look(int(t * 1e9), int(t * 1e9) + 1_000_000, at(t), 1, [(0, 2, 1, 0, w)], [(0, "PENDING", 1, 1), *more])
        for t, w, more in ((1.5, 0, []), (2.7, 1, [(0, "WAITLISTED", 1, 1)]))
    ]
    return History(calls, looks, final, settled=True)


def payment(name: str, wanted: str, state: str) -> dict[str, Any]:
    return {"OrderId": f"order-{name}", "AmountMinor": PRICE, "Currency": "EUR", "Wanted": wanted, "State": state}


def entry(name: str, state: str, captured: int) -> dict[str, Any]:
    return {
        "order_id": f"order-{name}",
        "state": state,
        "amount_minor": PRICE,
        "currency": "EUR",
        "captured_minor": captured,
        "refunded_minor": 0,
    }


def test_a_history_that_is_right_breaks_no_rule() -> None:
    assert judge(good()).violations == []


Break = Callable[[History], Any]


def row(history: History, table: str, place: int, **changes: Any) -> None:
    history.final[table][place].update(changes)


def answer(history: History, place: int, **changes: Any) -> None:
    whole = {name: getattr(history.calls[place], name) for name in Call.__slots__}
    history.calls[place] = Call(**{**whole, **changes})


def told(history: History, place: int, **changes: Any) -> None:
    answer(history, place, body={**history.calls[place].body, **changes})


BREAKS: list[tuple[str, Break]] = [
    (history_orders.NOT_LOST, lambda h: h.final["orders"].pop(0)),
    (history_orders.NOT_LOST, lambda h: row(h, "orders", 1, Units=2)),
    (history_orders.ONE_ORDER, lambda h: told(h, 2, order_id="order-ann")),
    (history_orders.ONE_ORDER, lambda h: answer(h, 2, status=201)),
    (
        history_orders.OTHER_BODY,
        lambda h: answer(h, 3, status=409, body={"type": "urn:fairdrop:problem:sold-out", "age_ms": 1}),
    ),
    (
        history_orders.RETRY_FINDS,
        lambda h: answer(h, 2, status=409, body={"type": "urn:fairdrop:problem:limit-exceeded"}),
    ),
    (history_orders.ASKED_FOR, lambda h: row(h, "orders", 1, CustomerId="cid", OrderId="order-x", Units=3)),
    (history_orders.REFUSED_IS_REFUSED, lambda h: row(h, "orders", 1, CustomerId="cid", OrderId="order-cid")),
    (history_orders.REAL_TIME, lambda h: row(h, "orders", 0, PlacedAt=at(2.15))),
    (history_orders.UNDER_WAY, lambda h: told(h, 0, position={"placed_at": rfc3339(at(0.6)), "shard_id": 0, "seq": 0})),
    (history_orders.REFUSAL_RIGHT, lambda h: told(h, 4, age_ms=251.0)),
    (history_orders.REFUSAL_RIGHT, lambda h: answer(h, 4, sent_ns=int(1.5e9), answered_ns=int(1.6e9))),
    (
        history_orders.LIMIT_RIGHT,
        lambda h: answer(h, 4, body={"type": "urn:fairdrop:problem:limit-exceeded"}),
    ),
    (history_orders.OPENING_RIGHT, lambda h: answer(h, 4, body={"type": "urn:fairdrop:problem:sale-not-open"})),
    (
        history_orders.NEVER_BACK,
        lambda h: (told(h, 2, event_seq=2, status="PENDING"), told(h, 6, event_seq=1, status="WAITLISTED")),
    ),
    (history_orders.NEVER_BACK, lambda h: told(h, 5, event_seq=1, status="PENDING")),
    (history_replay.STOCK_CONSERVED, lambda h: row(h, "ledger", 1, Available=1)),
    (history_replay.STOCK_CONSERVED, lambda h: h.looks.append(Look(1, 2, at(0.2), 1, [(0, 2, 1, 0, 0)], []))),
    (history_replay.LEDGER_GAPLESS, lambda h: h.final["ledger"].pop(2)),
    (history_replay.TRANSITION_ALLOWED, lambda h: row(h, "events", 2, Trigger="expire", Status="PLACED")),
    (history_replay.TRANSITION_ALLOWED, lambda h: row(h, "events", 6, Trigger="cancel", Status="CANCELLED")),
    (history_replay.EVENTS_WHOLE, lambda h: h.final["events"].pop(4)),
    (history_replay.OUTBOX_ROW, lambda h: h.final["outbox"].pop(3)),
    (history_replay.OUTBOX_ROW, lambda h: row(h, "outbox", 3, CreatedAt=at(4.2))),
    (history_replay.NONE_WAITS_BESIDE_STOCK, lambda h: row(h, "ledger", 2, Available=1)),
    (history_replay.LIMIT, lambda h: h.final["sale"].update(LimitPerCustomer=0)),
    (history_replay.OPENING, lambda h: h.final["sale"].update(OpensAt=at(1.5))),
    (history_money.ONE_CAPTURE, lambda h: h.final["book"].pop(1)),
    (history_money.ONE_CAPTURE, lambda h: h.final["book"].append(entry("bob", "captured", PRICE))),
    (history_money.ONE_CAPTURE, lambda h: row(h, "book", 0, state="captured", captured_minor=PRICE)),
    (history_money.ONE_AUTHORIZATION, lambda h: h.final["book"].append(entry("bob", "authorized", 0))),
    (history_money.NOT_FORGOTTEN, lambda h: row(h, "book", 0, state="authorized")),
    (history_money.ASKED_OF_ORDER, lambda h: row(h, "book", 1, amount_minor=PRICE + 1)),
    (history_money.EVENT_ARRIVES, lambda h: h.final["payments"].pop(0)),
    (history_money.SETTLED, lambda h: row(h, "cursors", 0, EventSeq=4)),
]


@pytest.mark.parametrize(("rule", "broken"), BREAKS, ids=[f"{n} {rule}" for n, (rule, _) in enumerate(BREAKS)])
def test_what_breaks_a_rule_is_named(rule: str, broken: Break) -> None:
    history = copy.deepcopy(good())
    broken(history)
    assert rule in judge(history).rules_broken


def test_the_waitlist_s_order_is_judged_by_who_still_waits() -> None:
    history = good()
    late = {
        **history.final["orders"][1],
        "CustomerId": "dan",
        "OrderId": "order-dan",
        "PlacedAt": at(2.05),
        "EventSeq": 1,
    }
    history.final["orders"].append({**late, "Status": "WAITLISTED"})
    history.final["events"].append(
        {
            "CustomerId": "dan",
            "OrderId": "order-dan",
            "EventSeq": 1,
            "Status": "WAITLISTED",
            "Trigger": "waitlist",
            "CommittedAt": at(2.05),
        }
    )
    assert history_replay.QUEUE_ORDER in judge(history).rules_broken


def test_an_unknown_outcome_may_have_made_an_order_or_not() -> None:
    history = good()
    for place in (0, 5):
        answer(history, place, status=None, answered_ns=None, body={}, error="timeout")
    assert judge(history).violations == []
    history.calls.append(call("8", "place", "eve", 1.0, 1.1, 503))
    assert judge(history).violations == []
    answer(history, 0, error="not sent: ConnectionRefusedError")
    assert history_orders.REFUSED_IS_REFUSED in judge(history).rules_broken


@pytest.mark.parametrize(("sent", "as_of", "is_right"), [(2.25, 2.05, True), (2.25, 2.15, False), (2.6, 2.05, False)])
def test_a_memory_from_before_the_order_may_say_sold_out_to_its_retry_for_250_ms(
    sent: float, as_of: float, is_right: bool
) -> None:
    history = good()
    history.final["sale"]["WaitlistLimit"] = 0
    body = {"type": "urn:fairdrop:problem:sold-out", "age_ms": 200.0, "as_of": rfc3339(at(as_of))}
    answer(history, 2, status=409, sent_ns=int(sent * 1e9), answered_ns=int((sent + 0.01) * 1e9), body=body)
    broken = judge(history).rules_broken
    assert (history_orders.RETRY_FINDS not in broken) == is_right


def test_a_recorder_that_was_killed_leaves_calls_of_unknown_outcome(tmp_path: Path) -> None:
    asked = '{"number": "1", "client": "c", "op": "place", "customer": "ann", "key": "k", "units": 1, "method": null, '
    (tmp_path / "calls-0.jsonl").write_text(asked + '"order_id": null, "sent_ns": 5}\n{"number": "1", "answ')
    (found,) = read_calls([tmp_path / "calls-0.jsonl"])
    assert (found.sent_ns, found.status, found.is_known) == (5, None, False)


@pytest.mark.parametrize(
    "path", [p for p in sorted(HERE.glob("*.py")) if not p.name.startswith("test_")], ids=lambda p: p.name
)
def test_the_checker_shares_no_code_with_the_service(path: Path) -> None:
    imported: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.add(str(node.module).partition(".")[0])
    if path.name in OF_THE_SERVICE:
        return
    assert not imported & {"app", "emulator", "importlib", *(name.removesuffix(".py") for name in OF_THE_SERVICE)}
