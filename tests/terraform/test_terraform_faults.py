"""The check finds each kind of error that it is there for."""

import json
from pathlib import Path

import pytest

from terraform_check.__main__ import SCHEMA, faults
from terraform_check.expressions import references
from terraform_check.house import write_tables
from terraform_check.module import read_module
from terraform_check.provider import load_schema

MAIN = """\
resource "google_spanner_instance" "shop" {
  project      = var.project_id
  config       = "regional-europe-west1"
  display_name = "Shop"

  autoscaling_config {
    autoscaling_limits {
      min_nodes = 1
      max_nodes = 3
    }
  }
}

module "topics" {
  source = "./modules/topics"

  names = ["orders"]
}
"""
OUTPUTS = """\
output "instance" {
  description = "The instance."
  value       = google_spanner_instance.shop.name
}

output "topic_ids" {
  description = "Ids of the topics."
  value       = module.topics.ids
}
"""
VARIABLES = """\
variable "project_id" {
  type        = string
  description = "Project."

  validation {
    condition     = length(var.project_id) > 5
    error_message = "Too short."
  }
}
"""
TOPICS_MAIN = """\
resource "google_pubsub_topic" "events" {
  for_each = toset(var.names)

  name = "x-${each.key}"
}
"""
TOPICS_OUTPUTS = """\
output "ids" {
  description = "Their ids."
  value       = [for topic in google_pubsub_topic.events : topic.id]
}
"""
TOPICS_VARIABLES = """\
variable "names" {
  type        = list(string)
  description = "Names."

  validation {
    condition     = length(var.names) > 0
    error_message = "None."
  }
}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two small modules without a fault."""
    folder = tmp_path / "terraform"
    topics = folder / "modules" / "topics"
    topics.mkdir(parents=True)
    for place, main, variables, outputs in (
        (folder, MAIN, VARIABLES, OUTPUTS),
        (topics, TOPICS_MAIN, TOPICS_VARIABLES, TOPICS_OUTPUTS),
    ):
        (place / "main.tf").write_text(main)
        (place / "variables.tf").write_text(variables)
        (place / "outputs.tf").write_text(outputs)
        (place / "versions.tf").write_text('terraform {\n  required_version = ">= 1.9"\n}\n')
        (place / "README.md").write_text("<!-- inputs and outputs -->\n<!-- end -->\n")
        write_tables(read_module(place))
    return folder


def found(root: Path) -> list[str]:
    return list(faults(root, load_schema(SCHEMA)))


def test_two_small_modules_without_a_fault_have_none(root: Path) -> None:
    assert found(root) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("main.tf", "google_spanner_instance", "google_spanner_instanze", "the schema has no resource"),
        ("main.tf", "display_name =", "display_nam  =", "display_nam is no argument here"),
        ("main.tf", 'config       = "regional-europe-west1"\n', "", "config is required"),
        ("main.tf", "autoscaling_limits {", "autoscaling_limit {", "autoscaling_limit is no block here"),
        ("main.tf", "autoscaling_limits {", "autoscaling_limits = {", "is a block, and is set with ="),
        ("main.tf", 'display_name = "Shop"', "display_name {\n}", "is set with =, and is no block"),
        ("main.tf", "min_nodes = 1", "min_node = 1", "autoscaling_limits: min_node is no argument here"),
        ("main.tf", "  autoscaling_config {", "autoscaling_config {\n}\n  autoscaling_config {", "only one block"),
        ("main.tf", "var.project_id", "var.project", "var.project: there is none"),
        ("main.tf", "var.project_id", "local.project", "local.project: there is none"),
        ("main.tf", "  names = [", "  nams = [", "has no input nams"),
        ("main.tf", '  names = ["orders"]\n', "", "the input names is required"),
        ("main.tf", "./modules/topics", "./modules/topic", "there is no folder"),
        ("outputs.tf", "google_spanner_instance.shop", "google_spanner_instance.store", "there is no such resource"),
        ("outputs.tf", "shop.name", "shop.nam", "exports no such attribute"),
        ("outputs.tf", "module.topics.ids", "module.topics.names", "has no such output"),
        ("outputs.tf", "module.topics.ids", "module.topic.ids", "there is no such module"),
        ("outputs.tf", '  description = "The instance."\n', "", "output instance has no description"),
        ("variables.tf", "  type        = string\n", "", "variable project_id has no type"),
        ("variables.tf", "Project.", "The project.", "README.md has other inputs and outputs"),
        ("main.tf", "project      = var.project_id\n", "", "variable project_id is never used"),
        ("main.tf", "resource", "resourc{e", "main.tf"),
        ("modules/topics/main.tf", "x-${each.key}", "x-${var.nam}", "var.nam: there is none"),
        ("modules/topics/main.tf", 'name = "x-${each.key}"', "", "name is required"),
    ],
)
def test_a_planted_error_is_found(root: Path, file: str, old: str, new: str, said: str) -> None:
    text = (root / file).read_text()
    assert old in text
    (root / file).write_text(text.replace(old, new, 1))
    assert any(said in fault for fault in found(root)), found(root)


def test_a_required_block_that_is_missing_is_found(root: Path) -> None:
    (root / "main.tf").write_text(
        MAIN
        + """
resource "google_cloud_run_v2_worker_pool" "worker" {
  name     = "worker"
  location = "europe-west1"
}
"""
    )
    assert any("a block template is required" in fault for fault in found(root))


def test_a_dynamic_block_is_held_against_the_schema_too(root: Path) -> None:
    text = (root / "main.tf").read_text()
    dynamic = 'dynamic "autoscaling_config" {\n    for_each = [1]\n    content {\n      limits {\n      }\n    }\n  }\n}\n\nmodule'
    (root / "main.tf").write_text(text.partition("  autoscaling_config")[0] + dynamic + text.partition("module")[2])
    assert any("limits is no block here" in fault for fault in found(root))


def test_what_is_only_quoted_refers_to_nothing_and_what_is_interpolated_does() -> None:
    assert list(references('"google_x.y and var.z"')) == []
    assert [str(one) for one in references('"a ${var.z} b ${length("local.no")} $${var.no}"')] == ["var.z"]
    assert [str(one) for one in references('${google_x.y["k"].id}')] == ["google_x.y.id"]
    assert [str(one) for one in references({"${(local.key)}": ["${module.m[0].out}"]})] == ["local.key", "module.m.out"]


def test_the_schema_file_is_compact() -> None:
    assert SCHEMA.stat().st_size < 200_000
    assert json.loads(SCHEMA.read_text())["made_from"].startswith("cdktf-cdktf-provider-google==")
