"""docs/payments.md shows the states that there are, and names the webhooks that are listened to."""

import re
from pathlib import Path

from app.payments.order_events import WANTED_BY
from app.payments.states import TRANSITIONS
from app.payments.webhooks import NEWS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "payments.md").read_text()


def test_the_table_has_every_transition_and_no_other() -> None:
    _head, *found = re.findall(r"^\| (\S+) \| (\w+) \| (\w+) \| (\S*) ?\|$", PAGE, re.MULTILINE)
    expected = [
        (before.value if before else "(new)", cue.value, outcome.state.value, outcome.event or "")
        for (before, cue), outcome in TRANSITIONS.items()
    ]
    assert found == expected


def test_the_picture_has_every_transition_and_no_other() -> None:
    found = re.findall(r"^    (\S+) --> (\w+): (\w+)$", PAGE, re.MULTILINE)
    expected = [
        (before.value if before else "[*]", outcome.state.value, cue.value)
        for (before, cue), outcome in TRANSITIONS.items()
    ]
    assert found == expected


def test_the_page_names_every_event_that_is_listened_to() -> None:
    for name in (*NEWS, *WANTED_BY):
        assert f"`{name}`" in PAGE
