"""The scenario “lottery”: a crowd enters a priced draw over HTTP, the entries close by the clock, and nobody's hand draws.

The workers draw, take the payments and promote the next by place where a card is declined; then the draw's record is checked by
what anybody has: the published file, and the commitment noted before the first entry.
"""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from app.http.local_issuer import LocalIssuer
from app.local.children import ChildFailed
from app.local.lottery_result import Lates, LotteryOptions, LotteryResult, Mentioned, Proof
from app.local.own_service import Say, create_sale, own_databases, seller_token, whole_service
from app.local.settling import (
    AUDIT_DEADLINE_SECONDS,
    SETTLE_SECONDS,
    Cancellers,
    call,
    close,
    settle,
    settled_audit,
)
from app.local.tokens_file import sign_tokens
from app.rush.options import RushOptions
from app.rush.plan import Shares
from app.rush.runner import ProgressHook, run_whole_rush
from app.rush.tokens import FileTokens
from app.services.audit.money import MoneySources
from app.services.draw_record import export, verify
from app.services.fairness import fairness
from app.settings import Settings
from app.storage.database import FairdropDatabase, connect, snapshot

SALE_ID = "tickets"
SALE_NAME = "Tickets by lot"
UNIT_PRICE_MINOR = 8_900
HOLD_SECONDS = 60
CANCEL_WINDOW_SECONDS = 2
GATEWAY_OPTIONS = "--decline-rate 0.1 --delay-ms 20"
"""Every tenth card is declined, so the next by place is promoted."""

OPENS_IN_SECONDS = 3.0
"""From the sale's making: the crowd's processes start meanwhile."""

LEAST_WINDOW_SECONDS = 6.0
ENTRIES_PER_SECOND = 200.0
"""The window is as long as it takes to enter at this pace: unhurried, for in a lottery nothing is won by haste."""

CROSSING_SECONDS = 2.0
"""The crowd comes for so much longer than the window is open, so that some of it is too late."""

CROWD = Shares(double=0.05, retry=0.03, dropped=0.02, false_time=0.02)
WITHDRAW_PERCENT = 3
RUSH_PROCESSES = 2
TRIES = 200
CLEARLY_PAST_MS = 1_000
"""After the close: a request is stamped by the server's clock, and judged by what the server knows of the database's."""

LATE_CALLERS = 10
"""Customers who try to enter after the close, whatever the crowd did."""


def play_lottery(options: LotteryOptions, say: Say, progress: ProgressHook | None) -> LotteryResult:
    """Play the scenario from nothing, and leave nothing running.

    Raises EmulatorError, ChildFailed or RushNotPossibleError with what to do about it.
    """
    with own_databases("lottery", options.state_dir, say) as settings:
        say(f"starting every process of scripts/Procfile; the API with {options.workers} gevent worker(s)")
        with whole_service(settings, options.workers, GATEWAY_OPTIONS) as (addresses, stack):
            database = connect(settings.model_copy(update={"rpc_deadline_seconds": AUDIT_DEADLINE_SECONDS}))
            payments = connect(settings, settings.payments_database)
            url, token = addresses.api, seller_token(settings)
            tokens = sign_tokens(settings, options.entries, say)
            window_seconds = max(LEAST_WINDOW_SECONDS, options.entries / ENTRIES_PER_SECOND)
            closes_at = _create(url, token, options, window_seconds)
            before = call(f"{url}/v1/sales/{SALE_ID}", token)[1]["draw"]
            say(f"{options.entries:,} customers, {options.stock:,} units; open for {window_seconds:.0f} s")
            answers = settings.state_dir / "rush.jsonl"
            withdrawing = Cancellers(settings, url, SALE_ID, WITHDRAW_PERCENT)
            withdrawing.start()
            try:
                rush = run_whole_rush(_crowd(options, tokens, url, answers, window_seconds), progress)
                time.sleep(max(0.0, (closes_at - datetime.now(UTC)).total_seconds()))
            finally:
                withdrawing.stop()
            lates = _come_late(settings, url)
            say("the entries are closed; the workers draw, and the payments settle")
            settled = settle(database, SALE_ID, say)
            stack.check()
            if not settled.is_settled:
                raise ChildFailed(f"the lottery has not settled in {SETTLE_SECONDS:.0f} s; see {stack.log_path}")
            final = close(database, url, token, SALE_ID, say)
            say("checking the draw's record, and auditing every row, every answer and every payment")
            return LotteryResult(
                options=options,
                rush=rush,
                lates=lates,
                entered_late=entered_after(database, SALE_ID),
                proof=_prove(database, settings.state_dir, before["commitment"], before["seed"], url, token),
                mentioned=_mentioned(
                    answers, settings.state_dir / "draw.jsonl", withdrawing.cancelled_orders, withdrawing.refused
                ),
                standing=final,
                promoted=_promoted(database, SALE_ID),
                audit=settled_audit(
                    database,
                    SALE_ID,
                    answers,
                    MoneySources(payments, addresses.gateway),
                    "fairdrop scenario lottery",
                    say,
                ),
                fairness=fairness(database, SALE_ID, answers),
            )


