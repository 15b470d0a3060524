import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from emulator_samples import bare_machine, eventually, install_sdk, write_program

from emulator import EmulatorNotFound, running
from emulator.allocator import LIBRARIES
from emulator.detached import launch
from emulator.kinds import KINDS, PUBSUB, PUBSUB_IMAGE, SPANNER, SPANNER_IMAGE, Image, Program
from emulator.lookup import Machine, find
from emulator.process import GuardedProcess

COMPOSE = Path(__file__).parents[2] / "emulator" / "compose.yaml"

WORKING_DOCKER = """
case "$1" in
  info) echo 27.1 ;;
  image) exit 0 ;;
esac
"""


def install_java(machine: Machine, body: str = "exit 0") -> None:
    write_program(Path(machine.environ["PATH"]) / "java", body)


def test_the_sdk_named_by_its_variable_comes_first(tmp_path: Path) -> None:
    root = install_sdk(tmp_path / "named")
    machine = bare_machine(tmp_path, CLOUDSDK_ROOT=str(root))
    machine = replace(machine, sdk_places=(install_sdk(tmp_path / "usual"),))
    install_java(machine)
    assert {
        source.path.relative_to(root) for source in find(KINDS, machine).values() if isinstance(source, Program)
    } == {
        Path("bin/cloud_spanner_emulator/gateway_main"),
        Path("platform/pubsub-emulator/bin/cloud-pubsub-emulator"),
    }


def test_the_sdk_is_found_behind_a_link_to_gcloud_on_the_path(tmp_path: Path) -> None:
    root = install_sdk(tmp_path / "sdk")
    machine = bare_machine(tmp_path)
    (tmp_path / "bin" / "gcloud").symlink_to(write_program(root / "bin" / "gcloud", "exit 1"))
    source = find([SPANNER], machine)[SPANNER]
    assert source == Program(root / "bin/cloud_spanner_emulator/gateway_main", f"Google Cloud SDK in {root}")


def test_an_sdk_in_a_usual_place_is_found_without_asking_gcloud(tmp_path: Path) -> None:
    root = install_sdk(tmp_path / "usual")
    machine = replace(bare_machine(tmp_path), sdk_places=(root,))
    write_program(tmp_path / "bin" / "gcloud", f"touch {tmp_path / 'asked'}")
    assert find([SPANNER], machine)[SPANNER].origin.endswith(str(root))
    assert not (tmp_path / "asked").exists()


def test_gcloud_is_asked_when_all_else_failed(tmp_path: Path) -> None:
    root = install_sdk(tmp_path / "elsewhere")
    machine = bare_machine(tmp_path)
    write_program(tmp_path / "bin" / "gcloud", f'[ "$1" = info ] && echo {root}')
    assert find([SPANNER], machine)[SPANNER].origin.endswith(str(root))


def test_an_sdk_without_both_spanner_programs_does_not_count(tmp_path: Path) -> None:
    root = install_sdk(tmp_path / "sdk")
    (root / "bin" / "cloud_spanner_emulator" / "emulator_main").unlink()
    with pytest.raises(EmulatorNotFound):
        find([SPANNER], bare_machine(tmp_path, CLOUDSDK_ROOT=str(root)))


def test_an_installed_sdk_is_preferred_to_docker(tmp_path: Path) -> None:
    machine = bare_machine(tmp_path, CLOUDSDK_ROOT=str(install_sdk(tmp_path / "sdk")))
    install_java(machine)
    write_program(tmp_path / "bin" / "docker", WORKING_DOCKER)
    assert all(isinstance(source, Program) for source in find(KINDS, machine).values())


def test_docker_is_next_with_the_pinned_images(tmp_path: Path) -> None:
    docker = str(write_program(tmp_path / "bin" / "docker", WORKING_DOCKER))
    found = find(KINDS, bare_machine(tmp_path))
    assert found == {SPANNER: Image(docker, SPANNER_IMAGE), PUBSUB: Image(docker, PUBSUB_IMAGE)}


def test_pubsub_falls_back_to_docker_when_java_does_not_run(tmp_path: Path) -> None:
    machine = bare_machine(tmp_path, CLOUDSDK_ROOT=str(install_sdk(tmp_path / "sdk")))
    install_java(machine, "echo 'no Java runtime present, requesting install.' >&2; exit 1")
    write_program(tmp_path / "bin" / "docker", WORKING_DOCKER)
    found = find(KINDS, machine)
    assert isinstance(found[SPANNER], Program)
    assert isinstance(found[PUBSUB], Image)


