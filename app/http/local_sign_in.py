"""The sign-in of a development service: anybody may be anybody. Where tokens come from a real issuer there is no such address."""

from flask import Blueprint, Response

from app.domain import errors
from app.http.answer_models import IssuedToken
from app.http.api import Api
from app.http.local_issuer import LocalIssuer
from app.http.openapi import Operation, documented
from app.http.request_models import TokenRequest
from app.http.requests import read_body
from app.http.responses import json_response
from app.http.tokens import SELLER
from app.settings import Settings


def has_local_sign_in(settings: Settings) -> bool:
    """Whether tokens are the local issuer's, which signs whatever it is asked to: never in production."""
    return settings.environment == "development" and not settings.auth_jwks_url


def local_sign_in_blueprint(api: Api) -> Blueprint:
    """The view; only for a service whose settings have a local sign-in. Raises PermissionError in production."""
    views = Blueprint("development", __name__)
    issuer = LocalIssuer.load(api.settings)

    @views.post("/v1/development/token")
    @documented(
        Operation(
            "Get a token for any name",
            "development",
            {200: IssuedToken},
            body=TokenRequest,
            errors=(errors.InvalidValue,),
            secured=False,
            description="Of the local issuer, as `fairdrop token` prints it, for an hour. There is no such address in production.",
        )
    )
    def sign_in() -> Response:
        wanted = read_body(TokenRequest)
        return json_response({"token": issuer.token(wanted.subject, (SELLER,) if wanted.seller else ())})

    return views
