"""The tills' addresses: redeem a claim code, and the public keys by which one is checked without asking."""

from typing import Any

from flask import Blueprint, Response

from app.domain import errors
from app.domain.redemption import Redemption
from app.domain.timestamps import rfc3339
from app.http.answer_models import ClaimKeyList, RedemptionView
from app.http.api import Api
from app.http.openapi import IDEMPOTENCY_KEY, Operation, documented
from app.http.request_models import RedeemClaim
from app.http.requests import idempotency_key, read_body
from app.http.responses import json_response
from app.http.tokens import Forbidden, IssuerUnavailable, Unauthenticated
from app.services.redeeming import redeem

KEYS_MAX_AGE_SECONDS = 300
"""A till that fetches the keys at its start and every few minutes knows a new key before most of its codes come."""


def redemption_body(redemption: Redemption) -> dict[str, Any]:
    """A redemption as RedemptionView describes it."""
    return {
        "sale_id": redemption.sale_id,
        "order_id": redemption.order_id,
        "units": redemption.units,
        "till_id": redemption.till_id,
        "redeemed_at": rfc3339(redemption.redeemed_at),
    }


def redemptions_blueprint(api: Api) -> Blueprint:
    """The tills' views."""
    views = Blueprint("claims", __name__)

    @views.post("/v1/redemptions")
    @documented(
        Operation(
            "Redeem a claim code",
            "claims",
            {201: RedemptionView, 200: RedemptionView},
            body=RedeemClaim,
            errors=(
                Unauthenticated,
                Forbidden,
                IssuerUnavailable,
                errors.InvalidValue,
                errors.ClaimCodeInvalid,
                errors.ClaimNotRedeemable,
                errors.AlreadyRedeemed,
                errors.IdempotencyKeyReused,
                errors.StorageUnavailable,
            ),
            parameters=(IDEMPOTENCY_KEY,),
            description="For tokens with the role till or seller. 201: hand it over. 200, with Idempotent-Replayed: true: "
            "this till's earlier try with this key had redeemed it. 409: somebody was first. After a 503 it may have been "
            "redeemed: repeat it with the same key.",
        )
    )
    def create() -> Response:
        till = api.till()
        key = idempotency_key()
        body = read_body(RedeemClaim)
        redemption, replayed = api.concurrency.run(
            redeem, api.database, api.claims, body.code, body.till_id, key, till.subject
        )
        if replayed:
            return json_response(redemption_body(redemption), 200, ("Idempotent-Replayed", "true"))
        return json_response(redemption_body(redemption), 201)

    @views.get("/v1/claim-keys")
    @documented(
        Operation(
            "The public keys of claim codes",
            "claims",
            {200: ClaimKeyList},
            secured=False,
            description="With them a till checks codes without asking anybody.",
        )
    )
    def keys() -> Response:
        listed = [{"key_id": key_id.hex(), "public_key": key.hex()} for key_id, key in api.claims.public_keys.items()]
        return json_response({"keys": listed}, 200, ("Cache-Control", f"public, max-age={KEYS_MAX_AGE_SECONDS}"))

    return views
