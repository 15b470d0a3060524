"""The scenario “giveaway”: free burgers, one a customer, each with a claim code; and what six million of them would need."""

import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from app.domain.errors import ClaimCodeInvalid
from app.domain.spanner_capacity import MULTI_REGION_SSD, REGIONAL_SSD, Capacity, capacity
from app.http.local_issuer import LocalIssuer
from app.http.tokens import TILL
from app.local.crew import Crew, crew, service_environment
from app.local.order_costs import MeasuredCost, cpu_seconds, measure_cost
from app.local.own_service import Say, create_sale, own_databases, seller_token
from app.local.promises import Promise
from app.local.settling import AUDIT_DEADLINE_SECONDS, call
from app.local.tokens_file import sign_tokens
from app.messaging.topics import ensure_topics
from app.rush.options import RushOptions
from app.rush.plan import Shares
from app.rush.report import RushReport
from app.rush.runner import ProgressHook, run_whole_rush
from app.rush.tokens import FileTokens
from app.services.audit.report import AuditReport, audit
from app.services.claim_keys import ClaimVerifier
from app.services.leases import holder_name
from app.services.reports import keep_or_say, keep_verdict
from app.settings import Settings
from app.storage.database import connect

SALE_ID = "burger"
SALE_NAME = "Free burger"
RUSH_PROCESSES = 2
CROWD = Shares(double=0.02, retry=0.02, dropped=0.01, false_time=0.02)
TRIES = 200
REDEEMED_SAMPLE = 20
"""Codes that are redeemed: each by three calls, one after the other."""

MILLIONS, MINUTES = 6, 10
"""The giveaway that this is the small one of: 6,000,000 within 10 minutes."""

CREATED, OK, CONFLICT = 201, 200, 409


@dataclass(frozen=True, slots=True)
class BurgersOptions:
    """How large the scenario is. `state_dir` gets its logs and answers."""

    burgers: int
    buyers: int
    workers: int
    state_dir: Path


@dataclass(frozen=True, slots=True)
class Codes:
    """What became of the run's claim codes.

    `orders` are those that the answers called PLACED; `genuine` the codes that hold by the public keys and say the order and
    units of their answer. Of a sample: redeemed (201), asked again by the same till and key (200, the same answer), and by
    another till (409).
    """

    orders: int
    genuine: int
    sample: int
    redeemed: int
    replayed: int
    refused: int


@dataclass(frozen=True, slots=True)
class BurgersResult:
    """What the scenario found, and what it costs."""

    options: BurgersOptions
    rush: RushReport
    placed: int
    codes: Codes
    audit: AuditReport
    cost: MeasuredCost

    @property
    def regional(self) -> Capacity:
        """What 6,000,000 in 10 minutes need in one region."""
        return capacity(self.cost.cost, MILLIONS * 10**6, MINUTES * 60, REGIONAL_SSD)

    @property
    def multi_region(self) -> Capacity:
        """The same in a dual- or multi-region instance."""
        return capacity(self.cost.cost, MILLIONS * 10**6, MINUTES * 60, MULTI_REGION_SSD)

    @property
    def promises(self) -> list[Promise]:
        """What was promised, and whether it was kept."""
        wanted, codes = min(self.options.burgers, self.options.buyers), self.codes
        return [
            Promise("every burger given away, none twice", f"{self.placed:,} of {wanted:,}", self.placed == wanted),
            Promise("every buyer answered", f"{self.rush.unanswered:,} were not", not self.rush.unanswered),
            Promise(
                "every order has a code that holds offline",
                f"{codes.genuine:,} of {codes.orders:,}",
                codes.genuine == codes.orders == self.placed,
            ),
            Promise(
                "a code is redeemed", f"{codes.redeemed:,} of {codes.sample:,}", 0 < codes.sample == codes.redeemed
            ),
            Promise(
                "a retry gets the same answer",
                f"{codes.replayed:,} of {codes.sample:,}",
                codes.replayed == codes.sample,
            ),
            Promise("never twice", f"{codes.refused:,} of {codes.sample:,} refused", codes.refused == codes.sample),
            Promise("the audit", self.audit.verdict, not self.audit.broken),
        ]

    def as_json(self) -> dict[str, Any]:
        """All of it as plain values."""
        return {
            "scenario": "burgers",
            "kept": all(promise.is_kept for promise in self.promises),
            "promises": [asdict(promise) for promise in self.promises],
            "placed": self.placed,
            "codes": asdict(self.codes),
            "cost": asdict(self.cost),
            "plan": {
                "orders": MILLIONS * 10**6,
                "seconds": MINUTES * 60,
                "regional": asdict(self.regional),
                "multi_region": asdict(self.multi_region),
            },
            "rush": self.rush.as_json(),
            "audit": self.audit.as_json(),
        }


