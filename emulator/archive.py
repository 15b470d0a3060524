"""The Spanner emulator's published release archive: fetched once, checked against a pinned SHA-256, kept in the user's cache.

A platform is offered only when the hash of its archive is known from a public source; none is ever computed from what was
just downloaded.
"""

import hashlib
import os
import shutil
import tarfile
import tempfile
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from emulator.errors import ArchiveRefused

DOWNLOAD_TIMEOUT_SECONDS = 30.0
ARCHIVE_LIMIT_BYTES = 512 * 1024 * 1024
PROGRAMS = ("gateway_main", "emulator_main")

_CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Archive:
    """A release of GoogleCloudPlatform/cloud-spanner-emulator for one platform."""

    version: str
    url: str
    sha256: str


_VERSION = "1.5.28"
_RELEASES = "https://storage.googleapis.com/cloud-spanner-emulator/releases"

ARCHIVES: Mapping[tuple[str, str], Archive] = {
    ("linux", "x86_64"): Archive(
        _VERSION,
        f"{_RELEASES}/{_VERSION}/cloud-spanner-emulator_linux_amd64-{_VERSION}.tar.gz",
        # the one that images/deps.sh of github.com/storj/ci checks before it builds its image
        "8225205b4b87a56120e7aece344f13e5235baf91cb83a717d3c97b0d4ac73673",
    ),
}
"""By `sys.platform` and `platform.machine()`."""


def cache_dir(environ: Mapping[str, str]) -> Path:
    """Where unpacked archives are kept: `fairdrop` in XDG_CACHE_HOME, by default ~/.cache."""
    root = environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "fairdrop"


def fetch(archive: Archive, cache: Path, announce: Callable[[str], None]) -> Path:
    """The folder of the programs, downloaded when the cache has it not yet.

    Raises OSError when it cannot be downloaded, ArchiveRefused when what came is not what was pinned. Two processes may
    fetch at once: the folder appears whole or not at all.
    """
    folder = cache / f"cloud-spanner-emulator-{archive.version}-{archive.sha256[:12]}"
    if all((folder / program).is_file() for program in PROGRAMS):
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    announce(f"downloading {archive.url}")
    with tempfile.TemporaryDirectory(dir=cache, prefix=".fetch-") as scratch:
        packed = Path(scratch) / "archive.tar.gz"
        digest = _download(archive.url, packed)
        if digest != archive.sha256:
            raise ArchiveRefused(
                f"{archive.url} has the SHA-256 {digest}, but {archive.sha256} was pinned. Nothing of it was unpacked."
            )
        unpacked = Path(scratch) / "unpacked"
        _unpack(packed, unpacked)
        _move_into_place(unpacked, folder)
    return folder


def _download(url: str, target: Path) -> str:
    """Writes the file and returns its SHA-256."""
    digest = hashlib.sha256()
    size_bytes = 0
    with (
        urllib.request.urlopen(url, timeout=DOWNLOAD_TIMEOUT_SECONDS) as response,  # noqa: S310 - the pinned address
        target.open("wb") as file,
    ):
        while chunk := response.read(_CHUNK_BYTES):
            size_bytes += len(chunk)
            if size_bytes > ARCHIVE_LIMIT_BYTES:
                raise ArchiveRefused(f"{url} is larger than {ARCHIVE_LIMIT_BYTES} bytes; the download was given up.")
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()


def _unpack(packed: Path, folder: Path) -> None:
    """Writes the two programs, wherever in the archive they are, and nothing else."""
    folder.mkdir()
    with tarfile.open(packed, "r:gz") as tar:
        members = {Path(member.name).name: member for member in tar.getmembers() if member.isfile()}
        for program in PROGRAMS:
            content = tar.extractfile(members[program]) if program in members else None
            if content is None:
                raise ArchiveRefused(f"the archive has no {program}")
            with (folder / program).open("wb") as file:
                shutil.copyfileobj(content, file)
            (folder / program).chmod(0o755)


def _move_into_place(unpacked: Path, folder: Path) -> None:
    try:
        os.rename(unpacked, folder)
    except OSError:
        if not folder.is_dir():  # otherwise another process was first, with the same bytes
            raise
