"""The two emulators: what they are called, which variable names them to the client libraries, and how they are run."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from emulator.allocator import VARIABLE
from emulator.ports import LOOPBACK
from emulator.process import Command

SPANNER_IMAGE = "gcr.io/cloud-spanner-emulator/emulator:1.5.43"
PUBSUB_IMAGE = "gcr.io/google.com/cloudsdktool/google-cloud-cli:581.0.0-emulators"
"""Pinned; `compose.yaml` names the same two, and a test holds them equal."""

_PROBED_PROJECT = "fairdrop-local"


@dataclass(frozen=True)
class Program:
    """An emulator as a program on this machine, and the malloc that is loaded before its own."""

    path: Path
    origin: str
    allocator: Path | None = None


@dataclass(frozen=True)
class Image:
    """An emulator as an image for a running Docker engine."""

    docker: str
    name: str

    @property
    def origin(self) -> str:
        """Where it comes from, for people."""
        return f"Docker image {self.name}"


Source = Program | Image


@dataclass(frozen=True)
class Kind:
    """One of the emulators. The first port is the one of its gRPC service, the last one answers HTTP."""

    name: str
    title: str
    variable: str
    usual_ports: tuple[int, ...]
    ready_path: str
    image: str

    def command(self, source: Source, ports: Sequence[int], arguments: Sequence[str] = ()) -> Command:
        """How to run it from that source on those ports of the loopback interface, with further arguments."""
        if isinstance(source, Program):
            preload = {VARIABLE: str(source.allocator)} if source.allocator else {}
            return Command((str(source.path), *self._listen_on(LOOPBACK, ports), *arguments), environment=preload)
        container = f"fairdrop-{self.name}-{ports[0]}-{secrets.token_hex(4)}"
        pairs = zip(ports, self.usual_ports, strict=True)
        publish = [word for port, inner in pairs for word in ("--publish", f"{LOOPBACK}:{port}:{inner}")]
        run = (source.docker, "run", "--rm", "--name", container, *publish, source.name)
        return Command((*run, *self._inside_container(), *arguments), container, source.docker)

    def _listen_on(self, host: str, ports: Sequence[int]) -> tuple[str, ...]:
        if self is SPANNER:
            return ("--hostname", host, "--grpc_port", str(ports[0]), "--http_port", str(ports[1]))
        return (f"--host={host}", f"--port={ports[0]}")

    def _inside_container(self) -> tuple[str, ...]:
        if self is SPANNER:
            return ("./gateway_main", "--hostname", "0.0.0.0")  # noqa: S104 - inside the container; published on loopback
        start = "gcloud beta emulators pubsub start"
        return (*start.split(), f"--project={_PROBED_PROJECT}", f"--host-port=0.0.0.0:{self.usual_ports[0]}")


SPANNER = Kind(
    name="spanner",
    title="the Spanner emulator",
    variable="SPANNER_EMULATOR_HOST",
    usual_ports=(9010, 9020),
    # through the gateway to emulator_main: both must be up to answer
    ready_path=f"/v1/projects/{_PROBED_PROJECT}/instanceConfigs",
    image=SPANNER_IMAGE,
)
PUBSUB = Kind(
    name="pubsub",
    title="the Pub/Sub emulator",
    variable="PUBSUB_EMULATOR_HOST",
    usual_ports=(8085,),
    ready_path=f"/v1/projects/{_PROBED_PROJECT}/topics",
    image=PUBSUB_IMAGE,
)
KINDS = (SPANNER, PUBSUB)
