"""A whole rush: finds the sale, starts the processes, starts them all at once, joins their answers and reports."""

import multiprocessing
import shutil
import signal
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from time import monotonic_ns
from typing import Any, Literal

import orjson

from app.rush.http_client import Target
from app.rush.options import RushOptions
from app.rush.process import Failed, Finished, Message, Minted, Pipe, Played, Ready, play
from app.rush.report import RushReport, summarise
from app.rush.service import RushNotPossibleError, SaleFound, find_sale
from app.signals import handled, held

START_AFTER_NS = 500_000_000
"""Between the start signal and the start: time to open the connections."""

PROGRESS_EVERY_SECONDS = 0.25
STOP_WITHIN_SECONDS = 10.0
"""A process that has not stopped by then is ended."""

TEST_CARD = "tok_visa"


@dataclass(frozen=True, slots=True)
class RushProgress:
    """How far it is: tokens minted, or buyers done, of `total`; attempts that ended; seconds since this phase began."""

    phase: Literal["tokens", "rush"]
    done: int
    total: int
    attempts: int
    seconds: float


ProgressHook = Callable[[RushProgress], None]


def run_rush(options: RushOptions, progress: ProgressHook | None = None) -> RushReport:
    """Plays the rush, writes `options.answers` and returns the report.

    `progress` is called some times a second. A Ctrl-C (KeyboardInterrupt) stops all processes; the report of what came
    until then is returned, with `is_interrupted` set. Raises RushNotPossibleError when service or sale are not there, and
    when a process fails (the answers until then are in the file).
    """
    target, sale = find_sale(options.url, options.sale_id)
    options = _complete(options, sale)
    options.answers.parent.mkdir(parents=True, exist_ok=True)
    started_at = datetime.now(UTC)
    parts = [options.answers.with_name(f"{options.answers.name}.part{number}") for number in range(options.processes)]
    ensemble = _Ensemble(options, progress or _no_progress)
    try:
        ensemble.start(target, parts)
        ensemble.play()
    finally:
        ensemble.end()
    header = _header(options, sale, started_at, ensemble)
    _join(options.answers, header, parts)
    if ensemble.failure is not None:
        raise RushNotPossibleError(ensemble.failure)
    with options.answers.open("rb") as file:
        return summarise(file)


def run_whole_rush(options: RushOptions, progress: ProgressHook | None = None) -> RushReport:
    """As `run_rush`, for what goes on to something else afterwards: a Ctrl-C, when the processes have stopped, is raised again."""
    report = run_rush(options, progress)
    if report.is_interrupted:
        raise KeyboardInterrupt
    return report


def _complete(options: RushOptions, sale: SaleFound) -> RushOptions:
    """What the caller left to the sale."""
    payment_method = options.payment_method or (None if sale.is_free else TEST_CARD)
    return replace(options, limit=options.limit or sale.limit_per_customer or 1, payment_method=payment_method)


def _no_progress(_: RushProgress) -> None:
    return


_NOTHING_PLAYED = Played(0, 0)


@dataclass(slots=True)
class _Player:
    """One process as the runner sees it."""

    process: BaseProcess
    pipe: Pipe
    minted: int = 0
    is_ready: bool = False
    played: Played = _NOTHING_PLAYED
    finished: Finished | None = None


