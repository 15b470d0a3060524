import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from emulator_samples import bare_machine

from emulator import ArchiveRefused, EmulatorNotFound
from emulator import archive as archive_module
from emulator.archive import ARCHIVES, Archive, fetch
from emulator.kinds import PUBSUB, SPANNER, Program
from emulator.lookup import find


@dataclass
class Releases:
    """A server that publishes one archive."""

    url: str
    content: bytes = b""
    requests: list[str] = field(default_factory=list)

    def publish(self, *names: str) -> Archive:
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as tar:
            for name in names:
                body = f"#!/bin/sh\necho {name}\n".encode()
                member = tarfile.TarInfo(name)
                member.size = len(body)
                tar.addfile(member, io.BytesIO(body))
        self.content = packed.getvalue()
        return Archive("9.9.9", f"{self.url}/emulator.tar.gz", hashlib.sha256(self.content).hexdigest())


@pytest.fixture
def releases() -> Iterator[Releases]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            published.requests.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(published.content)

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    published = Releases(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield published
    server.shutdown()
    server.server_close()


def say_nothing(_sentence: str) -> None:
    pass


def test_the_release_archive_is_the_last_resort_for_spanner_and_runs(releases: Releases, tmp_path: Path) -> None:
    said: list[str] = []
    archive = releases.publish("gateway_main", "emulator_main")
    machine = replace(bare_machine(tmp_path), archive=archive, announce=said.append)
    source = find([SPANNER], machine)[SPANNER]
    assert isinstance(source, Program)
    assert source.path.is_relative_to(tmp_path / "cache" / "fairdrop")
    assert machine.output_of(str(source.path)) == "gateway_main\n"
    assert said == [f"downloading {archive.url}"]


def test_a_fetched_archive_is_not_fetched_again(releases: Releases, tmp_path: Path) -> None:
    archive = releases.publish("gateway_main", "emulator_main")
    assert fetch(archive, tmp_path, say_nothing) == fetch(archive, tmp_path, say_nothing)
    assert releases.requests == ["/emulator.tar.gz"]


def test_an_archive_with_another_hash_is_refused_and_nothing_of_it_is_kept(releases: Releases, tmp_path: Path) -> None:
    archive = replace(releases.publish("gateway_main", "emulator_main"), sha256="0" * 64)
    machine = replace(bare_machine(tmp_path), archive=archive)
    with pytest.raises(ArchiveRefused, match="0000000"):
        find([SPANNER], machine)
    assert list((tmp_path / "cache" / "fairdrop").iterdir()) == []


def test_an_archive_larger_than_the_limit_is_given_up(
    releases: Releases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = releases.publish("gateway_main", "emulator_main")
    monkeypatch.setattr(archive_module, "ARCHIVE_LIMIT_BYTES", len(releases.content) - 1)
    with pytest.raises(ArchiveRefused, match="larger"):
        fetch(archive, tmp_path, say_nothing)
    monkeypatch.setattr(archive_module, "ARCHIVE_LIMIT_BYTES", len(releases.content))
    assert fetch(archive, tmp_path, say_nothing).is_dir()


def test_an_archive_without_both_programs_is_refused(releases: Releases, tmp_path: Path) -> None:
    with pytest.raises(ArchiveRefused, match="emulator_main"):
        fetch(releases.publish("gateway_main"), tmp_path, say_nothing)
    assert list(tmp_path.iterdir()) == []


def test_nothing_but_the_two_programs_is_unpacked(releases: Releases, tmp_path: Path) -> None:
    archive = releases.publish("gateway_main", "release/emulator_main", "../outside", "README")
    folder = fetch(archive, tmp_path / "cache", say_nothing)
    assert sorted(path.name for path in folder.iterdir()) == ["emulator_main", "gateway_main"]
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


def test_an_archive_out_of_reach_is_one_more_reason_in_the_message(tmp_path: Path) -> None:
    archive = Archive("9.9.9", "http://127.0.0.1:1/emulator.tar.gz", "0" * 64)
    with pytest.raises(EmulatorNotFound, match=r"127\.0\.0\.1:1/emulator\.tar\.gz could not be fetched"):
        find([SPANNER], replace(bare_machine(tmp_path), archive=archive))


def test_no_archive_is_offered_for_pubsub(releases: Releases, tmp_path: Path) -> None:
    machine = replace(bare_machine(tmp_path), archive=releases.publish("gateway_main", "emulator_main"))
    with pytest.raises(EmulatorNotFound):
        find([PUBSUB], machine)
    assert releases.requests == []


def test_every_pinned_archive_is_a_whole_sha256_of_a_published_release() -> None:
    for archive in ARCHIVES.values():
        assert len(bytes.fromhex(archive.sha256)) == hashlib.sha256().digest_size
        assert archive.url.startswith(
            f"https://storage.googleapis.com/cloud-spanner-emulator/releases/{archive.version}/"
        )
        assert archive.url.endswith(f"-{archive.version}.tar.gz")
