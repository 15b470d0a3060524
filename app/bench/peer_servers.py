"""A PostgreSQL and a Redis of this run's own, on free ports and in temporary folders, for the bench to compare with."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psycopg

from app.local.children import free_port

START_SECONDS = 30.0
POSTGRES_FOLDERS = ("/usr/lib/postgresql/*/bin", "/opt/homebrew/opt/postgresql*/bin", "/usr/local/opt/postgresql*/bin")
"""Where Debian and Homebrew keep the server's own programs, which are on nobody's PATH."""

NOT_ROOT = "nobody"
"""PostgreSQL refuses to run as root."""


class PeerMissing(Exception):
    """A server to compare with is not installed; says how to install it."""


def _program(name: str, package: str) -> str:
    found = shutil.which(name)
    if found:
        return found
    for pattern in POSTGRES_FOLDERS:
        for folder in sorted(Path("/").glob(pattern.lstrip("/")), reverse=True):
            if (folder / name).is_file():
                return str(folder / name)
    raise PeerMissing(f"{name} is not installed (Debian: apt-get install {package}; macOS: brew install {package})")


def _user() -> str | None:
    return NOT_ROOT if os.geteuid() == 0 else None


@contextmanager
def postgres() -> Iterator[str]:
    """A PostgreSQL that fsyncs each commit, as it is delivered but for more memory; yields its connection string.

    Raises PeerMissing.
    """
    initdb, server = _program("initdb", "postgresql"), _program("postgres", "postgresql")
    folder = tempfile.mkdtemp(prefix="fairdrop-bench-postgres-")
    try:
        if _user():
            shutil.chown(folder, NOT_ROOT)
        data, port = f"{folder}/data", free_port()
        subprocess.run(  # noqa: S603  # programs that were looked up above
            [initdb, "-D", data, "-A", "trust", "-U", "bench", "-E", "UTF8"],
            check=True,
            user=_user(),
            cwd=folder,
            stdout=subprocess.DEVNULL,
        )
        options = ["-c", "shared_buffers=512MB", "-c", "max_connections=200", "-c", "max_wal_size=4GB"]
        command = [server, "-D", data, "-p", str(port), "-k", folder, "-c", "listen_addresses=127.0.0.1", *options]
        address = f"postgresql://bench@127.0.0.1:{port}/postgres"
        with _running(command, partial(_answers_postgres, address), folder):
            yield address
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def redis(fsync: str) -> Iterator[str]:
    """A Redis with an append-only file, synced by `fsync` ("always", "everysec"); yields its URL. Raises PeerMissing."""
    server = _program("redis-server", "redis")
    with tempfile.TemporaryDirectory(prefix="fairdrop-bench-redis-") as folder:
        port = free_port()
        command = [server, "--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--save", ""]
        command += ["--appendonly", "yes", "--appendfsync", fsync]
        with _running(command, partial(_listens, port), folder):
            yield f"redis://127.0.0.1:{port}/0"


@contextmanager
def _running(command: Sequence[str], is_ready: Callable[[], bool], folder: str) -> Iterator[None]:
    user = _user() if "postgres" in Path(command[0]).name else None
    log_path = Path(folder) / "server.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, user=user)  # noqa: S603  # looked up above
        try:
            give_up = time.monotonic() + START_SECONDS
            while not is_ready():
                if process.poll() is not None or time.monotonic() > give_up:
                    raise RuntimeError(f"{command[0]} does not start:\n{log_path.read_text()[-2000:]}")
                time.sleep(0.05)
            yield
        finally:
            # SIGTERM would have PostgreSQL wait for its clients to leave.
            process.send_signal(signal.SIGINT)
            process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _answers_postgres(address: str) -> bool:
    """It listens before it is ready."""
    try:
        psycopg.connect(address).close()
    except psycopg.OperationalError:
        return False
    return True
