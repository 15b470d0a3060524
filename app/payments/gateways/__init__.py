"""What is asked of a payment gateway (a card processor), and what it may answer. Each gateway is a module beside this one."""

from dataclasses import dataclass
from typing import Protocol


class GatewayMisconfigured(Exception):
    """The settings ask for a gateway that must not or cannot be used so; the message names the variable."""


@dataclass(frozen=True, slots=True)
class Request:
    """One payment, as far as a gateway must know it. `reference` names the authorization; None until there is one.

    `asked_seconds_ago` is the age of this request by the database's clock: an idempotency key does not live for ever.
    """

    order_id: str
    amount_minor: int
    currency: str
    payment_method: str
    reference: str | None
    asked_seconds_ago: float = 0.0


@dataclass(frozen=True, slots=True)
class Approved:
    """It is done, now or earlier. `reference` is the gateway's name of the authorization."""

    reference: str


@dataclass(frozen=True, slots=True)
class Declined:
    """It is not done and never will be; `reason` is the gateway's short code."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """It may or may not be done, or may yet be: ask again, with the same key. `detail` is for the log."""

    detail: str


Outcome = Approved | Declined | Unknown


class Gateway(Protocol):
    """A payment gateway. Thread-safe. Each call ends within about twice the time-out that the gateway was built with, and what may
    go wrong on the way is an Unknown, not an exception.

    Each operation is idempotent by key: the same key asks about the same operation, however often, from however many processes,
    and gets the same Approved or Declined once there is one.
    """

    def authorize(self, request: Request, key: str) -> Outcome:
        """Set the amount aside on the payment method."""

    def capture(self, request: Request, key: str) -> Outcome:
        """Take the whole of an authorized amount."""

    def void(self, request: Request, key: str) -> Outcome:
        """Let go of an authorized amount. Approved also when nothing is set aside any more and nothing was captured."""

    def refund(self, request: Request, key: str) -> Outcome:
        """Give back the whole of a captured amount."""
