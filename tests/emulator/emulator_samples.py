"""What several tests of the emulators share: machines to look at, programs that pretend, and waiting without a sleep."""

import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from emulator.lookup import Machine

WAIT_SECONDS = 30.0


def bare_machine(tmp_path: Path, **environ: str) -> Machine:
    """A machine with nothing on it but what the test puts into tmp_path/bin."""
    (tmp_path / "bin").mkdir(exist_ok=True)
    variables = {"PATH": str(tmp_path / "bin"), "FAIRDROP_STATE_DIR": str(tmp_path / "state"), **environ}
    variables.setdefault("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Machine(environ=variables, sdk_places=(), library_places=(), archive=None, announce=lambda _sentence: None)


def this_machine(tmp_path: Path, **environ: str) -> Machine:
    """This machine, with nothing given and its state in tmp_path."""
    variables = {name: value for name, value in os.environ.items() if not name.endswith("_EMULATOR_HOST")}
    return replace(Machine(), environ=variables | {"FAIRDROP_STATE_DIR": str(tmp_path / "state")} | environ)


def write_program(path: Path, body: str = "exit 0", interpreter: str = "/bin/sh") -> Path:
    """An executable script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{interpreter}\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def install_sdk(root: Path) -> Path:
    """A Google Cloud SDK with both components, as far as a look-up sees it."""
    for name in ("gateway_main", "emulator_main"):
        write_program(root / "bin" / "cloud_spanner_emulator" / name)
    write_program(root / "platform" / "pubsub-emulator" / "bin" / "cloud-pubsub-emulator")
    return root


def run_script(script: str, tmp_path: Path) -> subprocess.Popen[str]:
    """Runs a Python script as a process of its own, with this machine's emulators and nothing given."""
    return subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=dict(this_machine(tmp_path).environ),
    )


def eventually(condition: Callable[[], bool]) -> bool:
    """Whether it becomes true within WAIT_SECONDS."""
    end = time.monotonic() + WAIT_SECONDS
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True
