"""The whole rush with its processes, and the command."""

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Sequence
from multiprocessing import popen_spawn_posix
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest
from click.testing import CliRunner
from rush_types import MakeOptions
from scripted_server import HANG_UP, SALE_ID, Reply, ScriptedServer, Seen, ShopScript, problem

from app.cli.main import fairdrop
from app.cli.rush import rush
from app.rush.plan import Shares
from app.rush.runner import RushProgress, run_rush
from app.rush.service import RushNotPossibleError

EVERYTHING = Shares(double=0.2, retry=0.2, dropped=0.2, false_time=0.2, several=0.3)


def lines_of(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    header, *lines = (orjson.loads(line) for line in path.read_bytes().splitlines())
    return header["rush"], lines


def test_a_rush_of_several_processes_ends_every_buyer_and_writes_every_attempt(make_options: MakeOptions) -> None:
    seen_progress: list[RushProgress] = []
    with ScriptedServer(ShopScript(120)) as server:
        options = make_options(server.url, 300, processes=2, shares=EVERYTHING)
        report = run_rush(options, seen_progress.append)
    header, lines = lines_of(options.answers)
    assert Counter(line["key"] for line in lines) == Counter(seen.key for seen in server.seen)
    assert (report.attempts, report.unanswered) == (len(lines), 0)
    assert report.outcomes == {"PENDING": 120, "sold-out": 180}
    assert {line["buyer"] for line in lines} == {f"customer-{index}" for index in range(300)}
    assert (header["sale_id"], header["buyers"], header["interrupted"], header["limit"]) == (SALE_ID, 300, False, 5)
    assert [each.name for each in options.answers.parent.glob("rush.jsonl*")] == ["rush.jsonl"]
    assert {each.phase for each in seen_progress} == {"tokens", "rush"}
    assert (seen_progress[-1].done, seen_progress[-1].total) == (300, 300)
    assert seen_progress[-1].attempts == len(lines)
    assert report.generator_cpu_us_per_attempt is not None


def test_the_processes_play_at_the_same_time(make_options: MakeOptions) -> None:
    shop, both_are_here = ShopScript(2), threading.Barrier(2, timeout=30)

    def script(seen: Seen) -> Reply:
        both_are_here.wait()
        return shop(seen)

    with ScriptedServer(script) as server:
        report = run_rush(make_options(server.url, 2, processes=2, connections=2))
    assert report.answers_by_kind == {"201 PENDING": 2}


def test_no_service_is_told(make_options: MakeOptions) -> None:
    with ScriptedServer(ShopScript(1)) as server:
        url = server.url
    with pytest.raises(RushNotPossibleError, match="no service answers at"):
        run_rush(make_options(url, 1))


def test_no_sale_is_told(make_options: MakeOptions) -> None:
    with ScriptedServer(ShopScript(1)) as server:
        options = make_options(server.url + "/elsewhere", 1)
        with pytest.raises(RushNotPossibleError, match="knows no sale 'iphone'"):
            run_rush(options)
    assert not server.seen


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "ftp://host", "http://", "http://host:port", "http://host/?a=b"])
def test_what_is_no_address_is_told(make_options: MakeOptions, url: str) -> None:
    with pytest.raises(RushNotPossibleError, match="no address"):
        run_rush(make_options(url, 1))


@pytest.mark.parametrize("said", [Reply(500, {}), Reply(200, ["a list"]), Reply(raw=b"hello\r\n\r\n", close=True)])
def test_a_service_that_does_not_speak_as_it_should_is_told(make_options: MakeOptions, said: Reply) -> None:
    with ScriptedServer(ShopScript(1)) as server:
        server._answer = lambda _: said  # type: ignore[method-assign]
        with pytest.raises(RushNotPossibleError, match=server.url):
            run_rush(make_options(server.url, 1))


def test_a_process_that_fails_ends_the_rush_and_says_why(make_options: MakeOptions) -> None:
    with ScriptedServer(ShopScript(9)) as server:
        options = make_options(server.url, 9, processes=2)
        (options.answers.parent / "tokens.tsv").write_text("only\tone\n")
        with pytest.raises(RushNotPossibleError, match="too few"):
            run_rush(options)
    assert not server.seen


def rush_command(url: str, folder: Path, buyers: int, *more: str) -> list[str]:
    tokens = folder / "tokens.tsv"
    tokens.write_text("".join(f"customer-{index}\ttoken-of-customer-{index}\n" for index in range(buyers)))
    options = ["--url", url, "--buyers", str(buyers), "--connections", "4", "--tokens", str(tokens)]
    return [SALE_ID, *options, "--answers", str(folder / "rush.jsonl"), "--json", *more]


