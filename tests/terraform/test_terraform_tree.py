"""terraform/ as it is: nothing that the provider's schema, Terraform itself or the house's style would refuse."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from terraform_check.__main__ import SCHEMA, TERRAFORM, faults
from terraform_check.provider import load_schema
from terraform_check.rehearsal import rehearse

terraform_is_needed = pytest.mark.skipif(shutil.which("terraform") is None, reason="terraform is not installed")

USED = re.compile(r'^(resource|data)\s+"(google_\w+)"', re.MULTILINE)


def terraform(*arguments: str, folder: Path = TERRAFORM) -> str:
    environment = {**os.environ, "TF_CLI_CONFIG_FILE": os.devnull, "TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1"}
    run = subprocess.run(
        ["terraform", *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def test_nothing_is_at_fault() -> None:
    assert list(faults(TERRAFORM, load_schema(SCHEMA))) == []


def test_the_schema_is_of_the_pinned_provider_and_of_exactly_the_resources_that_are_used() -> None:
    schema = load_schema(SCHEMA)
    used = {pair for file in TERRAFORM.rglob("*.tf") for pair in USED.findall(file.read_text())}
    assert {(kind, name) for kind in ("resource", "data") for name in schema[kind]} == used
    assert f'version = "{schema["version"]}"' in (TERRAFORM / "versions.tf").read_text()


@terraform_is_needed
def test_every_file_is_formatted() -> None:
    assert terraform("fmt", "-check", "-recursive") == ""


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("terraform") / "copy"
    rehearse(TERRAFORM, folder)
    terraform("init", "-input=false", folder=folder)
    return folder


def planned(folder: Path, environment: str) -> dict[str, Any]:
    """What each resource is given, by its address in the plan."""
    terraform("plan", "-input=false", "-lock=false", f"-var-file={environment}.tfvars", "-out=plan", folder=folder)
    plan = json.loads(terraform("show", "-json", "plan", folder=folder))
    return {one["address"]: one["change"]["after"].get("input") for one in plan["resource_changes"]}


@terraform_is_needed
@pytest.mark.parametrize("environment", ["dev", "production"])
def test_each_environment_is_planned_by_terraform_itself(rehearsal: Path, environment: str) -> None:
    addresses = planned(rehearsal, environment)
    for worker in ("relay", "payments-relay", "payments", "settlement", "deadlines"):
        assert f'module.run.terraform_data.google_cloud_run_v2_worker_pool__worker["{worker}"]' in addresses
    scaled = [address for address in addresses if "google_cloud_scheduler_job" in address]
    # API, five workers and Spanner, up and down.
    assert len(scaled) == (14 if environment == "production" else 0)


@terraform_is_needed
def test_a_value_that_a_variable_refuses_stops_the_plan(rehearsal: Path) -> None:
    with pytest.raises(AssertionError, match="By digest"):
        terraform(
            "plan",
            "-input=false",
            "-lock=false",
            "-var-file=dev.tfvars",
            "-var=image=fairdrop:latest",
            folder=rehearsal,
        )
