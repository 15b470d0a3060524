"""CI's workflow: pinned, without keys, and on the versions that the repository names."""

import re

from terraform_check.__main__ import TERRAFORM

WORKFLOW = (TERRAFORM.parent / ".github" / "workflows" / "ci.yml").read_text()
STEP = re.compile(r"uses: (\S+)(.*)")


def test_every_action_is_pinned_by_commit_and_says_of_which_version() -> None:
    used = STEP.findall(WORKFLOW)
    assert len(used) >= 8
    for action, comment in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action), action
        assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment), action


def test_google_is_asked_without_a_key_and_nothing_is_applied() -> None:
    assert "credentials_json" not in WORKFLOW
    assert "secrets." not in WORKFLOW
    assert "terraform apply" not in WORKFLOW
    assert WORKFLOW.count("id-token: write") == 2


def test_the_checkout_leaves_no_token_behind() -> None:
    assert WORKFLOW.count("actions/checkout@") == WORKFLOW.count("persist-credentials: false")
