"""The verdict over a history: every rule, and what breaks it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import history_money
import history_orders
import history_replay
from history_clock import clocks
from history_records import History, Violation

NAMED = 20
"""Violations of one rule that are named; the others are counted."""

RULES: tuple[str, ...] = tuple(
    value
    for module in (history_orders, history_replay, history_money)
    for name, value in vars(module).items()
    if name.isupper() and isinstance(value, str)
)
"""Every rule, in the order of the page docs/reliability.md."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was judged, and what broke."""

    figures: dict[str, int]
    violations: Sequence[Violation]

    @property
    def rules_broken(self) -> Counter[str]:
        """How often each rule was broken."""
        return Counter(violation.rule for violation in self.violations)

    def as_json(self) -> dict[str, Any]:
        """For machines; of each rule the first NAMED violations."""
        named: Counter[str] = Counter()
        shown = []
        for violation in self.violations:
            named[violation.rule] += 1
            if named[violation.rule] <= NAMED:
                shown.append(asdict(violation))
        return {
            "clean": not self.violations,
            "rules": len(RULES),
            "figures": self.figures,
            "broken": dict(self.rules_broken),
            "violations": shown,
        }


def judge(history: History) -> Verdict:
    """Hold a history against every rule."""
    clock = clocks(history.looks)
    replay = history_replay.replay(history)
    violations = [
        *history_orders.order_violations(history, replay, clock),
        *replay.violations,
        *history_replay.look_violations(history),
        *history_money.money_violations(history, replay),
    ]
    figures = {
        "calls": len(history.calls),
        "unknown_outcomes": sum(call.may_have_acted for call in history.calls),
        "looks": len(history.looks),
        "commits": len(replay.moments),
        "orders": len(replay.orders),
        "clock_uncertainty_us": clock.uncertainty_us if clock is not None else -1,
    }
    return Verdict(figures, violations)
