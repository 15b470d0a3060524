"""The Dockerfile as text: small, pinned, not root, and no shell between the process and its signals."""

import json
import re
import subprocess
import sys
from pathlib import Path

from image_steps import REPOSITORY, is_ignored, stages, steps

VERSION = re.compile(r"^([A-Za-z0-9_.-]+)==([^ \\]+)", re.MULTILINE)


def locked(name: str) -> set[tuple[str, str]]:
    return set(VERSION.findall((REPOSITORY / name).read_text()))


def test_hadolint_finds_nothing() -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    run = subprocess.run([hadolint, REPOSITORY / "Dockerfile"], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_both_stages_are_of_the_same_exact_version() -> None:
    bases = {step.text.removesuffix(" AS build") for step in steps() if step.name == "FROM"}
    assert len(bases) == 1
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+(@sha256:[0-9a-f]{64})?", bases.pop())


def test_the_image_runs_without_root_and_without_a_shell() -> None:
    last = {step.name: step.text for step in stages()[-1]}
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", last["USER"])
    assert json.loads(last["ENTRYPOINT"]) == ["/opt/fairdrop/bin/fairdrop"]
    assert json.loads(last["CMD"])[0] == "serve"


def test_what_runs_in_the_image_is_what_was_tested_and_nothing_for_development_is_in_it() -> None:
    runtime, everything = locked("requirements-runtime.lock"), locked("requirements.lock")
    assert runtime < everything
    assert not {"pytest", "mypy", "ruff", "localstripe", "python-hcl2"} & {name for name, _ in runtime}
    text = (REPOSITORY / "requirements-runtime.lock").read_text()
    assert text.count("--hash=sha256:") >= len(runtime)


def test_nothing_else_of_the_repository_can_get_into_the_image() -> None:
    for path in (".git/config", ".fairdrop/key.pem", ".venv/bin/python", "tests/conftest.py", "terraform/main.tf"):
        assert is_ignored(path), path
    for path in ("app/settings.py", "spanner_schema/orders/0001_sales_and_stock.sql", "requirements-runtime.lock"):
        assert not is_ignored(path), path
    assert is_ignored("app/http/__pycache__/app.cpython-311.pyc")
