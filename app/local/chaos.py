"""A sale under load while everything around it fails at random: emulators, schema, every process, a rush, faults, the audit."""

import os
import subprocess  # starting our own command is what it is for
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from app.domain.errors import StorageUnavailable
from app.local import witness
from app.local.chaos_faults import Mischief, play, possible_kinds
from app.local.chaos_plan import plan
from app.local.chaos_report import ChaosReport
from app.local.children import ChildFailed
from app.local.crew import crew, service_environment
from app.local.demo import CROWD
from app.local.own_service import apply_schemas, create_sale, interrupt_on_sigterm, own_settings, seller_token
from app.local.settling import AUDIT_DEADLINE_SECONDS, Standing, post, standing
from app.local.wrong_clock import clocks_can_be_wrong
from app.messaging.topics import ensure_topics
from app.rush.local_tokens import LocalTokens
from app.rush.options import RushOptions
from app.rush.report import RushReport
from app.rush.runner import run_rush
from app.services.audit.money import MoneySources
from app.services.audit.report import AuditReport, audit
from app.services.leases import holder_name
from app.services.reports import keep_or_say, keep_verdict
from app.settings import Settings
from app.storage.database import connect
from emulator import running

UNIT_PRICE_MINOR = 49_900
LIMIT_PER_CUSTOMER = 2
BUYERS_PER_SECOND = 30.0
UNITS_PER_SECOND = 6.0
"""A fraction of what is asked for, so that the sale is sold out long before the end, and freed units are fought for."""

HOLD_SECONDS = 15
CANCEL_WINDOW_SECONDS = 4
LEASE_SECONDS = 2.0
ACK_DEADLINE_SECONDS = 10
"""What a killed worker had pulled comes again soon."""

MEMBERS = (
    *("api", "relay", "payments-relay", "payments", "settlement", "deadlines", "gateway"),
    *("relay#2", "payments#2", "settlement#2", "deadlines#2"),
)
"""Every process of the Procfile, and a second one of those that take over from each other."""

GATEWAY_OPTIONS = "--decline-rate 0.2 --timeout-rate 0.03 --lost-rate 0.03 --hold-seconds 2 --delay-ms 20"
DUPLICATE_SHARE = 0.05
API_WORKERS = 2
RUSH_TRIES = 60
RUSH_TIMEOUT_SECONDS = 20.0
SETTLE_SECONDS = 300.0
LAPSE_SECONDS = 120.0
LAST_VOIDS_SECONDS = 90.0
REPLAY_SECONDS = 120.0

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ChaosOptions:
    """How long, from which seed, and where logs, answers and the history go."""

    seconds: float
    seed: int
    state_dir: Path


def chaos(options: ChaosOptions, say: Say) -> ChaosReport:
    """Play it; nothing is left running. Raises EmulatorError, ChildFailed or RushNotPossibleError."""
    interrupt_on_sigterm()
    # Short leases, so that who takes over does so at once.
    settings = own_settings("chaos", options.state_dir, lease_seconds=LEASE_SECONDS)
    say(f"seed {options.seed}: emulators, schema and every process; Spanner aborts transactions at random")
    with ExitStack() as stack:
        emulators = stack.enter_context(
            running(spanner=True, pubsub=True, fresh=True, spanner_arguments=("--enable_fault_injection",))
        )
        os.environ.update(emulators.environment)
        apply_schemas(settings)
        ensure_topics(settings.broker_project, ACK_DEADLINE_SECONDS)
        environment, addresses = service_environment(
            settings, workers=API_WORKERS, gateway_options=GATEWAY_OPTIONS, duplicate_share=DUPLICATE_SHARE
        )
        environment["FAIRDROP_TAKE_TURNS"] = "false"  # as at Spanner, the API's workers are to meet each other
        logs, has_clocks = settings.state_dir / "logs", clocks_can_be_wrong()
        team = stack.enter_context(crew(environment, addresses, logs, *MEMBERS, has_clocks=has_clocks))
        token = seller_token(settings)
        sale_id = settings.spanner_database
        _create_sale(addresses.api, token, sale_id, options.seconds)
        return _Run(options, settings, environment, Mischief(team, emulators), sale_id, token, say).play()


