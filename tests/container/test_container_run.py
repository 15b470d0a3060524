"""The Dockerfile's own steps, done in a folder; then every role from there, with nothing to write to but what the image says."""

import os
import signal
import subprocess
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path

import pytest
from image_steps import Image

from app.local.children import free_port
from app.settings import Settings
from emulator import Emulators

PATIENCE_SECONDS = 60
READ_ONLY = 'mount --make-rprivate / && mount -o remount,bind,ro / && mount -t tmpfs tmpfs "$0" && exec "$@"'


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    with tempfile.TemporaryDirectory(prefix="fairdrop-image-") as folder:
        made = Image(Path(folder).resolve())
        (made.root / "tmp").mkdir()
        yield made.build()


def read_only(image: Image) -> list[str]:
    """What to put before a command so that it can write to the image's /tmp and to /dev/shm only; nothing where Linux will not."""
    before = ["unshare", "--mount", "sh", "-c", READ_ONLY, str(image.root / "tmp")]
    try:
        probe = subprocess.run([*before, "true"], capture_output=True, timeout=30, check=False)
    except FileNotFoundError:
        return []
    return before if probe.returncode == 0 else []


def started(image: Image, arguments: list[str], variables: Mapping[str, str], log: Path) -> "subprocess.Popen[bytes]":
    environment = {name: image.here(value) for name, value in image.environment.items()} | dict(variables)
    entrypoint = [image.here(image.entrypoint[0])]
    # The script's first line names the image's interpreter.
    interpreter = image.here(Path(entrypoint[0]).read_text().splitlines()[0].removeprefix("#!"))
    with log.open("wb") as output:
        return subprocess.Popen(
            [*read_only(image), interpreter, *entrypoint, *arguments],
            env=environment,
            cwd=image.here(image.folder),
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def fingerprint(image: Image) -> str:
    whole = sha256()
    for folder in ("opt", "srv"):
        for path in sorted((image.root / folder).rglob("*")):
            whole.update(f"{path} {path.lstat().st_mtime_ns}\n".encode())
    return whole.hexdigest()


def variables_of(settings: Settings, project: str = "") -> dict[str, str]:
    names = ("SPANNER_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST")
    return {
        **{name: os.environ[name] for name in names if name in os.environ},
        "FAIRDROP_SPANNER_PROJECT": settings.spanner_project,
        "FAIRDROP_SPANNER_INSTANCE": settings.spanner_instance,
        "FAIRDROP_SPANNER_DATABASE": settings.spanner_database,
        "FAIRDROP_PUBSUB_PROJECT": project,
    }


def answered(port: int, path: str, process: "subprocess.Popen[bytes]", log: Path) -> bytes:
    ends_at = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < ends_at and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as response:
                return bytes(response.read())
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"no answer from {path}; exit code {process.poll()}\n{log.read_text()[-2000:]}")


def test_the_image_s_first_role_serves_at_port_and_ends_with_sigterm(
    image: Image, settings: Settings, tmp_path: Path
) -> None:
    before, port, log = fingerprint(image), free_port(), tmp_path / "log"
    variables = variables_of(settings) | {"PORT": str(port), "WEB_CONCURRENCY": "2"}
    process = started(image, image.command, variables, log)
    try:
        assert b"alive" in answered(port, "/healthz", process, log)
        assert b"ready" in answered(port, "/readyz", process, log)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0
    finally:
        process.kill()
        process.wait()
    assert "Error" not in log.read_text()
    assert fingerprint(image) == before


def test_the_same_image_works_as_a_worker_whose_figures_can_be_scraped(
    image: Image, settings: Settings, pubsub_emulator: Emulators, tmp_path: Path
) -> None:
    port, log = free_port(), tmp_path / "log"
    variables = variables_of(settings, f"image-{uuid.uuid4().hex[:8]}") | {
        "FAIRDROP_METRICS_PORT": str(port),
        "FAIRDROP_METRICS_HOST": "0.0.0.0",
    }
    process = started(image, ["work", "relay"], variables, log)
    try:
        assert b"fairdrop_events_published_total" in answered(port, "/metrics", process, log)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0
    finally:
        process.kill()
        process.wait()


def test_the_schema_is_in_the_image(image: Image, settings: Settings, tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = started(image, ["schema", "status", "--service", "orders"], variables_of(settings), log)
    assert process.wait(PATIENCE_SECONDS) == 0, log.read_text()
    assert "0001_sales_and_stock.sql" in log.read_text()


def test_nothing_of_development_s_is_in_the_image(image: Image) -> None:
    packages = {path.name.partition("-")[0] for path in (image.root / "opt/fairdrop/lib").rglob("*.dist-info")}
    assert {"flask", "gunicorn", "google_cloud_spanner"} <= packages
    assert not {"pytest", "mypy", "localstripe", "pip", "setuptools"} & packages
