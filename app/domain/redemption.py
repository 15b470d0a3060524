"""The decision whether a claim may be redeemed, given what is stored. Pure; the transaction around it is thin."""

from dataclasses import dataclass
from datetime import datetime

from app.domain.claims import Claim
from app.domain.errors import AlreadyRedeemed, ClaimNotRedeemable, IdempotencyKeyReused
from app.domain.orders import Order

MAX_TILL_ID_LENGTH = 64


@dataclass(frozen=True, slots=True)
class RedemptionRequest:
    """What a till asks: `request_id` names till and key, `redeemed_by` is the token's subject."""

    claim: Claim
    till_id: str
    request_id: str
    redeemed_by: str


@dataclass(frozen=True, slots=True)
class Redemption:
    """One row of Redemptions: the units of an order were handed over."""

    sale_id: str
    order_id: str
    units: int
    till_id: str
    request_id: str
    redeemed_at: datetime


def earlier_answer(
    request: RedemptionRequest, own: Redemption | None, of_order: Redemption | None
) -> Redemption | None:
    """The redemption that an earlier try of this request made, or None when the order is still to be redeemed.

    `own` is what this request has redeemed, `of_order` what was redeemed of the order. Raises IdempotencyKeyReused or
    AlreadyRedeemed: the first wins, whoever comes second.
    """
    claim = request.claim
    if own is not None:
        if (own.sale_id, own.order_id) != (claim.sale_id, claim.order_id):
            raise IdempotencyKeyReused(order_id=own.order_id)
        return own
    if of_order is not None:
        raise AlreadyRedeemed(redeemed_at=of_order.redeemed_at, till_id=of_order.till_id)
    return None


def check_redeemable(claim: Claim, order: Order | None) -> None:
    """Raise ClaimNotRedeemable unless the order is as the claim says, free, and PLACED."""
    if order is None or (order.order_id, order.units) != (claim.order_id, claim.units):
        raise ClaimNotRedeemable(status=None)
    if not order.is_claimable:
        raise ClaimNotRedeemable(status=order.status.value)


def claim_of(order: Order) -> Claim:
    """What the order's holder may fetch, once it `is_claimable`."""
    return Claim(order.sale_id, order.order_id, order.units, order.placed_at, order.shard_id, order.seq)
