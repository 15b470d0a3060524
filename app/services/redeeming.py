"""Redeeming a claim code: verified by the keys, then recorded once, by a transaction run until its outcome is known."""

import time

from app.domain.errors import StorageUnavailable
from app.domain.ids import redemption_request_id
from app.domain.redemption import Redemption, RedemptionRequest
from app.services.claim_keys import ClaimVerifier
from app.storage.database import RETRY_AFTER_SECONDS, Conflict, FairdropDatabase, OutcomeUnknown, transact
from app.storage.redemptions import redeem_claim

TRIES = 5
"""All is read under lock, so a conflict needs a second till with the same code, and then the next try sees who was first."""

TRY_SECONDS = 4.0
"""No new try after so long: with one call's deadline, the till is told within ten seconds."""

RETRY_PAUSE_SECONDS = 0.05
"""Before a transaction of unknown outcome is run again."""


def redeem(
    database: FairdropDatabase, verifier: ClaimVerifier, code: str, till_id: str, idempotency_key: str, redeemed_by: str
) -> tuple[Redemption, bool]:
    """Redeem a code at a till; True when an earlier try of this request had done it.

    Raises ClaimCodeInvalid, ClaimNotRedeemable, AlreadyRedeemed or IdempotencyKeyReused; after StorageUnavailable it may have
    been redeemed all the same, and the same till and key find it.
    """
    claim = verifier.verify(code)
    request = RedemptionRequest(claim, till_id, redemption_request_id(till_id, idempotency_key), redeemed_by)
    give_up_at = time.monotonic() + TRY_SECONDS
    last = StorageUnavailable("the code is being redeemed elsewhere", RETRY_AFTER_SECONDS)
    for _ in range(TRIES):
        try:
            earlier, committed = transact(database, "redeem", redeem_claim, request)
        except Conflict:
            # Somebody redeemed it between our read and our commit: read again, and see when.
            continue
        except OutcomeUnknown as error:
            last = error
            if time.monotonic() > give_up_at:
                break
            time.sleep(RETRY_PAUSE_SECONDS)
            continue
        if earlier is not None:
            return earlier, True
        new = Redemption(claim.sale_id, claim.order_id, claim.units, till_id, request.request_id, committed)
        return new, False
    raise last
