"""Where an emulator can come from on this machine, in the order in which it is looked for.

1. the host given by SPANNER_EMULATOR_HOST or PUBSUB_EMULATOR_HOST (the callers' business: nothing is started then);
2. the programs of an installed Google Cloud SDK;
3. a running Docker engine, with the pinned images;
4. for Spanner only, the published release archive.
"""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from emulator.allocator import LIBRARY_PLACES, find_allocator
from emulator.archive import ARCHIVES, Archive, cache_dir, fetch
from emulator.errors import EmulatorNotFound
from emulator.kinds import SPANNER, Image, Kind, Program, Source

QUICK_TIMEOUT_SECONDS = 5.0
GCLOUD_INFO_TIMEOUT_SECONDS = 30.0
PULL_TIMEOUT_SECONDS = 900.0

SDK_PLACES = (
    Path("/usr/lib/google-cloud-sdk"),
    Path.home() / "google-cloud-sdk",
    Path("/opt/google-cloud-sdk"),
    Path("/usr/local/google-cloud-sdk"),
    Path("/snap/google-cloud-cli/current"),
    Path("/opt/homebrew/share/google-cloud-sdk"),
    Path("/usr/local/share/google-cloud-sdk"),
    Path("/opt/homebrew/Caskroom/gcloud-cli/latest/google-cloud-sdk"),
)

INSTALL = """\
Install one of these, then try again:
  Debian, Ubuntu   Google's packages (https://cloud.google.com/sdk/docs/install#deb adds their repository):
                     sudo apt-get install google-cloud-cli-spanner-emulator google-cloud-cli-pubsub-emulator \\
                       default-jre-headless
                   or a Docker engine: sudo apt-get install docker.io && sudo systemctl start docker
  macOS            a Docker engine: brew install colima docker && colima start
                   (enough for both; for Pub/Sub alone also: brew install --cask gcloud-cli temurin
                     && gcloud components install pubsub-emulator)
Or start the emulators elsewhere and say where: SPANNER_EMULATOR_HOST=host:port PUBSUB_EMULATOR_HOST=host:port"""


def _say_on_stderr(sentence: str) -> None:
    sys.stderr.write(f"emulator: {sentence}\n")


@dataclass(frozen=True)
class Machine:
    """What is looked at. The defaults are this machine; tests look at others."""

    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    sdk_places: Sequence[Path] = SDK_PLACES
    library_places: Sequence[Path] = LIBRARY_PLACES
    archive: Archive | None = field(default_factory=lambda: ARCHIVES.get((sys.platform, platform.machine())))
    announce: Callable[[str], None] = _say_on_stderr

    def which(self, program: str) -> str | None:
        """The program's path, if PATH has it."""
        return shutil.which(program, path=self.environ.get("PATH", ""))

    def output_of(self, *command: str, timeout_seconds: float = QUICK_TIMEOUT_SECONDS) -> str | None:
        """What the command printed, or None when it failed, was not there or took too long."""
        try:
            done = subprocess.run(  # noqa: S603 - the programs are named in this module
                command,
                capture_output=True,
                check=True,
                text=True,
                timeout=timeout_seconds,
                stdin=subprocess.DEVNULL,
                env=dict(self.environ),
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout


def find(kinds: Sequence[Kind], machine: Machine) -> dict[Kind, Source]:
    """A source for each kind; raises EmulatorNotFound, one message for all that are missing. May download the archive."""
    found: dict[Kind, Source] = {}
    missing: list[str] = []
    for kind in kinds:
        reasons: list[str] = []
        source = _from_sdk(kind, machine, reasons) or _from_docker(kind, machine, reasons)
        if source is None and kind is SPANNER:
            source = _from_archive(machine, reasons)
        if source is None:
            missing += [f"{kind.title} was not found:", *(f"  - {reason}" for reason in reasons)]
        else:
            found[kind] = source
    if missing:
        raise EmulatorNotFound("\n".join([*missing, INSTALL]))
    return found


def _from_sdk(kind: Kind, machine: Machine, reasons: list[str]) -> Source | None:
    for root in _sdk_roots(machine):
        program = _program_in_sdk(kind, root)
        if program is None:
            continue
        if kind is SPANNER or _has_java(machine):
            return Program(program, f"Google Cloud SDK in {root}", _allocator(kind, machine))
        reasons.append(f"{program} is there, but it needs Java and `java -version` does not work")
        return None
    reasons.append("no Google Cloud SDK with its component (CLOUDSDK_ROOT, gcloud on PATH, the usual places)")
    return None


def _sdk_roots(machine: Machine) -> Iterator[Path]:
    """The folders where an SDK may be, the slowest question last."""
    if root := machine.environ.get("CLOUDSDK_ROOT"):
        yield Path(root)
    gcloud = machine.which("gcloud")
    if gcloud:
        yield Path(gcloud).resolve().parent.parent
    yield from machine.sdk_places
    if gcloud:
        # seconds, but right even when `gcloud` is somebody's wrapper script
        command = (gcloud, "info", "--format=value(installation.sdk_root)")
        if root := (machine.output_of(*command, timeout_seconds=GCLOUD_INFO_TIMEOUT_SECONDS) or "").strip():
            yield Path(root)


def _program_in_sdk(kind: Kind, root: Path) -> Path | None:
    if kind is SPANNER:
        programs = [root / "bin" / "cloud_spanner_emulator" / name for name in ("gateway_main", "emulator_main")]
    else:
        programs = [root / "platform" / "pubsub-emulator" / "bin" / "cloud-pubsub-emulator"]
    return programs[0] if all(os.access(program, os.X_OK) and program.is_file() for program in programs) else None


def _has_java(machine: Machine) -> bool:
    """Whether Java runs; macOS has a `java` that only says that there is none."""
    home = machine.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else machine.which("java")
    return java is not None and machine.output_of(java, "-version", timeout_seconds=30.0) is not None


def _from_docker(kind: Kind, machine: Machine, reasons: list[str]) -> Source | None:
    docker = machine.which("docker")
    if docker is None:
        reasons.append("no docker on PATH")
        return None
    if not (machine.output_of(docker, "info", "--format", "{{.ServerVersion}}") or "").strip():
        reasons.append("docker is there, but no Docker engine answers it")
        return None
    if machine.output_of(docker, "image", "inspect", kind.image) is None:
        machine.announce(f"pulling {kind.image}")
        if machine.output_of(docker, "pull", "--quiet", kind.image, timeout_seconds=PULL_TIMEOUT_SECONDS) is None:
            reasons.append(f"`docker pull {kind.image}` failed")
            return None
    return Image(docker, kind.image)


def _from_archive(machine: Machine, reasons: list[str]) -> Source | None:
    if machine.archive is None:
        reasons.append("no release archive with a known SHA-256 for this platform")
        return None
    try:
        folder = fetch(machine.archive, cache_dir(machine.environ), machine.announce)
    except OSError as error:
        reasons.append(f"{machine.archive.url} could not be fetched: {error}")
        return None
    origin = f"release {machine.archive.version} of cloud-spanner-emulator in {folder}"
    return Program(folder / "gateway_main", origin, _allocator(SPANNER, machine))


def _allocator(kind: Kind, machine: Machine) -> Path | None:
    return find_allocator(machine.environ, machine.library_places) if kind is SPANNER else None
