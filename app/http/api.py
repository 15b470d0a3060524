"""What the views share: the process's settings, database, counter and verifier, and who is asking."""

from dataclasses import dataclass

from flask import request

from app.http.tokens import SELLER, TILL, Forbidden, Identity, TokenVerifier
from app.services.cancelling import Cancelling
from app.services.claim_keys import ClaimKeys
from app.services.concurrency import Concurrency
from app.services.outcomes import Outcomes
from app.services.placement import Placement
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

    def customer(self) -> Identity:
        """Who is asking. Raises Unauthenticated or IssuerUnavailable."""
        return self.verifier.verify(request.headers.get("Authorization"))

    def seller(self) -> Identity:
        """Who is asking, with the seller's role. Raises also Forbidden."""
        identity = self.customer()
        if SELLER not in identity.roles:
            raise Forbidden(SELLER)
        return identity

    def till(self) -> Identity:
        """Who is asking, with the role of a till or of a seller. Raises also Forbidden."""
        identity = self.customer()
        if identity.roles.isdisjoint((TILL, SELLER)):
            raise Forbidden(TILL)
        return identity
