"""Starts one emulator in its own process group and outlives the launcher by a moment, to end the emulator with it.

Run as a script by `emulator.process`, isolated and without the site packages, so that it starts in milliseconds:

    python -I -S guard.py LAUNCHER_PID LOG_PATH FINALLY_JSON COMMAND...

It prints the process group's id, then waits for one of: the emulator's end, a byte on its standard input (the launcher
asks for the end), the end of file there (the launcher died, `kill -9` included), a new parent (it died while a fork of it
still holds the pipe open), SIGTERM. Then it kills whatever is left of the group and runs the command in FINALLY_JSON (a
list; `docker rm` of a container, which is not in the group). gateway_main, killed alone, would leave its emulator_main
behind. After the launcher's death the log is removed too, since nobody else would.
"""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

POLL_SECONDS = 0.2
FINALLY_TIMEOUT_SECONDS = 20


def main() -> int:
    """Guards until the end; 0 when the launcher ended it, otherwise the emulator's own exit code."""
    launcher, log_path, finally_json, *command = sys.argv[1:]
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    with Path(log_path).open("ab") as log:
        emulator = subprocess.Popen(  # noqa: S603 - the command is the launcher's own
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    asked: bool | None = None
    try:
        print(emulator.pid, flush=True)
        while emulator.poll() is None and asked is None:
            asked = _is_asked_to_end(int(launcher))
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(emulator.pid, signal.SIGKILL)
        emulator.wait()
        if finally_command := json.loads(finally_json):
            _run_quietly(finally_command)
    if asked is False:
        Path(log_path).unlink(missing_ok=True)
    return emulator.returncode if emulator.returncode >= 0 else 128 - emulator.returncode


def _is_asked_to_end(launcher: int) -> bool | None:
    """True when the launcher asks for the end, False when it died; None when neither happened for POLL_SECONDS."""
    readable, _, _ = select.select([sys.stdin], [], [], POLL_SECONDS)
    if readable:
        return os.read(sys.stdin.fileno(), 1) != b""
    return None if os.getppid() == launcher else False


def _run_quietly(command: list[str]) -> None:
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        subprocess.run(  # noqa: S603 - the command is the launcher's own
            command, capture_output=True, check=False, timeout=FINALLY_TIMEOUT_SECONDS
        )


if __name__ == "__main__":
    sys.exit(main())