def test_ctrl_c_stops_every_process_and_reports_what_came(tmp_path: Path) -> None:
    never = threading.Event()

    def script(seen: Seen) -> Reply:
        if seen.customer == "customer-0":
            return Reply(201, {"order_id": "the only one", "status": "PENDING"})
        never.wait(60)
        return HANG_UP

    with ScriptedServer(script) as server:
        command = [
            sys.executable,
            "-c",
            "from app.cli.rush import rush; rush()",
            *rush_command(server.url, tmp_path, 50),
        ]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
        assert server.arrived.wait(60)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the processes of the rush get it as well
        out, _ = process.communicate(timeout=60)
        never.set()
    assert process.returncode == 130
    said = orjson.loads(out)
    header, lines = lines_of(tmp_path / "rush.jsonl")
    assert said["interrupted"] is header["interrupted"] is True
    assert said["attempts"] == len(lines) == len(server.seen)
    assert sum(said["outcomes"].values()) == 50
    assert "interrupted" in said["errors_by_kind"]


def test_a_sigterm_while_the_processes_start_ends_the_rush_and_leaves_none_that_was_not_told_what_to_do(
    make_options: MakeOptions, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    spawn, pids = popen_spawn_posix.util.spawnv_passfds, list[int]()

    def interrupted(path: bytes, arguments: Sequence[str], fds: Sequence[int]) -> int:
        """There, and not told anything yet."""
        pid: int = spawn(path, arguments, fds)
        if any("spawn_main" in str(argument) for argument in arguments):
            pids.append(pid)
            signal.raise_signal(signal.SIGTERM)
        return pid

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        with ScriptedServer(ShopScript(9)) as server:
            options = make_options(server.url, 9, processes=2)
            monkeypatch.setattr(popen_spawn_posix.util, "spawnv_passfds", interrupted)
            with pytest.raises(KeyboardInterrupt):
                run_rush(options)
            assert not server.seen
        psutil.wait_procs([psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)], 60)
        assert "Traceback" not in capfd.readouterr().err
        assert pids
        assert not any(psutil.pid_exists(pid) for pid in pids)
        assert signal.getsignal(signal.SIGTERM) is interrupt
    finally:
        signal.signal(signal.SIGTERM, before)


def test_the_command_exits_0_when_every_buyer_got_an_answer(tmp_path: Path) -> None:
    with ScriptedServer(ShopScript(3)) as server:
        result = CliRunner().invoke(fairdrop, ["rush", *rush_command(server.url, tmp_path, 10)])
    assert result.exit_code == 0
    assert orjson.loads(result.stdout)["outcomes"] == {"sold-out": 7, "PENDING": 3}


def test_the_command_exits_1_when_a_buyer_never_got_one(tmp_path: Path) -> None:
    with ScriptedServer(lambda _: problem("overloaded", 503, "0")) as server:
        result = CliRunner().invoke(fairdrop, ["rush", *rush_command(server.url, tmp_path, 2, "--tries", "1")])
    assert result.exit_code == 1
    assert orjson.loads(result.stdout)["outcomes"] == {"unanswered": 2}


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (("--arrivals", "open"), "rate"),
        (("--share-double", "0.9", "--share-retry", "0.9"), "add up"),
        (("--processes", "5"), "connections"),
        ((), "no service answers"),
    ],
)
def test_the_command_exits_2_when_the_rush_cannot_be(tmp_path: Path, more: tuple[str, ...], says: str) -> None:
    with ScriptedServer(ShopScript(1)) as server:
        url = server.url
    result = CliRunner().invoke(fairdrop, ["rush", *rush_command(url, tmp_path, 2, *more)])
    assert result.exit_code == 2
    assert says in result.stderr


def test_the_help_shows_an_example_and_the_exit_codes() -> None:
    text = CliRunner().invoke(fairdrop, ["rush", "--help"]).stdout
    assert "fairdrop rush iphone" in text
    for code in ("0 ", "1 ", "2 ", "130 "):
        assert f"\n    {code}" in text


def test_the_docs_name_every_option_and_every_field(make_options: MakeOptions) -> None:
    docs = (Path(__file__).parents[2] / "docs" / "rush.md").read_text()
    for parameter in rush.params:
        for name in parameter.opts if parameter.param_type_name == "option" else ():
            assert f"`{name}" in docs
    with ScriptedServer(ShopScript(1)) as server:
        options = make_options(server.url, 1)
        run_rush(options)
    header, [line] = lines_of(options.answers)
    for field in (*header, *line):
        assert f"`{field}`" in docs