def play_burgers(options: BurgersOptions, say: Say, progress: ProgressHook | None) -> BurgersResult:
    """Play the scenario from nothing, and leave nothing running.

    Raises EmulatorError, ChildFailed or RushNotPossibleError with what to do about it.
    """
    with own_databases("giveaway", options.state_dir, say) as settings:
        tokens = sign_tokens(settings, options.buyers, say)
        say(f"starting the API with {options.workers} gevent worker(s), and a relay: nothing is to be paid")
        with _serving(settings, options.workers) as team:
            url = team.addresses.api
            _create(url, seller_token(settings), options)
            answers = settings.state_dir / "rush.jsonl"
            before = cpu_seconds(team.members["api"].pid)
            rush = run_whole_rush(_crowd(options, tokens, url, answers), progress)
            cpu = cpu_seconds(team.members["api"].pid) - before
            say("verifying every claim code by the public keys, and redeeming some")
            with answers.open("rb") as lines:
                codes = _codes(lines, url, LocalIssuer.load(settings))
            team.check()
            say("auditing every row and every answer")
            database = connect(settings.model_copy(update={"rpc_deadline_seconds": AUDIT_DEADLINE_SECONDS}))
            verdict = audit(database, SALE_ID, answers)
            keep = partial(keep_verdict, database, verdict, holder_name(), "fairdrop scenario burgers")
            keep_or_say("the verdict", keep, say)
            cost = measure_cost(database, SALE_ID, cpu)
            return BurgersResult(options, rush, verdict.orders, codes, verdict, cost)


@contextmanager
def _serving(settings: Settings, workers: int) -> Iterator[Crew]:
    ensure_topics(settings.broker_project)
    environment, addresses = service_environment(settings, workers=workers)
    with crew(environment, addresses, settings.state_dir / "logs", "api", "relay") as team:
        yield team


def _create(url: str, token: str, options: BurgersOptions) -> None:
    now = datetime.now(UTC)
    create_sale(
        url,
        token,
        sale_id=SALE_ID,
        name=SALE_NAME,
        unit_price_minor=0,
        currency="EUR",
        stock=options.burgers,
        limit_per_customer=1,
        waitlist_limit=0,
        expected_crowd=options.buyers,
        opens_at=now - timedelta(seconds=1),
        closes_at=now + timedelta(hours=2),
    )


def _crowd(options: BurgersOptions, tokens: FileTokens, url: str, answers: Path) -> RushOptions:
    return RushOptions(
        sale_id=SALE_ID,
        tokens=tokens,
        answers=answers,
        url=url,
        buyers=options.buyers,
        processes=RUSH_PROCESSES,
        shares=CROWD,
        tries_limit=TRIES,
    )


def _codes(lines: Iterable[bytes], url: str, issuer: LocalIssuer) -> Codes:
    """Verify every code of an answers file by what the service publishes, and redeem the first ones as tills would."""
    keys = call(f"{url}/v1/claim-keys", issuer.token("till-0", (TILL,)))[1]["keys"]
    verifier = ClaimVerifier(bytes.fromhex(key["public_key"]) for key in keys)
    orders: set[str] = set()
    sample: list[str] = []
    genuine = 0
    for text in lines:
        line = orjson.loads(text)
        if line.get("order_status") != "PLACED" or line["order_id"] in orders:
            continue
        orders.add(line["order_id"])
        genuine += _is_genuine(verifier, line)
        if len(sample) < REDEEMED_SAMPLE:
            sample.append(line["claim_code"])
    told = [_redeem_thrice(code, url, issuer) for code in sample]
    redeemed, replayed, refused = (sum(each) for each in zip(*told, strict=True)) if told else (0, 0, 0)
    return Codes(len(orders), genuine, len(sample), redeemed, replayed, refused)


def _is_genuine(verifier: ClaimVerifier, line: dict[str, Any]) -> bool:
    """Whether the code holds, and is for what the answer said."""
    try:
        claim = verifier.verify(line["claim_code"] or "")
    except ClaimCodeInvalid:
        return False
    return (claim.sale_id, claim.order_id, claim.units) == (SALE_ID, line["order_id"], line["units"])


def _redeem_thrice(code: str, url: str, issuer: LocalIssuer) -> tuple[bool, bool, bool]:
    """Whether the first till redeemed it, its retry got the same answer, and a second till was refused."""
    key = uuid.uuid4().hex
    first = _redeem(code, "till-1", key, url, issuer)
    again = _redeem(code, "till-1", key, url, issuer)
    other = _redeem(code, "till-2", uuid.uuid4().hex, url, issuer)
    is_told_when = other[1].get("redeemed_at") == first[1].get("redeemed_at")
    return (
        first[0] == CREATED,
        again[0] == OK and again[1] == first[1],
        other[0] == CONFLICT and is_told_when,
    )


def _redeem(code: str, till: str, key: str, url: str, issuer: LocalIssuer) -> tuple[int, dict[str, Any]]:
    body = {"code": code, "till_id": till}
    return call(f"{url}/v1/redemptions", issuer.token(till, (TILL,)), body, {"Idempotency-Key": key})
