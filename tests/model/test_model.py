"""The Promela model holds, and fails when a safeguard is taken away. Needs Spin and a C compiler."""

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "model"


@pytest.mark.skipif(
    not (shutil.which("spin") and shutil.which("gcc")), reason="Spin or gcc is not installed: scripts/model says how"
)
def test_the_model_holds_and_misses_each_safeguard_that_is_taken_away() -> None:
    done = subprocess.run([SCRIPT, "--quick"], capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("  holds\n") == 3
    assert done.stdout.count("  broken\n") == 10


def test_the_script_says_what_is_missing(tmp_path: Path) -> None:
    for program in ("dirname", "sh"):
        found = shutil.which(program)
        assert found is not None
        (tmp_path / program).symlink_to(found)
    done = subprocess.run(
        ["/bin/sh", SCRIPT], env={"PATH": str(tmp_path)}, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 3
    assert "spin is not installed" in done.stderr
    assert "apt-get install spin" in done.stderr