class _Run:
    """One run, once everything is up."""

    def __init__(
        self,
        options: ChaosOptions,
        settings: Settings,
        environment: dict[str, str],
        mischief: Mischief,
        sale_id: str,
        token: str,
        say: Say,
    ) -> None:
        self._options = options
        self._settings = settings
        self._environment = environment
        self._mischief = mischief
        self._addresses = mischief.crew.addresses
        self._sale_id = sale_id
        self._token = token
        self._began_at = datetime.now(UTC)
        began = time.monotonic()
        self._say: Say = lambda what: say(f"{time.monotonic() - began:7.1f} s  {what}")
        self._answers = settings.state_dir / "rush.jsonl"
        self._database = connect(settings.model_copy(update={"rpc_deadline_seconds": AUDIT_DEADLINE_SECONDS}))

    def play(self) -> ChaosReport:
        """Load and faults together; then quiet, and the verdicts."""
        options = self._options
        faults = plan(options.seed, options.seconds, MEMBERS, possible_kinds())
        witnesses = None
        with ExitStack() as stack:
            if witness.are_there():
                folder = self._settings.state_dir / "history"
                witnesses = witness.Witnesses(
                    self._settings, self._environment, self._sale_id, self._addresses.api, folder
                )
                stack.enter_context(witnesses.watching(options.seed, options.seconds))
            rush = _Rush(self._crowd())
            rush.start()
            play(faults, self._mischief, options.seconds, self._say)
            self._say("no more faults; the crowd gets its last answers")
            report = rush.result()
        settled = self._settle()
        verdict = self._audit()
        if witnesses is not None:
            self._say("the witnesses are heard")
        history = witnesses.verdict() if witnesses is not None else None
        seconds = (datetime.now(UTC) - self._began_at).total_seconds()
        return ChaosReport(
            options.seed,
            seconds,
            faults,
            self._mischief.died,
            report,
            settled.is_settled,
            settled.placed_units,
            verdict,
            history,
        )

    def _crowd(self) -> RushOptions:
        return RushOptions(
            sale_id=self._sale_id,
            tokens=LocalTokens(self._settings),
            answers=self._answers,
            url=self._addresses.api,
            buyers=max(1, int(BUYERS_PER_SECOND * self._options.seconds)),
            processes=1,
            connections=64,
            arrivals="open",
            rate_per_second=BUYERS_PER_SECOND,
            shares=CROWD,
            seed=self._options.seed,
            tries_limit=RUSH_TRIES,
            timeout_seconds=RUSH_TIMEOUT_SECONDS,
        )

    def _settle(self) -> Standing:
        """What a broker lost is published again; then holds end, captures come, and the sale is closed."""
        if self._mischief.broker_losses:
            self._say("Pub/Sub lost what it held: both logs are replayed")
            for database in ("orders", "payments"):
                self._replay(database)
        self._say("the payments settle")
        self._wait(SETTLE_SECONDS, lambda now: now.is_settled)
        self._say("closing the sale; whoever still waits is let go")
        post(f"{self._addresses.api}/v1/admin/sales/{self._sale_id}/close", self._token)
        return self._wait(LAPSE_SECONDS, lambda now: now.is_settled and not now.orders.get("WAITLISTED"))

    def _replay(self, database: str) -> None:
        since = (self._began_at - timedelta(minutes=1)).isoformat()
        command = [sys.executable, "-m", "app.cli", "replay", "--since", since, "--database", database]
        done = subprocess.run(  # noqa: S603  # the command is ours
            command,
            env={**os.environ, **self._environment},
            capture_output=True,
            text=True,
            timeout=REPLAY_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise ChildFailed(f"the replay of {database} failed: {done.stderr}")

    def _wait(self, seconds: float, is_over: Callable[[Standing], bool]) -> Standing:
        """Look until it is over, or so long; whoever ends by himself meanwhile is started again."""
        give_up = time.monotonic() + seconds
        while True:
            for name in self._mischief.revive():
                self._say(f"{name} had ended by itself, and was started again")
            try:
                now = standing(self._database, self._sale_id)
            except StorageUnavailable:
                # Its sessions are of before a suspension.
                now = Standing({}, 0, is_settled=False)
            if is_over(now) or time.monotonic() > give_up:
                return now
            time.sleep(0.5)

    def _audit(self) -> AuditReport:
        """The audit, once the last voids are through: that no order is under way does not say that they are."""
        patient = self._settings.model_copy(update={"rpc_deadline_seconds": AUDIT_DEADLINE_SECONDS})
        money = MoneySources(connect(patient, patient.payments_database), self._addresses.gateway)
        self._say("the audit, once the last voids are through")
        give_up = time.monotonic() + LAST_VOIDS_SECONDS
        while True:
            report = audit(self._database, self._sale_id, self._answers, None, money=money, settled=True)
            if not report.broken or time.monotonic() > give_up:
                keep = partial(keep_verdict, self._database, report, holder_name(), "fairdrop chaos")
                keep_or_say("the verdict", keep, self._say)
                return report
            time.sleep(2.0)


class _Rush(threading.Thread):
    """The crowd, beside the faults."""

    def __init__(self, options: RushOptions) -> None:
        super().__init__(name="rush", daemon=True)
        self._options = options
        self._report: RushReport | None = None
        self._error: Exception | None = None

    def run(self) -> None:
        """Play it to its end."""
        try:
            self._report = run_rush(self._options)
        except Exception as error:
            self._error = error

    def result(self) -> RushReport:
        """Waits for it; raises what it raised."""
        self.join()
        if self._report is None:
            raise self._error or ChildFailed("the rush ended without a report")
        return self._report


def _create_sale(url: str, token: str, sale_id: str, seconds: float) -> None:
    """The sale of a run of so many seconds, put up by HTTP."""
    now = datetime.now(UTC)
    create_sale(
        url,
        token,
        sale_id=sale_id,
        name="Phone, in a storm",
        unit_price_minor=UNIT_PRICE_MINOR,
        currency="EUR",
        stock=max(10, int(UNITS_PER_SECOND * seconds)),
        limit_per_customer=LIMIT_PER_CUSTOMER,
        expected_crowd=max(100, int(BUYERS_PER_SECOND * seconds)),
        waitlist_limit=max(10, int(UNITS_PER_SECOND * seconds)),
        shard_count=4,
        hold_seconds=HOLD_SECONDS,
        cancel_window_seconds=CANCEL_WINDOW_SECONDS,
        opens_at=now - timedelta(seconds=1),
        closes_at=now + timedelta(hours=12),
    )
