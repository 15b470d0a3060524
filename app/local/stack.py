"""Every process of the service on one machine, from the one Procfile, under honcho."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from honcho import manager as honcho
from honcho.environ import parse_procfile
from honcho.printer import Printer

PROCFILE = Path(__file__).parents[2] / "scripts" / "Procfile"

STOP_SECONDS = 12
"""Each process finishes what is in flight within ten seconds of SIGTERM; what is still there after this is killed."""


def run_stack(procfile: Path, environment: Mapping[str, str]) -> int:
    """Run every process of the file until SIGTERM, SIGINT, or one of them ends; then stop all. Returns the exit code.

    Raises FileNotFoundError without a Procfile.
    """
    honcho.KILL_WAIT = STOP_SECONDS
    crew = honcho.Manager(Printer(sys.stdout))
    # The commands of the Procfile are those of this installation, whatever the shell's PATH says.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    for name, command in parse_procfile(procfile.read_text(encoding="utf-8")).processes.items():
        crew.add_process(name, command, env={**os.environ, **environment, "PATH": path, "PYTHONUNBUFFERED": "1"})
    crew.loop()
    return int(crew.returncode or 0)
