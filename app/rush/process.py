"""One process of the rush: takes its tokens, waits for the start signal, plays its buyers, and tells the runner of it."""

import gc
import resource
import signal
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeAlias

from app.rush.answers import AnswersWriter
from app.rush.crowd import Crowd
from app.rush.driver import TWINS_PER_CONNECTION, Driver
from app.rush.http_client import Target
from app.rush.options import RushOptions
from app.rush.plan import buyers_of

TOKENS_EACH_TIME = 64
"""Tokens between two looks at the pipe: some 25 ms of signing."""

FILES_BESIDE = 64
"""File descriptors that a process needs besides its connections."""

COLLECT_EVERY = 100_000
"""New objects between two garbage collections: the loop makes no cycles, and a collection is a pause in every latency."""


@dataclass(frozen=True, slots=True)
class Minted:
    """So many of the tokens are there."""

    tokens: int


@dataclass(frozen=True, slots=True)
class Ready:
    """The process waits for the start."""


@dataclass(frozen=True, slots=True)
class Played:
    """So far: buyers who are done, attempts that ended."""

    buyers: int
    attempts: int


@dataclass(frozen=True, slots=True)
class Finished:
    """The process' lines are written; what the rush took of CPU and of the clock, tokens not counted."""

    cpu_seconds: float
    run_seconds: float


@dataclass(frozen=True, slots=True)
class Failed:
    """The process cannot go on; the text is for the person at the keyboard."""

    reason: str


Message = Minted | Ready | Played | Finished | Failed
Pipe: TypeAlias = "Connection[Any, Any]"
"""Processes send Messages; the runner sends the start (time.monotonic_ns) once, and None for "stop"."""


class _StoppedError(Exception):
    """The runner wants no more."""


def play(options: RushOptions, target: Target, process: int, part: Path, pipe: Pipe) -> None:
    """The whole life of a process; writes the lines of its attempts to `part`. Ends early when the runner is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of the terminal: the runner decides
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        try:
            _play(options, target, process, part, pipe)
        except _StoppedError:
            pipe.send(Finished(0.0, 0.0))
        except (EOFError, BrokenPipeError, ConnectionResetError):
            raise
        except Exception as error:  # whatever it is, the runner must hear of it
            pipe.send(Failed(f"process {process}: {error or type(error).__name__}"))


def _play(options: RushOptions, target: Target, process: int, part: Path, pipe: Pipe) -> None:
    _allow_files((1 + TWINS_PER_CONNECTION) * options.connections_of(process) + FILES_BESIDE)
    with AnswersWriter(part) as writer:
        tokens = _mint(options, process, pipe)
        driver = Driver(options, target, process, Crowd(options, target, process, tokens), writer.write)
        gc.collect()
        gc.freeze()
        gc.set_threshold(COLLECT_EVERY)
        pipe.send(Ready())
        start_ns = pipe.recv()
        if start_ns is None:
            raise _StoppedError
        cpu_seconds, run_seconds = driver.run(
            start_ns, lambda buyers, attempts: _report(pipe, Played(buyers, attempts))
        )
    pipe.send(Finished(cpu_seconds, run_seconds))


def _mint(options: RushOptions, process: int, pipe: Pipe) -> list[tuple[str, str]]:
    tokens: list[tuple[str, str]] = []
    for index in buyers_of(process, options.processes, options.buyers):
        tokens.append(options.tokens.token(index))
        if len(tokens) % TOKENS_EACH_TIME == 0 and not _report(pipe, Minted(len(tokens))):
            raise _StoppedError
    _report(pipe, Minted(len(tokens)))
    return tokens


def _report(pipe: Pipe, message: Message) -> bool:
    """Sends it, and returns whether to go on: anything that comes back while at work means stop."""
    pipe.send(message)
    return not pipe.poll()


def _allow_files(needed: int) -> None:
    """Raises this process' limit of open files, as far as the system lets it. Raises RuntimeError when that is too few."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise RuntimeError(f"the system allows {hard} open files, and so many connections need {needed}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
