"""What Terraform names, the code knows: settings, topics, workers and figures."""

import re
from pathlib import Path

from app.cli.work import WORKERS
from app.messaging.topics import ROUTES
from app.settings import Settings
from terraform_check.__main__ import TERRAFORM
from terraform_check.expressions import literal
from terraform_check.module import attributes, read_module

REPOSITORY = TERRAFORM.parent
READING = re.compile(r'Reading\(\s*"(\w+)".*?(is_count=False)?,?\s*\)', re.DOTALL)


def text_of(folder: Path) -> str:
    return "\n".join(file.read_text() for file in sorted(folder.rglob("*.tf")))


def test_every_setting_that_terraform_sets_exists() -> None:
    known = {f"FAIRDROP_{name.upper()}" for name in Settings.model_fields}
    named = set(re.findall(r"\bFAIRDROP_[A-Z_]+\b", text_of(TERRAFORM)))
    assert named - known == set()
    assert {"FAIRDROP_ENVIRONMENT", "FAIRDROP_AUTH_JWKS_URL", "FAIRDROP_STRIPE_API_KEY"} <= named


def test_production_sends_its_traces_and_every_process_may() -> None:
    (destination,) = re.findall(r'FAIRDROP_TRACES += "(\w+)"', (TERRAFORM / "main.tf").read_text())
    assert Settings(traces=destination).traces != "off"
    granted = read_module(TERRAFORM / "modules" / "identities").resources["google_project_iam_member", "writes_traces"]
    assert "local.runtimes" in str(granted["for_each"])


def test_the_topics_and_subscriptions_are_those_of_the_code() -> None:
    declared = {
        literal(f'"{name}"' if not name.startswith('"') else name): (literal(of["topic"]), of["ordered"])
        for name, of in read_module(TERRAFORM / "modules" / "pubsub").locals["subscriptions"].items()
    }
    wanted: dict[str | None, tuple[str | None, bool]] = {}
    for route in ROUTES:
        wanted[route.subscription] = (route.topic, True)
        wanted[route.dead_subscription] = (route.dead_topic, False)
    assert declared == wanted


def test_the_workers_are_those_of_the_code() -> None:
    main = read_module(TERRAFORM)
    accounts = text_of(TERRAFORM / "modules" / "identities")
    checked = text_of(TERRAFORM / "modules" / "run")
    for worker in WORKERS:
        assert f'"{worker}"' in accounts
        assert f'"{worker}"' in checked
    resting = attributes(main.calls["run"])
    assert "var.workers" in resting["workers"]
    for environment in ("dev", "production"):
        variables = (TERRAFORM / "environments" / f"{environment}.tfvars").read_text()
        sized = variables.partition("workers = {")[2].partition("\n}")[0]
        assert set(re.findall(r"^  ([\w-]+) +=", sized, re.MULTILINE)) == set(WORKERS)


def test_every_figure_that_is_watched_is_shown_by_a_worker() -> None:
    shown = set()
    for file in (REPOSITORY / "app" / "workers").glob("*.py"):
        for name, gauge in READING.findall(file.read_text()):
            shown.add(f"fairdrop_{name}" if gauge else f"fairdrop_{name}_total")
    watched = set(re.findall(r"\bfairdrop_[a-z0-9_]+\b", text_of(TERRAFORM / "modules" / "observability")))
    assert watched - shown == set()
    assert len(watched) >= 5
