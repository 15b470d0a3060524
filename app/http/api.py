"""What the views share: the process's settings, database, counter and verifier, and who is asking."""

from dataclasses import dataclass

from flask import request

from app.http.rate_limits import Limit, admit_customer
from app.http.tokens import SELLER, TILL, Forbidden, Identity, TokenVerifier
from app.services.cancelling import Cancelling
from app.services.claim_keys import ClaimKeys
from app.services.concurrency import Concurrency
from app.services.console import ConsoleFeed
from app.services.dead_letters import DeadLetterBox
from app.services.outcomes import Outcomes
from app.services.placement import Placement
from app.services.reports import FairnessDesk
from app.services.shared_figures import SharedFigures
from app.settings import Settings
from app.storage.database import FairdropDatabase


@dataclass(frozen=True, slots=True)
class Api:
    """One process's parts, made at its start and handed to every blueprint."""

    settings: Settings
    database: FairdropDatabase
    placement: Placement
    cancelling: Cancelling
    outcomes: Outcomes
    verifier: TokenVerifier
    concurrency: Concurrency
    claims: ClaimKeys
    customer_limit: Limit
    shared_figures: SharedFigures
    console_feed: ConsoleFeed
    fairness_desk: FairnessDesk
    dead_letters: DeadLetterBox

    def close(self) -> None:
        """The process is about to end: nobody waits any longer, and what was counted is told."""
        self.outcomes.close()
        self.console_feed.close()
        self.shared_figures.tell()

    def customer(self) -> Identity:
        """Who is asking. Raises Unauthenticated, IssuerUnavailable or RateLimited."""
        identity = self._identity()
        admit_customer(self.customer_limit, identity.subject)
        return identity

    def seller(self) -> Identity:
        """Who is asking, with the seller's role, and no limit to how often. Raises Forbidden, and as `customer` does."""
        return self._with_role(SELLER)

    def till(self) -> Identity:
        """Who is asking, with the role of a till or of a seller, and no limit to how often. Raises as `seller` does."""
        return self._with_role(TILL, SELLER)

    def _with_role(self, *roles: str) -> Identity:
        identity = self._identity()
        if identity.roles.isdisjoint(roles):
            admit_customer(self.customer_limit, identity.subject)
            raise Forbidden(roles[0])
        return identity

    def _identity(self) -> Identity:
        return self.verifier.verify(request.environ.get("HTTP_AUTHORIZATION"))
