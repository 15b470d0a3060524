"""What a program holds of an emulator while `running` is open."""

from collections.abc import Sequence
from pathlib import Path

from emulator.errors import EmulatorDied, EmulatorNotOurs
from emulator.kinds import Image, Kind, Source
from emulator.ports import LOOPBACK, answers, free_ports, is_free, wait_until_ready
from emulator.process import GuardedProcess

START_TRIES = 3


class Emulator:
    """One emulator: where it is, and what a test may do to it. A given one can only be used."""

    def __init__(self, kind: Kind, host: str) -> None:
        self.kind = kind
        self.host = host

    @property
    def malloc(self) -> str:
        """Whose malloc it allocates with, in words."""
        return "not known here"

    def suspend(self) -> None:
        """Stops it in its tracks (SIGSTOP): connections stay open, nothing is answered."""
        raise self._not_ours()

    def resume(self) -> None:
        """Lets it go on after `suspend`."""
        raise self._not_ours()

    def kill(self) -> None:
        """Kills it at once (SIGKILL), all its processes; its data is lost. Safe to call twice."""
        raise self._not_ours()

    def restart(self) -> None:
        """Kills it and starts it again on the same port, empty; returns when it answers."""
        raise self._not_ours()

    def _not_ours(self) -> EmulatorNotOurs:
        return EmulatorNotOurs(f"{self.kind.title} at {self.host} was given by {self.kind.variable}; it is used as is")


class OwnEmulator(Emulator):
    """One that we started. Building it starts it; `wait_until_ready` must follow."""

    def __init__(self, kind: Kind, source: Source, arguments: Sequence[str], log_dir: Path) -> None:
        self._source = source
        self._arguments = tuple(arguments)
        self._log_dir = log_dir
        self._start(free_ports(len(kind.usual_ports)), kind)

    def _start(self, ports: Sequence[int], kind: Kind) -> None:
        super().__init__(kind, f"{LOOPBACK}:{ports[0]}")
        self._ports = ports
        command = kind.command(self._source, ports, self._arguments)
        self._process = GuardedProcess(command, self._log_dir / f"{kind.name}-{ports[0]}.log")

    @property
    def malloc(self) -> str:
        """The name of the library that was loaded first, or that there was none."""
        allocator = None if isinstance(self._source, Image) else self._source.allocator
        return allocator.name if allocator else "its system's"

    def wait_until_ready(self) -> None:
        """Returns when it answers; takes other ports when another program took one first. Raises EmulatorDied."""
        for tries_left in reversed(range(START_TRIES)):
            try:
                self._wait_once()
            except EmulatorDied:
                self._process.kill()
                if tries_left == 0 or all(is_free(port) for port in self._ports):
                    raise
                self._process.log_path.unlink(missing_ok=True)
                self._start(free_ports(len(self._ports)), self.kind)
            else:
                return

    def _wait_once(self) -> None:
        wait_until_ready(
            self.kind.title,
            self._process.log_path,
            lambda: self._process.is_running,
            lambda: answers(self._ports[-1], self.kind.ready_path),
        )

    @property
    def is_running(self) -> bool:
        """Whether its first process lives (a suspended one does)."""
        return self._process.is_running

    def suspend(self) -> None:  # noqa: D102 - said above
        self._process.suspend()

    def resume(self) -> None:  # noqa: D102 - said above
        self._process.resume()

    def kill(self) -> None:  # noqa: D102 - said above
        self._process.kill()

    def restart(self) -> None:  # noqa: D102 - said above
        self._process.kill()
        self._start(self._ports, self.kind)
        self._wait_once()

    def end(self) -> None:
        """Kills it and removes its log; for the owner's normal way out."""
        self._process.kill()
        self._process.log_path.unlink(missing_ok=True)