def test_one_message_says_what_is_missing_why_and_what_to_install(tmp_path: Path) -> None:
    write_program(tmp_path / "bin" / "docker", "exit 1")
    with (
        pytest.raises(EmulatorNotFound) as caught,
        running(pubsub=True, machine=bare_machine(tmp_path)),
    ):
        pass
    message = str(caught.value)
    for expected in (
        "the Spanner emulator was not found",
        "the Pub/Sub emulator was not found",
        "no Docker engine answers",
        "Debian",
        "apt-get install google-cloud-cli-spanner-emulator google-cloud-cli-pubsub-emulator",
        "macOS",
        "brew install",
        "SPANNER_EMULATOR_HOST=",
    ):
        assert expected in message
    assert message.count("Install one of these") == 1


def test_a_missing_java_is_named(tmp_path: Path) -> None:
    machine = bare_machine(tmp_path, CLOUDSDK_ROOT=str(install_sdk(tmp_path / "sdk")))
    with pytest.raises(EmulatorNotFound, match="needs Java"):
        find([PUBSUB], machine)


def test_nothing_is_started_when_one_of_them_is_missing(tmp_path: Path) -> None:
    root = install_sdk(tmp_path / "sdk")
    write_program(root / "bin" / "cloud_spanner_emulator" / "gateway_main", f"touch {tmp_path / 'started'}")
    with (
        pytest.raises(EmulatorNotFound),
        running(pubsub=True, machine=bare_machine(tmp_path, CLOUDSDK_ROOT=str(root))),
    ):
        pass
    assert not (tmp_path / "started").exists()


def test_compose_names_the_same_images_and_ports() -> None:
    compose = COMPOSE.read_text()
    assert re.findall(r"image: (\S+)", compose) == [kind.image for kind in KINDS]
    published = [int(port) for port in re.findall(r'"127\.0\.0\.1:(\d+):\1"', compose)]
    assert published == [port for kind in KINDS for port in kind.usual_ports]


def library(folder: Path, name: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).touch()
    return folder / name


def test_the_spanner_emulator_gets_the_first_known_malloc_that_is_there_and_pubsub_none(tmp_path: Path) -> None:
    mimalloc = library(tmp_path / "first", LIBRARIES[2])
    machine = bare_machine(tmp_path, CLOUDSDK_ROOT=str(install_sdk(tmp_path / "sdk")))
    machine = replace(machine, library_places=(tmp_path / "first", tmp_path / "second"))
    install_java(machine)
    assert [getattr(find(KINDS, machine)[kind], "allocator", "") for kind in (SPANNER, PUBSUB)] == [mimalloc, None]
    tcmalloc = library(tmp_path / "second", LIBRARIES[0])
    assert find([SPANNER], machine)[SPANNER] == Program(
        tmp_path / "sdk/bin/cloud_spanner_emulator/gateway_main", f"Google Cloud SDK in {tmp_path / 'sdk'}", tcmalloc
    )


def test_who_chose_what_is_loaded_first_is_left_alone(tmp_path: Path) -> None:
    library(tmp_path / "lib", LIBRARIES[0])
    machine = bare_machine(tmp_path, CLOUDSDK_ROOT=str(install_sdk(tmp_path / "sdk")), LD_PRELOAD="libown.so")
    source = find([SPANNER], replace(machine, library_places=(tmp_path / "lib",)))[SPANNER]
    assert isinstance(source, Program)
    assert source.allocator is None
    assert SPANNER.command(source, (1, 2)).environment == {}


@pytest.mark.parametrize("how", ["guarded", "detached"])
def test_the_malloc_is_loaded_into_the_emulator_and_not_into_who_starts_it(tmp_path: Path, how: str) -> None:
    told = tmp_path / "told"
    program = write_program(tmp_path / "gateway_main", f'echo "$LD_PRELOAD $1" > {told}')
    own = library(tmp_path, "libtcmalloc_minimal.so.4")
    command = SPANNER.command(Program(program, "here", own), (1, 2))
    if how == "guarded":
        GuardedProcess(command, tmp_path / "log")
    else:
        launch(command, tmp_path / "log")
    assert eventually(lambda: told.exists() and told.read_text() == f"{own} --hostname\n")
    assert "LD_PRELOAD" not in os.environ
