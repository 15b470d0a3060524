"""`fairdrop chaos`: a live sale whose processes, database, broker and gateway fail at random is clean in the end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import orjson

SECONDS = 30
PATIENCE_SECONDS = 400
SEED = 7


def command(folder: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "app.cli", "chaos", "--seed", str(SEED), "--state-dir", str(folder), *options]


def test_a_sale_in_a_storm_of_faults_settles_and_audit_and_history_are_clean(tmp_path: Path) -> None:
    run = command(tmp_path, "--minutes", str(SECONDS / 60), "--json")
    done = subprocess.run(run, capture_output=True, timeout=PATIENCE_SECONDS, check=False)
    assert done.returncode == 0, done.stdout.decode()[-6_000:] + done.stderr.decode()[-6_000:]
    report = orjson.loads(done.stdout)
    assert report["verdict"] == "CLEAN"
    assert len({fault["kind"] for fault in report["faults"]}) >= 8
    assert report["placed_units"] > 0
    assert report["history"]["figures"]["calls"] > 100
    assert all(not check["violation_count"] for check in report["audit"]["checks"])
    told = done.stderr.decode()
    assert all(f"{fault['kind']}: {fault['target']}" in told for fault in report["faults"])
    assert report["died"] == []


def test_ctrl_c_ends_a_chaos_run_and_leaves_nothing_running(tmp_path: Path) -> None:
    running = subprocess.Popen(command(tmp_path, "--minutes", "5"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert running.stdout is not None
    for line in running.stdout:
        if b" for " in line:
            break
    time.sleep(1.0)
    running.send_signal(signal.SIGINT)
    assert running.wait(PATIENCE_SECONDS) == 130
    assert str(tmp_path).encode() not in _commands()


def _commands() -> bytes:
    """The command lines and surroundings of all processes of this user."""
    found = b""
    for process in Path("/proc").glob("[0-9]*"):
        if int(process.name) == os.getpid():
            continue
        for part in ("cmdline", "environ"):
            try:
                found += (process / part).read_bytes()
            except OSError:
                continue
    return found
