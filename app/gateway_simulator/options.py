"""What the simulator is told when it starts, and what the dice say to one request: the same for the same seed, always."""

import random
from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

BOOK_NAME = "gateway.sqlite"
"""In the state folder, unless another place is named."""

Rate = Annotated[float, Field(ge=0, le=1)]

DECLINE_REASONS = ("insufficient_funds", "card_declined", "expired_card", "do_not_honor", "fraudulent")
CAPTURE_DECLINE_REASON = "authorization_expired"
DECLINED_METHOD_PREFIX = "tok_declined"
"""A payment method whose token begins so is always declined."""


class Behaviour(BaseModel):
    """What may also be told while it runs (`PUT /behaviour`). Rates are of tries, which add up to 1 at most."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    delay_ms: Annotated[float, Field(ge=0, le=60_000)] = 0.0
    error_rate: Rate = 0.0
    timeout_rate: Rate = 0.0
    lost_rate: Rate = 0.0
    garbled_rate: Rate = 0.0
    hold_seconds: Annotated[float, Field(ge=0, le=60)] = 10.0

    @model_validator(mode="after")
    def _one_fate_a_try(self) -> Self:
        if self.error_rate + self.timeout_rate + self.lost_rate + self.garbled_rate > 1:
            raise ValueError("the rates of what becomes of a try add up to more than 1")
        return self


class Options(Behaviour):
    """How the simulator behaves. The decline rates are of operations: what was once declined stays so."""

    book: str
    seed: int = 0
    decline_rate: Rate = 0.0
    capture_decline_rate: Rate = 0.0


class Fate(StrEnum):
    """What becomes of one try."""

    ANSWERED = "answered"
    FAILED = "failed"
    """A server error, and nothing was done."""
    HELD = "held"
    """It is done, and the answer comes too late."""
    LOST = "lost"
    """It is done, and the connection is closed without an answer."""
    GARBLED = "garbled"
    """It is done, and the answer says so by its status and nonsense in its body."""


def decline_reason(options: Options, operation: str, key: str, payment_method: str) -> str | None:
    """Why an operation is declined; None when it is not. The same for every try."""
    dice = random.Random(f"{options.seed}:{key}")  # noqa: S311  # a simulation
    if operation == "authorize":
        if payment_method.startswith(DECLINED_METHOD_PREFIX):
            return "card_declined"
        return dice.choice(DECLINE_REASONS) if dice.random() < options.decline_rate else None
    if operation == "capture" and dice.random() < options.capture_decline_rate:
        return CAPTURE_DECLINE_REASON
    return None


def fate(behaviour: Behaviour, seed: int, key: str, attempt: int) -> tuple[Fate, float]:
    """What becomes of a key's n-th try, and after how many seconds (evenly spread, `delay_ms` in the mean)."""
    dice = random.Random(f"{seed}:{key}:{attempt}")  # noqa: S311  # a simulation
    delay_seconds = dice.uniform(0, 2 * behaviour.delay_ms) / 1_000
    rates = (
        (Fate.FAILED, behaviour.error_rate),
        (Fate.HELD, behaviour.timeout_rate),
        (Fate.LOST, behaviour.lost_rate),
        (Fate.GARBLED, behaviour.garbled_rate),
    )
    thrown = dice.random()
    for kind, rate in rates:
        if thrown < rate:
            return kind, delay_seconds
        thrown -= rate
    return Fate.ANSWERED, delay_seconds
