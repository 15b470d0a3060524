"""Every process of the service on one machine, from the one Procfile, under honcho."""

import os
import sys
from pathlib import Path

from honcho import manager as honcho
from honcho.environ import parse_procfile
from honcho.printer import Printer

PROCFILE = Path(__file__).parents[2] / "scripts" / "Procfile"

STOP_SECONDS = 12
"""Each process finishes what is in flight within ten seconds of SIGTERM; what is still there after this is killed."""


def command_path() -> str:
    """A PATH on which the commands of the Procfile are those of this installation, whatever the shell's says."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


def run_stack(procfile: Path) -> int:
    """Run every process of the file until SIGTERM, SIGINT, or one of them ends; then stop all. Returns the exit code.

    Raises FileNotFoundError without a Procfile.
    """
    honcho.KILL_WAIT = STOP_SECONDS
    crew = honcho.Manager(Printer(sys.stdout))
    environment = {**os.environ, "PATH": command_path(), "PYTHONUNBUFFERED": "1"}
    for name, command in parse_procfile(procfile.read_text(encoding="utf-8")).processes.items():
        crew.add_process(name, command, env=environment)
    crew.loop()
    return int(crew.returncode or 0)
