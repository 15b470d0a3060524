"""The transaction that redeems a claim: the order is found by its queue position, so no index by order id is written for it."""

from typing import Any

from google.cloud.spanner_v1 import COMMIT_TIMESTAMP, KeySet
from google.cloud.spanner_v1.transaction import Transaction

from app.domain.claims import Claim
from app.domain.orders import Order
from app.domain.redemption import Redemption, RedemptionRequest, check_redeemable, earlier_answer
from app.storage.orders import find_order

_COLUMNS = ("SaleId", "OrderId", "Units", "TillId", "RequestId", "RedeemedAt")
"""In the order of Redemption's fields."""


def redeem_claim(transaction: Transaction, request: RedemptionRequest) -> Redemption | None:
    """Record that the units were handed over, in a read-write transaction; rerunnable.

    Returns None when this commit redeems, and the earlier redemption when this request has made it before. The order is read
    under lock, so no cancel can slip in between. Raises IdempotencyKeyReused, AlreadyRedeemed or ClaimNotRedeemable.
    """
    claim = request.claim
    own = _by_request(transaction, request.request_id)
    of_order = own or _find(transaction, claim.sale_id, claim.order_id)
    earlier = earlier_answer(request, own, of_order)
    if earlier is not None:
        return earlier
    check_redeemable(claim, _order(transaction, claim))
    row = [claim.sale_id, claim.order_id, claim.units, request.till_id, request.request_id, COMMIT_TIMESTAMP]
    transaction.insert("Redemptions", (*_COLUMNS, "RedeemedBy"), [[*row, request.redeemed_by]])
    return None


def _find(reads: Any, sale_id: str, order_id: str) -> Redemption | None:
    rows = list(reads.read("Redemptions", _COLUMNS, KeySet(keys=[[sale_id, order_id]])))
    return Redemption(*rows[0]) if rows else None


def _by_request(reads: Any, request_id: str) -> Redemption | None:
    keys = KeySet(keys=[[request_id]])
    for sale_id, order_id in reads.read("Redemptions", ("SaleId", "OrderId"), keys, index="RedemptionsByRequest"):
        return _find(reads, sale_id, order_id)
    return None


def _order(reads: Any, claim: Claim) -> Order | None:
    position = KeySet(keys=[[claim.sale_id, claim.shard_id, claim.placed_at, claim.seq]])
    for customer_id, order_id in reads.read("Orders", ("CustomerId", "OrderId"), position, index="OrdersByPlacedAt"):
        if order_id == claim.order_id:
            return find_order(reads, customer_id, claim.sale_id, order_id)
    return None
