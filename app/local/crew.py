"""The service's processes one by one, each of which can be killed and started again: for tests and drills."""

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from honcho.environ import parse_procfile

from app.local.children import Child, free_port, wait_for_http
from app.local.stack import PROCFILE, command_path
from app.local.wrong_clock import WrongClock, bury_the_dead
from app.settings import Settings

GATEWAY_TIMEOUT_SECONDS = 1

CLOCK_SEEN_SECONDS = 1
"""Until a process sees that its clock was set."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a crew's API and gateway listen."""

    api: str
    gateway: str


def service_environment(
    settings: Settings, *, workers: int = 1, gateway_options: str = "", duplicate_share: float = 0.0
) -> tuple[dict[str, str], Addresses]:
    """The variables by which the processes of the Procfile find each other, on free ports of their own."""
    api_port, gateway_port = free_port(), free_port()
    addresses = Addresses(f"http://127.0.0.1:{api_port}", f"http://127.0.0.1:{gateway_port}")
    environment = {
        "FAIRDROP_ENVIRONMENT": settings.environment,
        "FAIRDROP_STATE_DIR": str(settings.state_dir),
        "FAIRDROP_SPANNER_PROJECT": settings.spanner_project,
        "FAIRDROP_SPANNER_INSTANCE": settings.spanner_instance,
        "FAIRDROP_SPANNER_DATABASE": settings.spanner_database,
        "FAIRDROP_PAYMENTS_DATABASE": settings.payments_database,
        "FAIRDROP_PUBSUB_PROJECT": settings.broker_project,
        "FAIRDROP_LEASE_SECONDS": str(settings.lease_seconds),
        "FAIRDROP_API_PORT": str(api_port),
        "FAIRDROP_API_WORKERS": str(workers),
        "FAIRDROP_GATEWAY_PORT": str(gateway_port),
        "FAIRDROP_GATEWAY_URL": addresses.gateway,
        "FAIRDROP_GATEWAY_OPTIONS": gateway_options,
        "FAIRDROP_GATEWAY_TIMEOUT_SECONDS": str(GATEWAY_TIMEOUT_SECONDS),
        "FAIRDROP_RELAY_DUPLICATE_SHARE": str(duplicate_share),
        "PATH": command_path(),
    }
    return environment, addresses


@dataclass
class Crew:
    """Processes by their names in the Procfile; a second of a kind has a name such as `relay#2`. With `has_clocks` each has a wall
    clock of its own, which can be set.
    """

    environment: Mapping[str, str]
    addresses: Addresses
    log_dir: Path
    has_clocks: bool = False
    members: dict[str, Child] = field(default_factory=dict)
    clocks: dict[str, WrongClock] = field(default_factory=dict)

    def start(self, name: str) -> Child:
        """Start one, or start it again."""
        kind = name.partition("#")[0]
        command = parse_procfile(PROCFILE.read_text(encoding="utf-8")).processes[kind]
        environment = {**self.environment, **self._clock_of(name)}
        child = Child(name, ["/bin/sh", "-c", command], environment, self.log_dir / f"{name}.log")
        self.members[name] = child
        return child

    def _clock_of(self, name: str) -> Mapping[str, str]:
        if not self.has_clocks:
            return {}
        bury_the_dead()
        if name not in self.clocks:
            self.clocks[name] = WrongClock(self.log_dir / f"{name}.clock")
        return self.clocks[name].variables(seen_within_seconds=CLOCK_SEEN_SECONDS)

    def kill(self, name: str) -> None:
        """`kill -9`, to all of its group."""
        self.members.pop(name).kill()

    def suspend(self, name: str) -> None:
        """SIGSTOP, to all of its group."""
        self.members[name].signal(signal.SIGSTOP)

    def resume(self, name: str) -> None:
        """SIGCONT, to all of its group."""
        self.members[name].signal(signal.SIGCONT)

    def stop(self) -> None:
        """SIGTERM to all at once; whoever does not end in time is killed."""
        for child in self.members.values():
            child.signal(signal.SIGCONT)
            child.signal(signal.SIGTERM)
        for child in self.members.values():
            child.stop()
        self.members.clear()
        if self.has_clocks:
            bury_the_dead()

    def check(self) -> None:
        """Raise ChildFailed if one of them has ended by itself."""
        for child in self.members.values():
            child.check()


@contextmanager
def crew(
    environment: Mapping[str, str], addresses: Addresses, log_dir: Path, *names: str, has_clocks: bool = False
) -> Iterator[Crew]:
    """These processes for the length of a block, ready to serve."""
    team = Crew(environment, addresses, log_dir, has_clocks)
    try:
        for name in names:
            team.start(name)
        if "api" in team.members:
            wait_for_http(f"{addresses.api}/readyz", team.members["api"])
        if "gateway" in team.members:
            wait_for_http(f"{addresses.gateway}/healthz", team.members["gateway"])
        yield team
    finally:
        team.stop()
