"""Money follows units: the gateway's own book against the orders, and every event arrives."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from history_records import History, Violation
from history_replay import Line, Replay

ONE_CAPTURE = "a placed order has exactly one capture, any other none"
ONE_AUTHORIZATION = "an order has one authorization at most"
NOT_FORGOTTEN = "no authorization is forgotten"
ASKED_OF_ORDER = "money is asked for an order that held units, and for its price"
EVENT_ARRIVES = "no event is lost"
SETTLED = "in the end nothing is under way"

IN_FLIGHT = ("PENDING", "AUTHORIZED")
HOLDS_MONEY = ("authorized", "captured")


def money_violations(history: History, replay: Replay) -> Iterator[Violation]:
    """Every rule about money; with `settled`, nothing is excused as being under way."""
    if history.settled:
        yield from _under_way(history, replay)
    if history.final["book"] is None:
        return
    entries: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for entry in history.final["book"]:
        entries[entry["order_id"]].append(entry)
    payments = {row["OrderId"]: row for row in history.final["payments"]}
    for order_id, line in replay.orders.items():
        yield from _book(line, entries[order_id], history.settled)
        if history.settled:
            yield from _arrived(line, payments.get(order_id))
    for order_id in payments.keys() - replay.orders.keys():
        # Later than the orders' moment, perhaps: only at rest it cannot be.
        if history.settled:
            yield Violation(ASKED_OF_ORDER, f"there is a payment of order {order_id}, and no such order")


def _book(line: Line, entries: list[dict[str, Any]], settled: bool) -> Iterator[Violation]:
    price = line.units * line.row["UnitPriceMinor"]
    ever_held = any(status in ("PENDING", "AUTHORIZED") for _, status in line.history)
    for entry in entries:
        if entry["amount_minor"] != price or entry["currency"] != line.row["Currency"] or (settled and not ever_held):
            yield Violation(ASKED_OF_ORDER, f"{line} of {price}: the gateway was asked for {entry['amount_minor']}")
    approved = [entry for entry in entries if entry["state"] != "declined"]
    if len(approved) > 1:
        yield Violation(ONE_AUTHORIZATION, f"{line} has {len(approved)} authorizations")
    kept = [entry for entry in entries if entry["captured_minor"] > entry["refunded_minor"]]
    if len(kept) > 1:
        yield Violation(ONE_CAPTURE, f"{line} was captured {len(kept)} times")
    if settled and kept and not line.confirmed:
        yield Violation(ONE_CAPTURE, f"{line} is {line.status}, and was captured though its capture was never due")
    if not price:
        return
    if line.status == "PLACED":
        if len(kept) != 1 or kept[0]["captured_minor"] != price or kept[0]["refunded_minor"]:
            yield Violation(ONE_CAPTURE, f"{line} is PLACED for {price}, and {len(kept)} captures are kept")
    elif settled:
        if kept:
            yield Violation(ONE_CAPTURE, f"{line} is {line.status}, and {kept[0]['captured_minor']} are kept")
        for entry in approved:
            if entry["state"] == "authorized":
                yield Violation(NOT_FORGOTTEN, f"{line} is {line.status}, and its authorization still stands")


def _under_way(history: History, replay: Replay) -> Iterator[Violation]:
    for line in replay.orders.values():
        if line.status in IN_FLIGHT:
            yield Violation(SETTLED, f"{line} is still {line.status}")
    cursors = {row["OutboxShard"]: row for row in history.final["cursors"]}
    for row in history.final["outbox"]:
        cursor = cursors.get(row["OutboxShard"])
        at = (row["CreatedAt"], row["OrderId"], row["EventSeq"])
        if (
            cursor is None
            or cursor["CreatedAt"] is None
            or (cursor["CreatedAt"], cursor["OrderId"], cursor["EventSeq"]) < at
        ):
            yield Violation(SETTLED, f"order {row['OrderId']}: event {row['EventSeq']} was not published")


def _arrived(line: Line, payment: dict[str, Any] | None) -> Iterator[Violation]:
    """What the order has said its payment has heard, and the other way round."""
    if not line.row["UnitPriceMinor"]:
        return
    held = [status for _, status in line.history if status == "PENDING"]
    if payment is None:
        if held:
            yield Violation(EVENT_ARRIVES, f"{line} is {line.status}, and no payment was ever begun")
        return
    if line.status == "PENDING" and payment["State"] in ("AUTHORIZED", "DECLINED"):
        yield Violation(EVENT_ARRIVES, f"{line} is PENDING, and its payment {payment['State']}")
    if line.confirmed and payment["Wanted"] == "AUTHORIZE":
        yield Violation(EVENT_ARRIVES, f"{line} was confirmed, and its payment has not heard of it")
    if line.status not in (*IN_FLIGHT, "PLACED") and held and payment["Wanted"] != "VOID":
        yield Violation(EVENT_ARRIVES, f"{line} is {line.status}, and its payment has not heard of it")