class _Ensemble:
    """The processes together. `failure` tells why one of them failed; `is_interrupted`, that Ctrl-C ended the rush."""

    def __init__(self, options: RushOptions, progress: ProgressHook) -> None:
        self._options = options
        self._progress = progress
        self._phase: Literal["tokens", "rush"] = "tokens"
        self._phase_began_ns = monotonic_ns()
        self.players: list[_Player] = []
        self.failure: str | None = None
        self.is_interrupted = False

    def start(self, target: Target, parts: Sequence[Path]) -> None:
        """Starts the processes, which begin with their tokens."""
        context = multiprocessing.get_context("spawn")
        # Deaf to Ctrl-C from their first moment on; and one that is there and was not told what to do would say so in a traceback.
        with held(signal.SIGTERM), handled(signal.SIG_IGN, signal.SIGINT):
            for number, part in enumerate(parts):
                ours, theirs = context.Pipe()
                process = context.Process(
                    target=play, args=(self._options, target, number, part, theirs), name=f"rush-{number}", daemon=True
                )
                process.start()
                theirs.close()
                self.players.append(_Player(process, ours))

    def play(self) -> None:
        """Returns when every process has finished, or one has failed, or after Ctrl-C; then the others have stopped too."""
        try:
            self._listen_until(lambda: all(player.is_ready for player in self.players))
            if self.failure is None:
                self._phase, self._phase_began_ns = "rush", monotonic_ns() + START_AFTER_NS
                self._tell(self._phase_began_ns)
                self._listen_until(self._is_over)
        except KeyboardInterrupt:
            self.is_interrupted = True
        if not self._is_over():
            self._tell(None)
            patience_ns = monotonic_ns() + int(STOP_WITHIN_SECONDS * 1e9)
            self._listen_until(lambda: self._is_over() or monotonic_ns() > patience_ns, even_after_failure=True)

    def end(self) -> None:
        """Leaves no process behind."""
        for player in self.players:
            player.pipe.close()
            player.process.join(STOP_WITHIN_SECONDS if player.finished else 0)
            if player.process.is_alive():
                player.process.kill()
                player.process.join()

    def _is_over(self) -> bool:
        return all(player.finished is not None for player in self.players)

    def _tell(self, what: int | None) -> None:
        for player in self.players:
            if player.finished is None:
                try:
                    player.pipe.send(what)
                except OSError:
                    self._lost(player)

    def _listen_until(self, is_enough: Callable[[], bool], even_after_failure: bool = False) -> None:
        while not is_enough() and (self.failure is None or even_after_failure):
            by_pipe = {player.pipe: player for player in self.players if player.finished is None}
            for pipe in wait(list(by_pipe), PROGRESS_EVERY_SECONDS):
                player = by_pipe[pipe]  # type: ignore[index]  # `wait` returns what it was given
                try:
                    self._hear(player, player.pipe.recv())
                except (EOFError, OSError):
                    self._lost(player)
            self._show()
        self._show()

    def _hear(self, player: _Player, message: Message) -> None:
        match message:
            case Minted():
                player.minted = message.tokens
            case Ready():
                player.is_ready = True
            case Played():
                player.played = message
            case Finished():
                player.finished = message
                player.is_ready = True
            case Failed():
                self.failure = self.failure or message.reason
                player.finished = Finished(0.0, 0.0)

    def _lost(self, player: _Player) -> None:
        self.failure = self.failure or f"{player.process.name} ended without a word"
        player.finished = Finished(0.0, 0.0)

    def _show(self) -> None:
        is_rush = self._phase == "rush"
        self._progress(
            RushProgress(
                phase=self._phase,
                done=sum(player.played.buyers if is_rush else player.minted for player in self.players),
                total=self._options.buyers,
                attempts=sum(player.played.attempts for player in self.players),
                seconds=max(0, monotonic_ns() - self._phase_began_ns) / 1e9,
            )
        )


def _header(options: RushOptions, sale: SaleFound, started_at: datetime, ensemble: _Ensemble) -> dict[str, Any]:
    finished = [player.finished or Finished(0.0, 0.0) for player in ensemble.players]
    return {
        "sale_id": options.sale_id,
        "sale_phase": sale.phase,
        "url": options.url,
        "started_at": f"{started_at:%Y-%m-%dT%H:%M:%S.%f}Z",
        "buyers": options.buyers,
        "processes": options.processes,
        "connections": options.connections,
        "arrivals": options.arrivals,
        "rate_per_second": options.rate_per_second,
        "seed": options.seed,
        "limit": options.limit,
        "waits_for_opening": options.waits_for_opening,
        "shares": asdict(options.shares),
        "interrupted": ensemble.is_interrupted,
        "cpu_seconds": [each.cpu_seconds for each in finished],
        "run_seconds": [each.run_seconds for each in finished],
    }


def _join(answers: Path, header: dict[str, Any], parts: Sequence[Path]) -> None:
    """One file from the processes' parts, which are removed."""
    with answers.open("wb") as whole:
        whole.write(orjson.dumps({"rush": header}, option=orjson.OPT_APPEND_NEWLINE))
        for part in parts:
            if part.exists():
                with part.open("rb") as piece:
                    shutil.copyfileobj(piece, whole)
                part.unlink()