def _create(url: str, token: str, options: LotteryOptions, window_seconds: float) -> datetime:
    opens_at = datetime.now(UTC) + timedelta(seconds=OPENS_IN_SECONDS)
    closes_at = opens_at + timedelta(seconds=window_seconds)
    create_sale(
        url,
        token,
        sale_id=SALE_ID,
        name=SALE_NAME,
        policy="lottery",
        unit_price_minor=UNIT_PRICE_MINOR,
        currency="EUR",
        stock=options.stock,
        limit_per_customer=1,
        expected_crowd=options.entries,
        hold_seconds=HOLD_SECONDS,
        cancel_window_seconds=CANCEL_WINDOW_SECONDS,
        opens_at=opens_at,
        closes_at=closes_at,
    )
    return closes_at


def _crowd(options: LotteryOptions, tokens: FileTokens, url: str, answers: Path, window_seconds: float) -> RushOptions:
    return RushOptions(
        sale_id=SALE_ID,
        tokens=tokens,
        answers=answers,
        url=url,
        buyers=options.entries,
        processes=RUSH_PROCESSES,
        arrivals="open",
        rate_per_second=options.entries / (window_seconds + CROSSING_SECONDS),
        shares=CROWD,
        tries_limit=TRIES,
        waits_for_opening=True,
    )


def _come_late(settings: Settings, url: str) -> Lates:
    """Customers who enter after the close, by HTTP."""
    issuer, refused = LocalIssuer.load(settings), 0
    for number in range(LATE_CALLERS):
        name = f"late-{number}"
        status, said = call(
            f"{url}/v1/sales/{SALE_ID}/orders",
            issuer.token(name),
            {"units": 1, "payment_method": "tok_visa"},
            {"Idempotency-Key": name},
        )
        refused += status == 409 and said.get("type", "").endswith(":sale-closed")  # noqa: PLR2004 - Conflict
    return Lates(LATE_CALLERS, refused)


def entered_after(database: FairdropDatabase, sale_id: str) -> int:
    """Entries whose commit is not before the one that sealed them, or whose request came when the close was clearly past: what was
    under way at the close may be committed until the sealing, and nothing else.
    """
    sql = f"""
        SELECT COUNTIF(o.PlacedAt >= d.SealedAt
                       OR o.ReceivedAt >= TIMESTAMP_ADD(s.ClosesAt, INTERVAL {CLEARLY_PAST_MS} MILLISECOND))
        FROM Draws d JOIN Sales s ON s.SaleId = d.SaleId JOIN Orders o ON o.SaleId = d.SaleId
        WHERE d.SaleId = @sale"""  # noqa: S608  # a number of our own
    return _number(database, sql, sale_id)


def _promoted(database: FairdropDatabase, sale_id: str) -> int:
    """Orders that got the units of one that failed."""
    return _number(database, "SELECT COUNT(*) FROM OrderEvents WHERE SaleId = @sale AND `Trigger` = 'promote'", sale_id)


def _number(database: FairdropDatabase, sql: str, sale_id: str) -> int:
    with snapshot(database) as reads:
        ((number,),) = reads.execute_sql(sql, params={"sale": sale_id})
    return int(number or 0)


def _prove(
    database: FairdropDatabase, folder: Path, commitment: str, seed_before: str | None, url: str, token: str
) -> Proof:
    """Export the record, verify it against the commitment noted before, and let a changed copy be refused."""
    path, forged = folder / "draw.jsonl", folder / "draw-forged.jsonl"
    export(database, SALE_ID, path)
    forged.write_bytes(forge(path.read_bytes()))
    shown = [call(f"{url}/v1/admin/sales/{SALE_ID}/draw", token, {}) for _ in range(2)]
    # A look of the public page may be a second old.
    time.sleep(1.5)
    public = call(f"{url}/v1/sales/{SALE_ID}", token)[1]["draw"]
    return Proof(
        commitment_before=commitment,
        commitment_after=public["commitment"],
        is_secret_before=seed_before is None,
        genuine=verify(path, commitment, public["digest"]),
        forged=verify(forged, commitment, public["digest"]),
        draws=len({orjson.dumps(body) for _, body in [*shown, (0, public)]}),
        state=public["state"],
    )


def forge(record: bytes) -> bytes:
    """A record in which the last has taken the place of the first: what somebody would do for a friend."""
    head, *lines = record.splitlines(keepends=True)
    first, last = orjson.loads(lines[0]), orjson.loads(lines[-1])
    first["order_id"], last["order_id"] = last["order_id"], first["order_id"]
    ends = [orjson.dumps(each, option=orjson.OPT_APPEND_NEWLINE) for each in (first, last)]
    return b"".join((head, ends[0], *lines[1:-1], ends[1]))


def _mentioned(answers: Path, record: Path, withdrawn: set[str], refused_withdrawals: int) -> Mentioned:
    """Who was told ENTERED, against who is in the record."""
    entered: set[str] = set()
    with answers.open("rb") as lines:
        for text in lines:
            line: dict[str, Any] = orjson.loads(text)
            if line.get("order_status") == "ENTERED":
                entered.add(line["order_id"])
    with record.open("rb") as lines:
        next(lines)
        listed = {orjson.loads(text)["order_id"] for text in lines}
    return Mentioned(
        entered=len(entered),
        withdrawn=len(withdrawn),
        refused_withdrawals=refused_withdrawals,
        in_record=len(listed),
        missing=len(entered - withdrawn - listed),
        withdrawn_yet_listed=len(withdrawn & listed),
    )
